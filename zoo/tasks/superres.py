"""Enlarge textures: one job behind the Python API, `zoo superres` and the web app, for every engine of the zoo."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..images import MAX_PIXELS
from ..metrics import psnr
from ..models.flexible_solver import FlexibleSolver
from ..models.gatys import Gatys
from ..models.vgg import VGGEncoder
from ..prox import Degradation
from ..stylize.engines import loaded
from ..stylize.ranking import AUTO, Choice
from ..superres import engines
from ..superres.engines import Job, State
from ..superres.pictures import gram_snr, open_low, open_reference, open_truth
from ..superres.ranking import BICUBIC, choose
from ..superres.settings import LAM, MIN_SIDE, SCALES

ENCODER = "vgg19_half.tiny_imagenet"
"""Whose Gram matrices the quality is measured with."""
MEASURED_PIXELS = 4_200_000
"""Gram matrices are compared for results up to this size."""


@dataclass(frozen=True)
class SuperResolveInfo:
    """What was done to a picture."""

    model: str
    """The engine; "bicubic" for interpolation."""
    reason: str
    """Why this one."""
    guided: bool
    """Whether there was a reference."""
    scale: int
    height: int
    width: int
    """Of the result."""
    iterations: int
    seconds: float
    """The measurement of the quality not included."""
    lam: float | None
    """λ_R; None for engines without a data term."""
    objective: float | None
    """Reached; None for engines that minimise none."""
    residual: float
    """Root mean square of D X − X_low on the 0..255 scale: how far the result, made small again, is from the input."""
    psnr: float | None = None
    """Of the luminance, dB; this and the following only where the truth is known, and at the end."""
    psnr_bicubic: float | None = None
    gram_snr: float | None = None
    """Of the Gram matrices, dB; see `zoo.superres.pictures.gram_snr`."""
    gram_snr_bicubic: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able: figures that are infinite, where nothing is wrong at all, are None."""
        found = dataclasses.asdict(self)
        return {key: None if isinstance(v, float) and math.isinf(v) else v for key, v in found.items()}


@dataclass(frozen=True)
class SuperResolveStep:
    """A state on the way to the result."""

    image: Any
    """Of the kind that was given, `scale` times as large; the first is bicubic interpolation."""
    progress: float
    """0 … 1; 1 at the end."""
    info: SuperResolveInfo
    done: bool


def texture_super_resolve(
    low: Any,
    reference: Any = None,
    scale: int = 3,
    *,
    model: str | nn.Module = AUTO,
    lam: float = LAM,
    intensity: float = 1.0,
    steps: int | None = None,
    truth: Any = None,
    return_info: bool = False,
    device: str | torch.device | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Any:
    """Enlarge a picture of a texture so that it has the Gram matrices of a reference and, made small, is the input.

    Luminance only; colours, and transparency if there is any, are enlarged by bicubic interpolation. What made the
    input small is taken to be a Gaussian of σ = scale and every scale-th pixel, see `zoo.prox.Degradation`. Other
    pictures than textures are enlarged as well, and without a reference that is the better choice for them.

    Args:
        low: PIL image, numpy array or tensor of one picture, see `zoo.images.to_picture`; any size for "bicubic" and
            SRCNN, else so that the result has from 16×16 pixels to 1.2 megapixels (4.2 for a flexible solver).
        reference: A sharp picture of a similar texture, at the scale that the result shall have; from 16×16 pixels, of
            more than 1024 pixels the middle is used. Its mean and contrast are matched to those of `low`. None: not
            guided; only the data, and closeness to bicubic interpolation, count.
        scale: 2, 3 or 4.
        model: An entry of the registry for the task "superres", a module, "bicubic", or "auto": the best of
            those that can be guided and are installed.
        lam: λ_R ≥ 0 of the data term ‖X_low − D X‖².
        intensity: ≥ 0, weighs the reference: multiplies the β.
        steps: Iterations; None: all that a solver has, 30 of the optimisation.
        truth: The picture that is to be found, if it is known, to measure the result with.
        return_info: Also return the record.
        device: Where to compute; None: CUDA if there is one.
        max_pixels: Limit on height × width of the result and of the reference; None: no limit.

    Returns:
        The picture, of the kind and type that was given, with its alpha channel. With `return_info` also a
        `SuperResolveInfo`.

    Raises:
        TypeError: a type that is not accepted.
        ValueError: bad pixels, sizes or numbers, a model for another task, or a reference for a model that takes none.
    """
    for step in texture_super_resolve_steps(
        low,
        reference,
        scale,
        model=model,
        lam=lam,
        intensity=intensity,
        steps=steps,
        truth=truth,
        device=device,
        max_pixels=max_pixels,
    ):
        last = step
    return (last.image, last.info) if return_info else last.image


def texture_super_resolve_steps(
    low: Any,
    reference: Any = None,
    scale: int = 3,
    *,
    model: str | nn.Module = AUTO,
    lam: float = LAM,
    intensity: float = 1.0,
    steps: int | None = None,
    truth: Any = None,
    device: str | torch.device | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Iterator[SuperResolveStep]:
    """`texture_super_resolve` in steps: bicubic interpolation, then each iteration, to be watched and stopped.

    Args:
        As in `texture_super_resolve`.

    Returns:
        An iterator of `SuperResolveStep`; the last has `done` and what was measured. Arguments are checked at once,
        before the first step.

    Raises:
        TypeError, ValueError: as in `texture_super_resolve`.
    """
    if scale not in SCALES or isinstance(scale, bool):
        raise ValueError(f"scale: one of {SCALES}, got {scale!r}")
    for name, value in (("lam", lam), ("intensity", intensity)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name}: at least 0 and finite, got {value}")
    if steps is not None and (isinstance(steps, bool) or int(steps) != steps or steps < 1):
        raise ValueError(f"steps: a whole number of at least 1, got {steps}")
    place = torch.device(device) if device is not None else torch.device("cuda" if torch.cuda.is_available() else "cpu")
    small = open_low(low, scale, max_pixels)
    size = (small.enlarged.shape[-2], small.enlarged.shape[-1])
    choice = choose(model) if isinstance(model, str) else Choice(type(model).__name__, "as given")
    module: nn.Module | None
    if isinstance(model, str):
        module = None if choice.name == BICUBIC else loaded(choice.name, place)
    else:
        module = model.eval().to(place)
    engines.check(module, scale, reference is not None, steps, size)
    guide = None if reference is None else open_reference(reference, max_pixels).to(place)
    known = None if truth is None else open_truth(truth, size)
    job = Job(
        low=small.luminance.to(place),
        start=small.start.to(place),
        reference=guide,
        degradation=Degradation(scale),
        lam=float(lam),
        intensity=float(intensity),
        steps=steps,
        encoder=_encoder(module, place),
    )
    base = SuperResolveInfo(
        model=choice.name,
        reason=choice.reason,
        guided=guide is not None,
        scale=scale,
        height=size[0],
        width=size[1],
        iterations=0,
        seconds=0.0,
        lam=float(lam) if isinstance(module, (FlexibleSolver, Gatys)) else None,
        objective=None,
        residual=math.nan,
    )
    return _run(module, job, base, small.restore, known)


def _run(
    module: nn.Module | None, job: Job, base: SuperResolveInfo, restore: Callable[[Tensor], Any], truth: Tensor | None
) -> Iterator[SuperResolveStep]:
    began = time.perf_counter()
    for state in engines.states(module, job):
        info = dataclasses.replace(
            base,
            iterations=state.iteration,
            seconds=time.perf_counter() - began,
            objective=state.objective,
            residual=_residual(state, job),
        )
        if state.done and truth is not None:
            info = _measured(info, state.image.cpu(), job.start.cpu(), truth)
        yield SuperResolveStep(restore(state.image), 1.0 if state.done else state.progress, info, state.done)


@torch.no_grad()
def _residual(state: State, job: Job) -> float:
    return float((job.degradation(state.image) - job.low).square().mean().sqrt()) * 255


def _measured(info: SuperResolveInfo, image: Tensor, start: Tensor, truth: Tensor) -> SuperResolveInfo:
    found = {"psnr": float(psnr(image, truth)), "psnr_bicubic": float(psnr(start, truth))}
    height, width = truth.shape[-2:]
    if height * width <= MEASURED_PIXELS and min(height, width) >= MIN_SIDE:
        encoder = loaded(ENCODER, torch.device("cpu"))
        assert isinstance(encoder, VGGEncoder)
        found |= {"gram_snr": gram_snr(encoder, image, truth), "gram_snr_bicubic": gram_snr(encoder, start, truth)}
    return dataclasses.replace(info, **found)  # type: ignore[arg-type]


def _encoder(module: nn.Module | None, place: torch.device) -> VGGEncoder | None:
    """The perceptual encoder that an engine works with; None for one without."""
    if not isinstance(module, (FlexibleSolver, Gatys)):
        return None
    encoder = loaded(module.encoder, place)
    assert isinstance(encoder, VGGEncoder)
    return encoder
