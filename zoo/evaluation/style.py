"""Style transfer engines side by side: the loss L_TV that each reaches, its time and its memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import registry
from ..datasets import ImageFiles, resize_shorter
from ..gallery import PAINTINGS, paint
from ..images import to_picture
from ..loading import load
from ..models.flexible_solver import FlexibleSolver
from ..models.johnson import Johnson
from ..models.stylizer import Stylizer
from ..models.vgg import VGGEncoder
from ..style.gatys import gatys_steps
from ..style.loss import content_target, style_targets, total_loss
from ..style.own import styles_for
from .held_out import spread
from .memory import peak_memory

ENCODER = "vgg19_half.tiny_imagenet"
CONTENTS = 24
GATYS_STEPS = (1, 10, 30, 100, 300)

Engine = Callable[[Tensor, Tensor], Iterator[tuple[int, Tensor]]]
"""Content and style (1, 3, H, W) -> (number of the state, picture) as they come, the last one being the result."""


@dataclass(frozen=True)
class Pair:
    """A content and a style, squares of (1, 3, s, s) in [0, 1]."""

    content_name: str
    style_name: str
    content: Tensor
    style: Tensor


@dataclass(frozen=True)
class StyleScore:
    """One state of one engine for one pair."""

    engine: str
    step: int
    """Iterations of Gatys, iterate of the flexible solver, 1 for other networks, 0 for the content as it is."""
    content: str
    style: str
    l_tv: float
    left: float
    """`l_tv` as a share of that of the content as it is."""
    seconds: float
    """From the two pictures to this state, all that the engine computes of the style included."""
    peak: int | None
    """Bytes that the whole run took at most, beyond what the process held before; None if unknown."""
    image: Tensor
    """(1, 3, s, s) in [0, 1]."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without the picture."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name != "image"}


def style_pairs(
    contents: str | Path, styles: str | Path | Sequence[str] | None = None, size: int = 256, limit: int | None = None
) -> list[Pair]:
    """Photographs that are held out from training, each with one style.

    Args:
        contents: Folder, .zip or .tar of photographs; those held out by `zoo.training` are taken, 24 evenly spread.
        styles: Folder, .zip or .tar; evenly spread ones are taken. Or names of paintings of `zoo.gallery`, taken in
            turn; None: all of these.
        size: Height and width, at least 16; pictures are cut to the largest square.
        limit: Only the first so many pairs.

    Raises:
        ValueError: no pictures, or a bad size.
    """
    if size < 16:
        raise ValueError(f"size: at least 16 pixels, got {size}")
    files = ImageFiles(contents)
    names = files.images()
    if len(names) < 2:
        raise ValueError(f"data {str(contents)!r}: fewer than 2 pictures")
    chosen = [names[index] for index in spread(len(names), CONTENTS)]
    if styles is None or not isinstance(styles, str | Path):
        paintings = list(PAINTINGS if styles is None else styles)
        painted = [paintings[index % len(paintings)] for index in range(len(chosen))]
        look = {name: to_picture(paint(name, size)).tensor for name in dict.fromkeys(painted[:limit])}
    else:
        found = ImageFiles(styles)
        paintings = found.images()
        if not paintings:
            raise ValueError(f"styles {str(styles)!r}: holds no pictures")
        step = max(1, len(paintings) // len(chosen))
        painted = [paintings[index * step % len(paintings)] for index in range(len(chosen))]
        look = {name: _square(found, name, size) for name in dict.fromkeys(painted[:limit])}
    return [
        Pair(content, style, _square(files, content, size), look[style])
        for content, style in list(zip(chosen, painted, strict=True))[:limit]
    ]


def _square(files: ImageFiles, name: str, size: int) -> Tensor:
    pixels = resize_shorter(files.decode(name), size).transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(pixels, np.float32))[None].div(255)


def make_engine(
    engine: str | nn.Module, device: torch.device | str = "cpu", steps: Sequence[int] = GATYS_STEPS
) -> tuple[str, Engine]:
    """An engine and its name.

    Args:
        engine: "content" (the content as it is), "gatys", an entry for the task "stylize", or a module that is one.
        device: Where to compute.
        steps: The iterations after which Gatys is looked at.

    Raises:
        ValueError: a model for another task.
    """
    if engine == "content":
        return "content", lambda content, style: iter([(0, content)])
    if isinstance(engine, str) and engine.split(".")[0] == "gatys":
        encoder = load(ENCODER, device=device)
        assert isinstance(encoder, VGGEncoder)
        encoder.requires_grad_(False)
        return "gatys", lambda content, style: _gatys(encoder, content, style, steps)
    name, module = type(engine).__name__.lower(), engine
    if isinstance(engine, str):
        entry = registry.info(engine)
        if "stylize" not in entry.tasks:
            raise ValueError(f"model: {entry.name} is for {', '.join(entry.tasks)}, not for style transfer")
        name, module = entry.name, load(entry.name, device=device)
    if isinstance(module, FlexibleSolver):
        encoder = load(module.encoder, device=device)
        return name, lambda content, style: _iterates(module, encoder, content, style)
    if not isinstance(module, Stylizer):
        raise ValueError(f"model: {name} has no method stylise")
    return name, lambda content, style: iter([(1, module.stylise(content, [style], [1.0], 1.0))])


def _gatys(encoder: VGGEncoder, content: Tensor, style: Tensor, steps: Sequence[int]) -> Iterator[tuple[int, Tensor]]:
    grams = style_targets(encoder, style)
    pending = sorted(steps)
    for state in gatys_steps(encoder, content, grams, iterations=pending[-1]):
        # when nothing helps any more, the rest of the iterations would not change it
        while pending and (state.iteration >= pending[0] or state.done):
            yield pending.pop(0), state.image


def _iterates(
    solver: FlexibleSolver, encoder: nn.Module, content: Tensor, style: Tensor
) -> Iterator[tuple[int, Tensor]]:
    assert isinstance(encoder, VGGEncoder)
    styles = styles_for(solver, encoder, content, [(style_targets(encoder, style), None)])
    yield from enumerate(solver.iterate(content, styles), 1)


@torch.no_grad()
def score(name: str, engine: Engine, pair: Pair, encoder: VGGEncoder) -> list[StyleScore]:
    """Run an engine on a pair and measure each state.

    Args:
        name: What to call the engine.
        engine: Of `make_engine`.
        pair: What to run it on.
        encoder: Of the loss; on the device where the engine computes.
    """
    device = next(encoder.parameters()).device
    content, style = pair.content.to(device), pair.style.to(device)
    states: list[tuple[int, Tensor, float]] = []
    with peak_memory(device) as peak:
        start = time.perf_counter()
        for step, image in engine(content, style):
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            states.append((step, image.float().clamp(0, 1), time.perf_counter() - start))
    grams = style_targets(encoder, style)
    target = content_target(encoder, content)
    own = float(total_loss(encoder, content, grams, target))
    scores = []
    for step, image, seconds in states:
        loss = float(total_loss(encoder, image, grams, target))
        share = loss / max(own, 1e-12)
        scores.append(
            StyleScore(name, step, pair.content_name, pair.style_name, loss, share, seconds, peak.size, image.cpu())
        )
    return scores


def evaluate_stylizer(
    engine: str | nn.Module,
    pairs: Iterable[Pair],
    *,
    steps: Sequence[int] = GATYS_STEPS,
    device: torch.device | str = "cpu",
) -> Iterator[StyleScore]:
    """Run one engine on pairs of pictures; see `style_pairs`.

    A network of a single style is measured on that style: pairs come with it, whatever style they had.

    Args:
        engine: As in `make_engine`.
        pairs: What to run it on.
        steps: The iterations after which Gatys is looked at.
        device: Where to compute.

    Yields:
        The scores of each pair in turn, as many as the engine has states.

    Raises:
        ValueError: a model for another task.
    """
    name, run = make_engine(engine, device, steps)
    encoder = load(ENCODER, device=device)
    assert isinstance(encoder, VGGEncoder)
    own = own_style(engine)
    for number, pair in enumerate(pairs):
        if own is not None:
            pair = with_painting(pair, own)
        if number == 0:
            with torch.no_grad():  # what is loaded or compiled at the first call is not measured
                next(run(pair.content.to(device), pair.style.to(device)))
        yield from score(name, run, pair, encoder)


def own_style(engine: str | nn.Module) -> str | None:
    """The painting of `zoo.gallery` that a network of a single style was trained for; None for all others."""
    if isinstance(engine, Johnson):
        return engine.style
    if isinstance(engine, str) and engine.split(".")[0] == "johnson":
        return str(registry.info(engine).config["style"])
    return None


def with_painting(pair: Pair, painting: str) -> Pair:
    """The same content with a painting of `zoo.gallery` as its style."""
    size = pair.content.shape[-1]
    return Pair(pair.content_name, painting, pair.content, to_picture(paint(painting, size)).tensor)


def summarise(scores: Iterable[StyleScore]) -> list[dict[str, Any]]:
    """Medians and quartiles for each state of each engine, in the order in which they first appear.

    Returns:
        One record for each: `engine`, `step`, `pairs`; of `l_tv` and `left` the `[quartile, median, quartile]`; the
        median of `seconds`; the largest `peak` in bytes, or None.
    """
    groups: dict[tuple[str, int], list[StyleScore]] = {}
    for one in scores:
        groups.setdefault((one.engine, one.step), []).append(one)
    records = []
    for (engine, step), group in groups.items():
        record: dict[str, Any] = {"engine": engine, "step": step, "pairs": len(group)}
        for key in ("l_tv", "left"):
            values = [getattr(one, key) for one in group]
            record[key] = [round(float(value), 4) for value in np.quantile(values, (0.25, 0.5, 0.75))]
        record["seconds"] = float(np.median([one.seconds for one in group]))
        peaks = [one.peak for one in group if one.peak is not None]
        record["peak"] = max(peaks) if peaks else None
        records.append(record)
    return records
