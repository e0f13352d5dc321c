"""An engine with its style, ready for one content after the other: what jobs on photographs and videos share."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..models.vgg import VGGEncoder
from ..style.gatys import Penalty
from ..style.loss import Grams
from . import engines
from .engines import Job, Prox, State
from .grams import OF_PAINTINGS, grams_of
from .pictures import open_style
from .ranking import REFERENCE, Choice, choose
from .regions import Region
from .settings import GALLERY, StylizeSettings

EVERYWHERE = (Region((0,), (1.0,), None),)


@dataclass(frozen=True)
class Prepared:
    """Everything about a transfer but the content."""

    module: nn.Module
    choice: Choice
    encoder: VGGEncoder | None
    encoder_name: str | None
    style: Tensor
    """(1, 3, h, w)."""
    settings: StylizeSettings
    public: bool
    """Whether the style is a painting of the gallery, whose Gram matrices may stay in the process."""

    @property
    def kind(self) -> str:
        """As `zoo.stylize.engines.kind`."""
        return engines.kind(self.module)

    def grams(self) -> Grams:
        """Of the style as a whole."""
        assert self.encoder is not None and self.encoder_name is not None
        if self.public:
            return OF_PAINTINGS.get(self.encoder, self.encoder_name, self.style)
        return grams_of(self.encoder, self.style)

    def job(
        self,
        content: Tensor,
        grams: Callable[[int], Grams],
        *,
        regions: Sequence[Region] = EVERYWHERE,
        pictures: Sequence[Tensor] = (),
        prox: Prox | None = None,
        penalty: Penalty | None = None,
        start: Tensor | None = None,
        steps: int | None = None,
    ) -> Job:
        """What is to be done with one content.

        Args:
            content: (1, 3, H, W) in [0, 1].
            grams: Gram matrices of the style of a region.
            regions: Of the content.
            pictures: A style for each region; none: the style.
            prox: For solvers and networks of one pass.
            penalty, start: For the optimisation.
            steps: Iterations; None: those of the settings.
        """
        return Job(
            content=content,
            pictures=pictures or [self.style],
            grams=grams,
            regions=regions,
            betas=engines.betas_for(self.module, self.settings.scales),
            intensity=self.settings.intensity,
            steps=steps if steps is not None else self.settings.steps,
            prox=prox,
            encoder=self.encoder,
            joint=True,
            start=start,
            penalty=penalty,
        )

    def states(self, job: Job) -> Iterator[State]:
        """Run the engine."""
        return engines.states(self.module, job)


def prepare(
    style: Any,
    size: tuple[int, int],
    *,
    model: str | nn.Module,
    optimise: bool = False,
    moving: bool = False,
    intensity: float = 1.0,
    longer: int | None = None,
    style_size: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    encoder: str | None = None,
    place: torch.device,
    max_pixels: int | None,
) -> Prepared:
    """Check everything and load what is needed.

    Args:
        style: A picture or "gallery:NAME"; None only for a network of a single style.
        size: Height and width of the content.
        model: An engine's name, a module, or "auto".
        optimise: Whether "auto" means Gatys' optimisation.
        moving: Whether "auto" means the steadiest engine, for videos.
        longer: Longer side that was asked for.
        intensity, style_size, steps, seed, encoder, max_pixels: as in `zoo.tasks.stylize`.
        place: Where to compute.

    Raises:
        TypeError, ValueError: as `zoo.tasks.stylize`.
    """
    name = model if isinstance(model, str) else type(model).__name__
    settings = StylizeSettings(
        model=name,
        styles=(style if isinstance(style, str) else None,),
        intensity=intensity,
        size=longer,
        style_size=style_size,
        steps=steps,
        seed=seed,
        encoder=encoder,
    )
    if isinstance(model, str):
        choice = choose(model, moving)
        if optimise and model == "auto":
            choice = Choice(REFERENCE, "the optimisation, which is what was asked for")
        module = engines.loaded(choice.name, place)
    else:
        choice, module = Choice(name, "as given"), model.eval().to(place)
    if fixed := getattr(module, "style", None):
        style = f"{GALLERY}{fixed}"
    if style is None:
        raise ValueError("style: a picture or the name of a painting")
    engines.check(module, settings.steps, settings.scales, False, size[0] * size[1])
    named, perceptual = engines.encoder_for(module, encoder, place)
    picture = open_style(style, 0, settings.style_size, max(size), settings.seed, max_pixels).to(place)
    settings = dataclasses.replace(settings, model=choice.name, styles=(style if isinstance(style, str) else None,))
    return Prepared(module, choice, perceptual, named, picture, settings, isinstance(style, str))
