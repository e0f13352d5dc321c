"""Transfer styles: one job behind the Python API, `zoo stylize` and the web app, for every engine of the zoo."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..images import MAX_PIXELS
from ..models.vgg import VGGEncoder
from ..prox import Operators, in_turn
from ..style.loss import Grams, Terms
from ..stylize import engines
from ..stylize.colour import luminance, matched, recoloured
from ..stylize.engines import Job, Prox
from ..stylize.grams import OF_PAINTINGS, GramCache, grams_of
from ..stylize.pictures import Content, open_content, open_style
from ..stylize.ranking import AUTO, Choice, choose
from ..stylize.regions import Region, regions
from ..stylize.settings import GALLERY, StylizeSettings

__all__ = ["GramCache", "StylizeInfo", "StylizeLoss", "StylizeSettings", "StylizeStep", "stylize", "stylize_steps"]


@dataclass(frozen=True)
class StylizeLoss:
    """L_TV (Puy & Pérez 2019, section 5.1) in parts; with `color="content"` that of the luminance pictures."""

    total: float
    style: tuple[float, ...]
    """Of the five scales, β included."""
    content: float
    tv: float


@dataclass(frozen=True)
class StylizeInfo:
    """What was done to one picture."""

    engine: str
    """The model that did it."""
    reason: str
    """Why this one."""
    encoder: str | None
    settings: StylizeSettings
    """With these and the same pictures and masks, the result comes out again."""
    height: int
    width: int
    iterations: int
    seconds: float
    """The styles' Gram matrices included, the measurement of the loss not."""
    loss: StylizeLoss | None = None
    """Reached; None before the end, with masks, for large pictures and for engines without an encoder."""
    loss_before: StylizeLoss | None = None
    """Of the content as it is."""

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-able data."""
        return dataclasses.asdict(self) | {"settings": self.settings.to_dict()}


@dataclass(frozen=True)
class StylizeStep:
    """A state on the way to the result."""

    image: Any
    """X(t), of the kind that was given; of a batch, the pictures that are to come are still as they were."""
    iteration: int
    """t of the picture that is being worked on; 0 is the content."""
    progress: float
    """0 … 1; 1 at the end."""
    infos: tuple[StylizeInfo, ...]
    """One for each picture that was begun."""
    done: bool
    measuring: bool = False
    """The picture is as it will be at the end, and only its loss is not known yet."""

    @property
    def info(self) -> StylizeInfo:
        """The record of the last picture begun, usually the only one."""
        return self.infos[-1]


def stylize(
    content: Any,
    styles: Any = (),
    style_weights: Sequence[float] | None = None,
    scale_weights: Sequence[float] | None = None,
    intensity: float = 1.0,
    masks: Sequence[Any] | None = None,
    color: str = "style",
    size: int | None = None,
    style_size: int | None = None,
    steps: int | None = None,
    *,
    model: str | nn.Module = AUTO,
    encoder: str | None = None,
    seed: int = 0,
    prox: Operators | None = None,
    cache: GramCache | None = None,
    measure: bool = True,
    return_info: bool = False,
    device: str | torch.device | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Any:
    """Give a picture the style of others.

    Args:
        content: PIL image, numpy array or tensor, see `zoo.images.to_picture`; from 16×16 pixels, after `size` up to
            4.2 megapixels (1.2 for "gatys"). A batch (4-D tensor) is done one picture after the other.
        styles: A picture or up to four, of these kinds or "gallery:NAME", a painting of `zoo.gallery`. A network of a
            single style takes that one, whatever is given.
        style_weights: How much of each style, ≥ 0; only ratios matter. None: the same of each.
        scale_weights: How much of each of the five scales of style, the finest strokes first, ≥ 0; 1 is usual. They
            multiply the β that look best with the engine, which are `usual_betas` of a solver and 1 in the
            optimisation. None: all 1. Not for networks of one pass.
        intensity: ≥ 0, 1 as trained. Multiplies the β of a solver, weighs style against content in the optimisation,
            and blends features in networks of one pass, where more than 1 counts as 1.
        masks: Where each style applies: for each a picture of any size whose white is there, or None. Styles without
            one take the rest; where masks overlap, they share; where there is no style, the content stays.
        color: "style", or "content" to transfer luminance only, between pictures of the same mean and deviation. Grey
            contents come back in colour with "style", and grey with "content".
        size: Longer side to work and return the content at, pixels. None: as it is.
        style_size: The same of the styles: smaller ones make finer strokes. None: as they are, but no larger than the
            content (between 256 and 1024 pixels), paintings of the gallery 512.
        steps: Iterations; None: all that a solver has, 100 of the optimisation.
        model: An entry of the registry for the task "stylize", a module, or "auto": the best of those installed.
        encoder: Perceptual encoder of the optimisation, a name. Trained models have their own and take no other.
        seed: Of gallery paintings; nothing else is random.
        prox: Proximal operator, (1, 3, H, W) to the same, or a list of them, applied in turn after each update of a
            solver and once after a network of one pass (Puy & Pérez 2019, equation 16); see `zoo.prox`.
        cache: Keeps the styles' Gram matrices for the next call. None: only those of gallery paintings are kept.
        measure: Whether to compute the loss that was reached.
        return_info: Also return the record.
        device: Where to compute; None: where the tensor is, for other kinds CUDA if there is one.
        max_pixels: Limit on height × width of every picture as given; None: no limit.

    Returns:
        The picture, of the kind and type that was given, with its alpha channel. With `return_info` also a
        `StylizeInfo`, for a batch a tuple of one per picture.

    Raises:
        TypeError: a type that is not accepted.
        ValueError: bad pixels, sizes or numbers; a model for another task; an encoder that is not a trained model's
            own; or a result that is not finite.
    """
    for step in stylize_steps(
        content,
        styles,
        style_weights,
        scale_weights,
        intensity,
        masks,
        color,
        size,
        style_size,
        steps,
        model=model,
        encoder=encoder,
        seed=seed,
        prox=prox,
        cache=cache,
        measure=measure,
        device=device,
        max_pixels=max_pixels,
    ):
        last = step
    if not return_info:
        return last.image
    return last.image, last.infos if isinstance(content, Tensor) and content.ndim == 4 else last.info


def stylize_steps(
    content: Any,
    styles: Any = (),
    style_weights: Sequence[float] | None = None,
    scale_weights: Sequence[float] | None = None,
    intensity: float = 1.0,
    masks: Sequence[Any] | None = None,
    color: str = "style",
    size: int | None = None,
    style_size: int | None = None,
    steps: int | None = None,
    *,
    model: str | nn.Module = AUTO,
    encoder: str | None = None,
    seed: int = 0,
    prox: Operators | None = None,
    cache: GramCache | None = None,
    measure: bool = True,
    device: str | torch.device | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Iterator[StylizeStep]:
    """`stylize` in steps: X(0), the content itself, then each iteration, so that it can be watched and stopped.

    Args:
        As in `stylize`.

    Returns:
        An iterator of `StylizeStep`; the last has `done` and the result. Arguments are checked at once, before the
        first step.

    Raises:
        TypeError, ValueError: as in `stylize`.
    """
    listed = _listed(styles)
    name = model if isinstance(model, str) else type(model).__name__
    settings = StylizeSettings(
        model=name,
        styles=tuple(style if isinstance(style, str) else None for style in listed),
        style_weights=style_weights,  # type: ignore[arg-type]
        scale_weights=scale_weights,  # type: ignore[arg-type]
        intensity=intensity,
        color=color,
        size=size,
        style_size=style_size,
        steps=steps,
        seed=seed,
        encoder=encoder,
    )
    picture = open_content(content, settings.size, settings.color == "content", max_pixels)
    if device is None and not isinstance(content, Tensor):
        device = "cuda" if torch.cuda.is_available() else "cpu"
    place = torch.device(device) if device is not None else picture.tensor.device
    choice = choose(model) if isinstance(model, str) else Choice(name, "as given")
    module = engines.loaded(choice.name, place) if isinstance(model, str) else model.eval().to(place)
    if fixed := getattr(module, "style", None):
        listed = [f"{GALLERY}{fixed}"]
        settings = dataclasses.replace(settings, styles=tuple(listed), style_weights=None)
    if not listed:
        raise ValueError("styles: at least one")
    operator = in_turn(prox)
    engines.check(module, settings.steps, settings.scales, operator is not None, picture.tensor.shape[-2:].numel())
    named, perceptual = engines.encoder_for(module, encoder, place)
    areas = regions(settings.weights, masks, tuple(picture.tensor.shape[-2:]), max_pixels)  # type: ignore[arg-type]
    longest = max(picture.tensor.shape[-2:])
    pictures = [
        open_style(style, i, settings.style_size, longest, settings.seed, max_pixels).to(place)
        for i, style in enumerate(listed)
    ]
    plan = _Plan(
        module=module,
        content=picture,
        pictures=pictures,
        public=[isinstance(style, str) and settings.color == "style" for style in listed],
        areas=areas,
        settings=dataclasses.replace(settings, model=choice.name),
        choice=choice,
        encoder=perceptual,
        encoder_name=named,
        prox=operator,
        cache=cache,
        measure=measure,
        place=place,
    )
    return plan.run()


@dataclass(frozen=True)
class _Plan:
    """Everything checked and opened."""

    module: nn.Module
    content: Content
    pictures: Sequence[Tensor]
    public: Sequence[bool]
    """Whose Gram matrices may stay in the process."""
    areas: Sequence[Region]
    settings: StylizeSettings
    choice: Choice
    encoder: VGGEncoder | None
    encoder_name: str | None
    prox: Prox | None
    cache: GramCache | None
    measure: bool
    place: torch.device

    def run(self) -> Iterator[StylizeStep]:
        whole = self.content.tensor.clone()
        count = len(whole)
        infos: list[StylizeInfo] = []
        for index in range(count):
            base = StylizeInfo(
                engine=self.choice.name,
                reason=self.choice.reason,
                encoder=self.encoder_name,
                settings=self.settings,
                height=whole.shape[2],
                width=whole.shape[3],
                iterations=0,
                seconds=0.0,
            )
            infos.append(base)
            start = time.perf_counter()
            content = self.content.tensor[index : index + 1].to(self.place)
            job = self._job(content)
            for state in engines.states(self.module, job):
                grey = self.settings.color == "content"
                whole[index] = (recoloured(state.image, content) if grey else state.image)[0].to(whole)
                infos[index] = dataclasses.replace(
                    base,
                    iterations=state.iteration,
                    seconds=time.perf_counter() - start,
                    loss=as_loss(state.terms),
                )
                last = state.done and index == count - 1
                share = (index + state.progress) / count
                if state.done and self.measure:
                    if state.terms is None:  # which takes as long as a fast network: not before the picture is shown
                        yield self._step(whole, state.iteration, 0.99 * share, infos, measuring=True)
                    if found := engines.measured(job, state.image):
                        before, after = map(as_loss, found)
                        infos[index] = dataclasses.replace(infos[index], loss_before=before, loss=after)
                yield self._step(whole, state.iteration, 1.0 if last else share, infos, done=last)

    def _step(
        self,
        whole: Tensor,
        iteration: int,
        progress: float,
        infos: Sequence[StylizeInfo],
        done: bool = False,
        measuring: bool = False,
    ) -> StylizeStep:
        image = self.content.restore(whole.clone())
        return StylizeStep(image, iteration, progress, tuple(infos), done, measuring)

    def _job(self, content: Tensor) -> Job:
        pictures = list(self.pictures)
        if self.settings.color == "content":
            target = content
            content = luminance(content)
            pictures = [matched(luminance(picture), luminance(target)) for picture in pictures]
        return Job(
            content=content,
            pictures=pictures,
            grams=lambda i: self._grams(i, pictures[i]),
            regions=self.areas,
            betas=engines.betas_for(self.module, self.settings.scales),
            intensity=self.settings.intensity,
            steps=self.settings.steps,
            prox=self.prox,
            encoder=self.encoder,
        )

    def _grams(self, index: int, picture: Tensor) -> Grams:
        assert self.encoder is not None and self.encoder_name is not None
        cache = OF_PAINTINGS if self.public[index] else self.cache
        if cache is None:
            return grams_of(self.encoder, picture)
        return cache.get(self.encoder, self.encoder_name, picture)


def _listed(styles: Any) -> list[Any]:
    """Styles as a list, whether one was given or several."""
    if styles is None:
        return []
    single = isinstance(styles, (str, Image.Image, np.ndarray, Tensor))
    if not single and not isinstance(styles, Sequence):
        raise TypeError(f"styles: a picture, a name, or a list of these, not {type(styles).__name__}")
    return [styles] if single else list(styles)


def as_loss(terms: Terms | None) -> StylizeLoss | None:
    """The loss as numbers; None for none, or one that is not finite."""
    if terms is None:
        return None
    total = float(terms.total)
    if not math.isfinite(total):
        return None
    return StylizeLoss(total, tuple(terms.style[0].tolist()), float(terms.content), float(terms.tv))
