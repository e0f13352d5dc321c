"""Restore a picture with an image prior: one job behind the Python API, `zoo restore` and the web app."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from .. import registry
from ..images import MAX_PIXELS, to_picture
from ..loading import load
from ..models.autoencoder import AutoEncoder
from ..models.latent import LatentModel
from ..restore.choice import default_model
from ..restore.fit import Fit, fit_dip, fit_kind, fit_latents, frozen
from ..restore.frame import Frame, frame_of
from ..restore.problem import Kinds, Problem, parse_kinds

STEPS = {"latent": 300, "dip": 1000}
DIP_SIDE = 256
"""Longest side at which a deep image prior works; larger pictures are restored at this size and put together."""
EVERY = 0.4  # seconds between two states


@dataclass(frozen=True)
class RestoreInfo:
    """What was done to a picture."""

    model: str
    degradation: str
    steps: int
    seconds: float
    energy: float
    """E(x | y), the weighted mean squared error of the evidence, of the best state."""
    box: tuple[int, int, int, int]
    """Left, top, width and height, in pixels of the input, of what the prior saw."""
    angle: float
    """By which that was turned clockwise about its middle, degrees."""
    start: str
    """Where the fit started: "encoder" or "seed"."""
    space: str
    """In which space it was fitted: "phi", "z", or "weights" for a deep image prior."""
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class RestoreStep:
    """A state on the way to the result; the best so far."""

    image: Any
    """Of the kind that was given; larger and in colour where that was asked for."""
    progress: float
    """0 … 1; 1 at the end."""
    info: RestoreInfo
    done: bool


def restore(
    image: Any,
    degradation: str | Sequence[str] = "inpaint",
    mask: Any = None,
    model: str | None = None,
    *,
    return_info: bool = False,
    **options: Any,
) -> Any:
    """Restore a picture: find the image that explains the evidence best among those that a prior can make.

    Args:
        image: The evidence: PIL image, numpy array or tensor of one picture; see `zoo.images.to_picture`.
        degradation: What happened to it: "inpaint", "colourise", "x2", "x4", "x8" (enlarge by so much), "jpeg",
            "denoise", or several, joined by "+" or as a list.
        mask: The holes for "inpaint": PIL image or array as large as the picture, bright where a pixel is missing; or
            "centre", "half" or "random95", the holes of the paper's tasks.
        model: An entry of the registry for the task "restore"; None: `lcm.faces128` if it is there, else `dip.small`.
        return_info: Also return the record.
        options: As in `restore_steps`.

    Returns:
        The picture, of the kind that was given; larger, or in colour, where that was asked for. With `return_info` also
        a `RestoreInfo`.

    Raises:
        TypeError, ValueError: as in `restore_steps`.
    """
    for step in restore_steps(image, degradation, mask, model, every=math.inf, **options):
        last = step
    return (last.image, last.info) if return_info else last.image


def restore_steps(
    image: Any,
    degradation: str | Sequence[str] = "inpaint",
    mask: Any = None,
    model: str | None = None,
    *,
    steps: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    box: str | Sequence[float] = "auto",
    space: str | None = None,
    start: str = "encoder",
    lr: float | None = None,
    pull: float | None = None,
    every: float = EVERY,
    device: str | torch.device | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Iterator[RestoreStep]:
    """`restore` in steps, so that it can be watched, and stopped between two states.

    Args:
        image, degradation, mask, model: as in `restore`.
        steps: Steps of the fit; the result then depends on nothing but the arguments. None: 300, for a deep image prior
            1000.
        seconds: Budget of time instead.
        seed: Of the start, and of a deep image prior.
        box: What a prior of a fixed size sees: "square" (the largest square, over the holes if that is possible),
            "face" (the most prominent face, turned upright if the head is tilted), "auto" (for a prior of faces a face
            that is surely there, and over the holes if there are any; else the square), or left, top, side and perhaps
            an angle, in pixels of the input and degrees clockwise. The rest stays as it is. A deep image prior sees the
            whole picture.
        space: "z" fits a latent convolutional model in z instead of φ.
        start: "encoder": the latent model's feed-forward start where there is one; "seed": never.
        lr: Step size; None: the model's.
        pull: Weight of a Gaussian prior about the start of a latent; 0: none, as in the paper; None: the model's.
            Without it a long fit fills holes with what the evidence does not ask for.
        every: Seconds between two states; the last comes in any case.
        device: Where to compute; None: CUDA if there is one.
        max_pixels: Limit on height × width, also of the result; None: no limit.

    Returns:
        An iterator of `RestoreStep`, at least one. Arguments are checked at once, before the first step.

    Raises:
        TypeError: a type that is not accepted.
        ValueError: bad pixels, mask, box or budget, a model for another task; `NoFaceError` where no face is found.
    """
    entry = registry.info(model if model is not None else default_model())
    if "restore" not in entry.tasks:
        raise ValueError(f"model: {entry.name} is for {', '.join(entry.tasks)}; zoo list --task restore shows priors")
    if steps is not None and seconds is not None:
        raise ValueError("steps, seconds: give one of them, not both")
    if (steps is not None and steps < 1) or (seconds is not None and not 0 < seconds < math.inf):
        raise ValueError(f"steps, seconds: must be positive, got {steps}, {seconds}")
    if start not in ("encoder", "seed"):
        raise ValueError(f"start: 'encoder' or 'seed', got {start!r}")
    if pull is not None and not 0 <= pull < math.inf:
        raise ValueError(f"pull: must not be negative, got {pull}")
    kinds = parse_kinds(degradation)
    evidence, back = _picture(image, kinds, max_pixels)
    height, width = evidence.shape[-2:]
    if max_pixels is not None and height * width * kinds.factor**2 > max_pixels:
        raise ValueError(f"image: {width}×{height} enlarged by {kinds.factor} exceeds {max_pixels / 1e6:g} megapixels")
    known = ~_holes(mask, height, width, kinds, seed)
    where = torch.device(device) if device is not None else torch.device("cuda" if torch.cuda.is_available() else "cpu")
    module = load(entry.name, device=where)
    if fit_kind(module) == "dip":
        problem = _whole(kinds, evidence, known)
    else:
        assert isinstance(module, LatentModel)
        size = module.size
        if size % kinds.factor:
            raise ValueError(f"degradation: {entry.name} makes {size}×{size}, which {kinds.factor} does not divide")
        frame = frame_of(box, evidence, known, knows_faces(entry.tag))
        problem = Problem(kinds, evidence, known, frame, (size, size))
    text = degradation if isinstance(degradation, str) else "+".join(degradation)
    options = {"space": space, "lr": lr, "pull": pull}
    box, angle = problem.frame.box, problem.frame.angle
    info = RestoreInfo(entry.name, text, 0, 0.0, math.inf, box, angle, "seed", "weights", seed)
    budget = steps if steps is not None or seconds is not None else STEPS[fit_kind(module)]
    return _run(problem, module, entry.tag, info, back, budget, seconds, start, options, every, where)


def _run(
    problem: Problem,
    module: nn.Module,
    tag: str,
    info: RestoreInfo,
    back: Callable[[Tensor], Any],
    steps: int | None,
    seconds: float | None,
    start: str,
    options: Mapping[str, Any],
    every: float,
    device: torch.device,
) -> Iterator[RestoreStep]:
    began = time.perf_counter()
    degradation, y = problem.degradation, problem.evidence.to(device)

    def spent(step: int) -> float:
        return step / steps if steps is not None else (time.perf_counter() - began) / (seconds or 1.0)

    def energy(x: Tensor) -> Tensor:
        return degradation.energy(x, y)

    fits: Iterator[Fit]
    if isinstance(module, LatentModel):
        first = starting_latent(module, tag, degradation.evidence(y)) if start == "encoder" else None
        space = options["space"] or module.fit["spaces"][0]
        info = dataclasses.replace(info, space=space, start="seed" if first is None else "encoder")
        fits = fit_latents(module, energy, 1, fraction=spent, seed=info.seed, start=first, device=device, **options)
    else:
        fits = fit_dip(module, energy, problem.size, fraction=spent, seed=info.seed, device=device)  # type: ignore[arg-type]

    def state(fit: Fit, done: bool) -> RestoreStep:
        passed = time.perf_counter() - began
        best = float(fit.best_energy[0])
        made = problem.compose(fit.render()[0].cpu())
        now = dataclasses.replace(info, steps=fit.step, seconds=passed, energy=best)
        return RestoreStep(back(made), 1.0 if done else min(1.0, spent(fit.step)), now, done)

    shown = began
    with frozen(module):
        for fit in fits:
            if time.perf_counter() - shown >= every:
                yield state(fit, False)
                shown = time.perf_counter()
    yield state(fit, True)


def knows_faces(tag: str) -> bool:
    """Whether a prior is one of faces: the tag of its entry says what it knows, and for what size."""
    return tag.startswith("faces")


@torch.no_grad()
def starting_latent(model: LatentModel, tag: str, evidence: Tensor) -> Tensor | None:
    """A start in one pass: the autoencoder's own code, or that of `lcm_encoder.<tag>` if there is one.

    Args:
        model: The prior.
        tag: Of its entry.
        evidence: (B, 4, size, size), as `Degradation.evidence` makes it.

    Returns:
        Latents (B, *latent_shape), or None where there is nothing to make them.
    """
    if isinstance(model, AutoEncoder):
        return model.encode(evidence[:, :3])
    name = f"lcm_encoder.{tag}"
    if name not in registry.list_models():
        return None
    encoder = load(name, device=evidence.device)
    if tuple(getattr(encoder, "latent_shape", ())) != tuple(model.latent_shape):
        return None
    return encoder(evidence)


def _picture(image: Any, kinds: Kinds, max_pixels: int | None) -> tuple[Tensor, Callable[[Tensor], Any]]:
    """The evidence (C, h, w), and the way from a result (3, H, W) to the caller's kind of picture."""
    if kinds.grey or kinds.factor > 1:  # another size or other channels: transparency and palettes do not fit any more
        if isinstance(image, Image.Image):
            image = image.convert("RGB")
        elif isinstance(image, np.ndarray):
            image = image[..., None] if image.ndim == 2 else image[..., :3]
    picture = to_picture(image, max_pixels=max_pixels)
    if len(picture.tensor) != 1:
        raise ValueError(f"image: one picture at a time, got a batch of {len(picture.tensor)}")
    tensor = picture.tensor[0].float().cpu().clamp(0, 1)
    if tensor.shape[0] not in (1, 3):
        raise ValueError(f"image: 1 or 3 channels, got {tensor.shape[0]}")
    single = tensor.shape[0] == 1 and not kinds.grey
    evidence = tensor.mean(0, keepdim=True) if kinds.grey else tensor.expand(3, -1, -1)

    def back(result: Tensor) -> Any:
        made = result.mean(0, keepdim=True) if single else result
        return picture.restore(made[None].to(picture.tensor))

    return evidence, back


def _holes(mask: Any, height: int, width: int, kinds: Kinds, seed: int) -> Tensor:
    """bool (height, width), True where a pixel is missing."""
    from ..restore.masks import preset

    if not kinds.holes:
        if mask is not None:
            raise ValueError("mask: goes with the degradation 'inpaint'")
        return torch.zeros(height, width, dtype=torch.bool)
    if mask is None:
        raise ValueError("mask: 'inpaint' needs one, bright where pixels are missing")
    if isinstance(mask, str):
        return preset(mask, height, width, seed)
    if isinstance(mask, Image.Image):
        mask = mask.convert("L")
    array = np.asarray(mask.detach().cpu() if isinstance(mask, Tensor) else mask)
    array = array.squeeze()
    if array.ndim == 3 and array.shape[-1] in (3, 4):
        array = array[..., :3].max(-1)
    if array.shape != (height, width):
        raise ValueError(f"mask: must be as large as the picture, {width}×{height}, got shape {array.shape}")
    if array.dtype != np.bool_:
        if not np.issubdtype(array.dtype, np.number) or not np.isfinite(array).all():
            raise ValueError("mask: must have numbers, 0 where pixels are known")
        array = array > (0.5 if np.issubdtype(array.dtype, np.floating) else np.iinfo(array.dtype).max // 2)
    if not array.any():
        raise ValueError("mask: is empty, no pixel is marked as missing")
    if array.all():
        raise ValueError("mask: covers the whole picture, so nothing of it is known")
    return torch.from_numpy(array.copy())


def _whole(kinds: Kinds, evidence: Tensor, known: Tensor) -> Problem:
    """The whole picture, at no more than `DIP_SIDE`."""
    height, width = evidence.shape[-2:]
    scale = min(1.0, DIP_SIDE / (kinds.factor * max(height, width)))
    size = tuple(kinds.factor * max(1, round(side * scale)) for side in (height, width))
    return Problem(kinds, evidence, known, Frame((0, 0, width, height)), size)  # type: ignore[arg-type]
