"""Denoisers on test pictures: white Gaussian noise with a fixed seed, PSNR and SSIM on 8-bit RGB."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import registry
from ..datasets import ImageFiles
from ..metrics import psnr, ssim
from ..noise import add_noise, check_sigma
from .paper import paper_psnr

NAMES = {"cbsd68": "CBSD68", "kodak24": "Kodak24", "mcmaster": "McMaster"}


@dataclass(frozen=True)
class Score:
    """One picture."""

    image: str
    psnr: float
    """dB, over all channels."""
    ssim: float | None
    """None for pictures smaller than its window."""
    psnr_noisy: float
    """dB of the noisy picture, rounded and clipped to 8 bits."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; an infinite PSNR becomes None."""
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()}


def evaluate_denoiser(
    model: str | nn.Module | Callable[[Tensor], Tensor],
    data: str | Path,
    sigma: float,
    *,
    seed: int = 0,
    limit: int | None = None,
    name: str | None = None,
    device: torch.device | str = "cpu",
) -> Iterator[Score]:
    """Put noise on pictures, take it off again and measure.

    The noise is not clipped, as is usual in the literature; picture i, in the order of the names, gets seed + i. What
    the model gives is rounded and clipped to 8 bits.

    Args:
        model: Name of an entry for the task "denoise", or what maps a noisy (1, 3, H, W) to a denoised one.
        data: Folder, .zip or .tar of pictures.
        sigma: Noise level, 0..255 scale.
        seed: Seed of the first picture's noise.
        limit: Only the first so many pictures.
        name: What to call a model that is not given by name.
        device: Where to compute.

    Yields:
        The score of each picture, in the order of their names.

    Raises:
        ValueError: no pictures, a bad noise level, or a model for another task.
    """
    sigma = check_sigma(sigma)
    files = ImageFiles(data)
    names = files.images()[:limit]
    if not names:
        raise ValueError(f"data {str(data)!r}: holds no pictures")
    restore = _restorer(model, sigma, torch.device(device)) if isinstance(model, str) else model
    for index, file in enumerate(names):
        clean = torch.from_numpy(files.decode(file).copy()).permute(2, 0, 1)[None].float().div(255)
        noisy = add_noise(clean, sigma, seed + index)
        with torch.inference_mode():
            restored = restore(noisy.to(device)).float().cpu()
        large = min(clean.shape[-2:]) >= 11
        yield Score(
            file,
            float(psnr(restored, clean)),
            float(ssim(restored, clean)) if large else None,
            float(psnr(noisy, clean)),
        )


def _restorer(name: str, sigma: float, device: torch.device) -> Callable[[Tensor], Tensor]:
    from ..loading import load
    from ..tasks.denoise import denoise

    entry = registry.info(name)
    if "denoise" not in entry.tasks:
        raise ValueError(f"model: {entry.name} is for {', '.join(entry.tasks)}, not for denoising")
    if entry.input.control == "lam":
        return lambda noisy: denoise(noisy, entry.name, sigma=sigma, device=device, max_pixels=None)
    return load(entry.name, device=device)


def mean_scores(
    scores: Sequence[Score], model: str, data: str | Path, sigma: float, seed: int = 0
) -> list[dict[str, Any]]:
    """Mean PSNR and SSIM as records of `zoo.entry.Metric`, the paper's figure beside ours where it has one.

    Args:
        scores: Of all pictures.
        model: `arch.tag`.
        data: Where the pictures are; its name without suffix is the data set's.
        sigma: Noise level.
        seed: Seed of the first picture's noise.
    """
    stem = Path(data).stem
    settings = f"sigma {sigma:g}, {len(scores)} pictures, RGB on 8 bits, noise seeds {seed}, {seed + 1}, ..."
    dataset = NAMES.get(stem.lower(), stem)
    records = [
        {
            "dataset": dataset,
            "metric": "PSNR",
            "value": round(sum(score.psnr for score in scores) / len(scores), 3),
            "paper_value": paper_psnr(model, stem, sigma),
            "settings": settings,
        }
    ]
    ssims = [score.ssim for score in scores if score.ssim is not None]
    if len(ssims) == len(scores):
        records.append(
            {"dataset": dataset, "metric": "SSIM", "value": round(sum(ssims) / len(ssims), 4), "settings": settings}
        )
    return records
