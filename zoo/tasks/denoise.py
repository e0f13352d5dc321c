"""Denoise a picture: one job behind the Python API, `zoo denoise` and the web app."""

from __future__ import annotations

import dataclasses
import math
import numbers
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .. import denoisers, metrics, registry
from ..entry import Entry
from ..images import MAX_PIXELS, Picture, to_picture
from ..loading import load
from ..models.tv2d import Solve, TV2d
from ..noise import check_sigma, estimate_sigma
from ..precision import fast
from ..tiles import run_tiled

# λ = factor · σ/255. Measured: noise of 10, 25 and 50 on the central 256×256 of ten pictures that scikit-image brings
# (astronaut, camera, chelsea, coffee, rocket, coins, moon, immunohistochemistry, brick, page), rounded and clipped to
# 8 bits; factors from 0.3 to 1.2 in steps of 0.05; the one with the best mean PSNR. The best grows with the noise
# (0.55, 0.65, 0.75 and 0.65, 0.80, 0.85); one for all costs less than 0.2 dB. For single pictures: 0.4 to 1.05.
LAM_PER_SIGMA = {"tv2d.anisotropic": 0.65, "tv2d.isotropic": 0.8}

Numbers = float | Sequence[float] | Tensor


@dataclass(frozen=True)
class DenoiseInfo:
    """What was done to one picture, and how well."""

    model: str
    lam: float | None
    """λ, in the units of the picture in [0, 1]; None for a network."""
    sigma: float | None
    """Noise level on the 0..255 scale, given or estimated; None where λ was given instead."""
    sigma_estimated: bool
    gap: float | None
    """Duality gap, sum over the channels: the objective is at most this far above its minimum; None for a network."""
    relative_gap: float | None
    """Gap over objective; None for a network."""
    iterations: int
    """Iterations that the slowest channel has made; 1 for a network."""
    seconds: float
    backend: str
    """"compiled" or "reference"."""
    psnr: float | None = None
    """dB against the reference, on 8-bit values; None without reference or before the end."""
    ssim: float | None = None
    """None also for pictures smaller than its window."""
    psnr_noisy: float | None = None
    """dB of the picture that was given against the reference."""
    warning: str | None = None
    """What is wrong with using this network for that noise level, in words; None: nothing."""

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-able data; an infinite PSNR (no difference at all) becomes None."""
        record = dataclasses.asdict(self)
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}


@dataclass(frozen=True)
class DenoiseStep:
    """A state on the way to the result."""

    image: Any
    """The picture so far, of the kind that was given."""
    progress: float
    """0 … 1, an estimate; 1 at the end."""
    infos: tuple[DenoiseInfo, ...]
    """One for each image of the batch."""
    done: bool

    @property
    def info(self) -> DenoiseInfo:
        """The record of the first, usually the only, picture."""
        return self.infos[0]


def denoise(
    image: Any,
    model: str = "tv2d.anisotropic",
    lam: Numbers | None = None,
    sigma: Numbers | None = None,
    *,
    reference: Any = None,
    return_info: bool = False,
    tol: float = 1e-4,
    max_iter: int = 1000,
    device: str | torch.device | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Any:
    """Remove white Gaussian noise from a picture.

    The grain of pictures that were compressed or taken by a phone is another thing: neighbouring pixels depend on each
    other there, and most of it stays.

    Args:
        image: PIL image, numpy array or tensor; see `zoo.images.to_picture` for the kinds.
        model: An entry of the registry for the task "denoise"; or "auto": the network that was trained for the noise
            level, if there is one on this machine, else one for a range that the level is in, else (and where `lam` is
            given) total variation. See `zoo.denoisers.choose`.
        lam: λ ≥ 0, strength of the regularisation in the units of the picture in [0, 1]; the larger, the smoother. For
            a batch a number, or one per image. Total variation only: a network has no λ.
        sigma: Noise level, standard deviation on the 0..255 scale, from which λ follows; not together with `lam`.
            Neither: estimated from the picture. What a network does depends on the picture alone; it takes the level
            only to compare it with those that it was trained for.
        reference: The clean picture, of any kind, same size and channels; then PSNR and SSIM are in the record.
        return_info: Also return the record.
        tol: Relative duality gap at which a channel is solved. The root-mean-square distance to the exact solution is
            at most √(2·tol·objective per pixel): with noise of 25, about 0.2 levels of 255 for the default.
        max_iter: Limit on the iterations of a channel. This and `tol` say nothing to a network.
        device: Where to compute; None: where the tensor is, for other kinds CUDA if there is one.
        max_pixels: Limit on height × width; None: no limit.

    Returns:
        The picture, of the kind, type, mode and shape that was given. With `return_info` also a `DenoiseInfo`, for a
        batch (4-D tensor) a tuple of one per image.

    Raises:
        TypeError: a type that is not accepted.
        ValueError: bad pixels, size, λ, σ or reference, or a model for another task; or "auto" for a batch whose noise
            levels call for different models.
    """
    steps = denoise_steps(
        image,
        model,
        lam,
        sigma,
        reference=reference,
        tol=tol,
        max_iter=max_iter,
        device=device,
        max_pixels=max_pixels,
    )
    for step in steps:
        last = step
    if not return_info:
        return last.image
    batched = isinstance(image, Tensor) and image.ndim == 4
    return last.image, last.infos if batched else last.info


def denoise_steps(
    image: Any,
    model: str = "tv2d.anisotropic",
    lam: Numbers | None = None,
    sigma: Numbers | None = None,
    *,
    reference: Any = None,
    tol: float = 1e-4,
    max_iter: int = 1000,
    chunk: int | None = None,
    device: str | torch.device | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Iterator[DenoiseStep]:
    """`denoise` in steps, so that a large picture can be watched, and stopped between two steps.

    Args:
        image, model, lam, sigma, reference, tol, max_iter, device, max_pixels: as in `denoise`.
        chunk: Iterations of a step; None: by the size of the picture, so that a step takes about a second on two
            cores. A multiple of 10 changes the result by rounding at most.

    Returns:
        An iterator of `DenoiseStep`, at least one; the last has `done` and the result. Arguments are checked at once,
        before the first step.

    Raises:
        TypeError, ValueError: as in `denoise`.
    """
    if model != denoisers.AUTO:
        _entry(model)  # a wrong name is said before the picture is looked at
    if not 0 < tol < 1:
        raise ValueError(f"tol: between 0 and 1, got {tol}")
    if max_iter < 1 or (chunk is not None and chunk < 1):
        raise ValueError(f"max_iter, chunk: at least 1, got {max_iter}, {chunk}")
    if lam is not None and sigma is not None:
        raise ValueError("lam, sigma: give one of them, not both")
    picture = to_picture(image, max_pixels=max_pixels)
    clean = None if reference is None else _reference(reference, picture, max_pixels)
    if device is None and not isinstance(image, Tensor):
        device = "cuda" if torch.cuda.is_available() else "cpu"
    x = picture.tensor.to(device) if device is not None else picture.tensor
    count = len(x)
    known: list[float] = []
    if lam is None:
        known = [estimate_sigma(one) for one in x] if sigma is None else _per_image("sigma", sigma, count)
    entry = _entry(_chosen(known) if model == denoisers.AUTO else model)
    if lam is not None and denoisers.is_network(entry):
        raise ValueError(f"lam: {entry.name} is a network and has none; it is for total variation (tv2d)")
    module = load(entry.name, device=x.device)
    if not isinstance(module, TV2d):
        estimated = sigma is None
        plain = [
            DenoiseInfo(
                entry.name, None, level, estimated, None, None, 1, 0.0, _backend(),
                warning=denoisers.warning(entry, level, estimated),
            )
            for level in known
        ]  # fmt: skip
        return _network_steps(module, entry.input.channels, x, picture, clean, plain)
    sigmas: list[float | None] = [*known] if lam is None else [None] * count
    lams = [LAM_PER_SIGMA[entry.name] * v / 255 for v in known] if lam is None else _per_image("lam", lam, count)
    base = [
        DenoiseInfo(entry.name, strength, level, lam is None and sigma is None, 0.0, 0.0, 0, 0.0, _backend())
        for strength, level in zip(lams, sigmas, strict=True)
    ]
    solves = module.steps(
        x, torch.tensor(lams, dtype=x.dtype, device=x.device), chunk=chunk, max_iter=max_iter, tol=tol
    )
    return _steps(solves, picture, clean, base)


def _entry(model: str) -> Entry:
    entry = registry.info(model)
    if "denoise" not in entry.tasks:
        raise ValueError(
            f"model: {entry.name} is for {', '.join(entry.tasks)}; zoo list --task denoise shows denoisers"
        )
    return entry


def _chosen(known: list[float]) -> str:
    """The model for the noise levels of a batch; total variation where λ was given instead."""
    names = {denoisers.choose(level) for level in known} or {denoisers.TOTAL_VARIATION}
    if len(names) > 1:
        raise ValueError(
            f"model: the noise levels of this batch call for different ones ({', '.join(sorted(names))}); "
            "name one, or denoise the pictures one by one"
        )
    return names.pop()


def _steps(
    solves: Iterator[Solve], picture: Picture, clean: Tensor | None, base: list[DenoiseInfo]
) -> Iterator[DenoiseStep]:
    start = time.perf_counter()
    for solve in solves:
        done = solve.progress >= 1
        seconds = time.perf_counter() - start
        infos = []
        for i, info in enumerate(base):
            gap, objective = float(solve.gap[i].sum()), float(solve.objective[i].sum())
            infos.append(
                dataclasses.replace(
                    info,
                    gap=gap,
                    relative_gap=gap / objective if objective > 0 else 0.0,
                    iterations=int(solve.iterations[i].max()),
                    seconds=seconds,
                    **(_quality(solve.image[i : i + 1], picture.tensor[i : i + 1], clean, i) if done else {}),
                )
            )
        yield DenoiseStep(picture.restore(solve.image), solve.progress, tuple(infos), done)


def _network_steps(
    module: nn.Module,
    channels: int | None,
    x: Tensor,
    picture: Picture,
    clean: Tensor | None,
    base: list[DenoiseInfo],
) -> Iterator[DenoiseStep]:
    """One pass of a network, tile by tile; in bfloat16 where the device has it, which costs 0.01 dB and saves more
    than half of the time."""

    def run(tile: Tensor) -> Tensor:
        with fast(tile.device):
            return passed(tile.contiguous(memory_format=torch.channels_last))

    def passed(tile: Tensor) -> Tensor:
        if channels is None or tile.shape[1] == channels:
            return module(tile)
        if tile.shape[1] != 1:
            raise ValueError(f"image: {base[0].model} takes {channels} channels, got {tile.shape[1]}")
        return module(tile.expand(-1, channels, -1, -1)).mean(1, keepdim=True)

    start = time.perf_counter()
    for result, progress in run_tiled(run, x):
        done = progress >= 1
        infos = []
        for i, info in enumerate(base):
            quality = _quality(result[i : i + 1], picture.tensor[i : i + 1], clean, i) if done else {}
            infos.append(dataclasses.replace(info, seconds=time.perf_counter() - start, **quality))
        yield DenoiseStep(picture.restore(result.clone()), progress, tuple(infos), done)


def _quality(result: Tensor, noisy: Tensor, clean: Tensor | None, index: int) -> dict[str, Any]:
    if clean is None:
        return {}
    target = clean[index : index + 1].to(result)
    large = min(result.shape[-2:]) >= 11
    return {
        "psnr": float(metrics.psnr(result, target)),
        "ssim": float(metrics.ssim(result, target)) if large else None,
        "psnr_noisy": float(metrics.psnr(noisy.to(result), target)),
    }


def _reference(reference: Any, picture: Picture, max_pixels: int | None) -> Tensor:
    clean = to_picture(reference, "reference", max_pixels).tensor
    if clean.shape != picture.tensor.shape:
        raise ValueError(
            f"reference: must have the size and channels of the image, {tuple(picture.tensor.shape)} as "
            f"(B, C, H, W), got {tuple(clean.shape)}"
        )
    return clean


def _per_image(name: str, values: Numbers, count: int) -> list[float]:
    """One number for each image; σ and λ alike are finite and at least 0."""
    if isinstance(values, Tensor):
        values = values.tolist()
    listed = list(values) if isinstance(values, Sequence) and not isinstance(values, str) else [values] * count
    if len(listed) != count:
        raise ValueError(f"{name}: a number or one per image ({count}), got {len(listed)}")
    if name == "sigma":
        return [check_sigma(value) for value in listed]
    for value in listed:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise TypeError(f"lam: a number, not {type(value).__name__}")
        if not math.isfinite(value) or value < 0:
            raise ValueError(f"lam: a finite number of at least 0, got {value}")
    return [float(value) for value in listed]


def _backend() -> str:
    import cuda_src

    return cuda_src.backend().name
