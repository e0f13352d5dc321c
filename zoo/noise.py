"""Gaussian noise: putting it on a picture, and estimating how much is there. All sigmas are on the 0..255 scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .images import MAX_PIXELS, to_picture

# high-pass filter of the Daubechies wavelet with two vanishing moments: blind to constant and to linear shading
_DB2 = (-0.12940952255092145, -0.22414386804185735, 0.836516303737469, -0.48296291314469025)
_MAD = 0.6744897501960817  # median of |z| for a standard normal z
_BLOCK = 16
_QUANTILE = 0.25
# what the quantile below gives for white noise of sigma 1: mean of ten seeds, 512×512, standard deviation 0.005
_QUANTILE_OF_WHITE_NOISE = 0.935


def check_sigma(sigma: float, name: str = "sigma") -> float:
    """A noise level as a float.

    Raises:
        ValueError: not a finite number of at least 0.
    """
    try:
        value = float(sigma)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: a number on the 0..255 scale, not {type(sigma).__name__}") from None
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name}: a noise level on the 0..255 scale, at least 0, got {value}")
    return value


def add_noise(image: Any, sigma: float, seed: int | Sequence[int] = 0, max_pixels: int | None = MAX_PIXELS) -> Any:
    """Add white Gaussian noise. The same seed gives the same noise on every device.

    Args:
        image: Anything that `zoo.images.to_picture` accepts. 8- and 16-bit kinds are rounded and clipped again; float
            kinds are not clipped, as is usual where denoisers are evaluated.
        sigma: Standard deviation, 0..255 scale.
        seed: For a batch, one per image, or a number: image i then gets seed + i. Each image's noise depends on its own
            seed and shape alone.
        max_pixels: Limit on height × width; None: no limit.

    Returns:
        The noisy image, of the same kind. An alpha channel stays as it is.

    Raises:
        TypeError, ValueError: bad image, a negative or non-finite sigma, or another number of seeds than images.
    """
    sigma = check_sigma(sigma)
    picture = to_picture(image, max_pixels=max_pixels)
    clean = picture.tensor
    seeds = [seed + i for i in range(len(clean))] if isinstance(seed, int) else list(seed)
    if len(seeds) != len(clean):
        raise ValueError(f"seed: one per image is needed, got {len(seeds)} for {len(clean)}")
    noisy = torch.empty_like(clean)
    for i, (one, number) in enumerate(zip(clean, seeds, strict=True)):
        # on the CPU in float32, whatever the picture's device and type, so that the noise is the same
        noise = torch.randn(one.shape, generator=torch.Generator().manual_seed(number))
        noisy[i] = one + noise.to(one) * (sigma / 255)
    return picture.restore(noisy)


def estimate_sigma(image: Tensor) -> float:
    """Estimate the standard deviation of white Gaussian noise on one picture.

    The median absolute deviation of diagonal Daubechies wavelet coefficients (Donoho and Johnstone, Ideal spatial
    adaptation by wavelet shrinkage, 1994), taken block by block: the lower quartile over the blocks is used instead of
    the whole picture's value, because texture only ever adds to it, and blocks with clipped pixels are left out,
    because clipping takes noise away. On the 24 Kodak pictures with noise of 10, 25 and 50 added, rounded and clipped
    to 8 bits, the mean estimates are 10.8, 25.4 and 49.1. Strong fine texture still reads as noise, and black-and-white
    pictures, where every block is clipped, give too little.

    Args:
        image: (C, H, W) in [0, 1].

    Returns:
        Sigma on the 0..255 scale, mean over the channels; 0 if a side is shorter than 4 pixels.

    Raises:
        ValueError: another shape.
    """
    if image.ndim != 3:
        raise ValueError(f"image: expected (C, H, W), got {tuple(image.shape)}")
    if min(image.shape[-2:]) < len(_DB2):
        return 0.0
    return 255 * sum(_channel_sigma(channel.detach().float()) for channel in image) / len(image)


def _channel_sigma(channel: Tensor) -> float:
    taps = torch.tensor(_DB2, device=channel.device)
    plane = channel[None, None]  # (1, 1, H, W)
    detail = nn.functional.conv2d(plane, torch.outer(taps, taps)[None, None]).abs()
    if min(detail.shape[-2:]) < 4 * _BLOCK:
        # too few blocks for a quantile over them
        return float(detail.median()) / _MAD
    clipped = ((plane == 0) | (plane == 1)).float()
    clipped = nn.functional.avg_pool2d(clipped, len(_DB2), stride=1)  # share of clipped pixels under each coefficient
    share = _blocks(clipped).mean(0)
    noise = _blocks(detail).median(0).values / _MAD
    # where clipping is everywhere, the least clipped tenth of the blocks has to do
    limit = max(0.02, _lower_quantile(share, 0.1))
    return _lower_quantile(noise[share <= limit], _QUANTILE) / _QUANTILE_OF_WHITE_NOISE


def _blocks(plane: Tensor) -> Tensor:
    """(1, 1, H, W) to (pixels of a block, number of blocks)."""
    return nn.functional.unfold(plane, _BLOCK, stride=_BLOCK)[0]


def _lower_quantile(values: Tensor, q: float) -> float:
    # torch.quantile refuses more than 16 million values
    return float(values.sort().values[int(q * (len(values) - 1))])
