"""The Laplacian pyramid (Burt & Adelson 1983) and the distance on it that latent models are trained with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 4
_KERNEL = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


def _kernel(like: Tensor) -> Tensor:
    taps = _KERNEL.to(like)
    return torch.outer(taps, taps).expand(like.shape[1], 1, 5, 5).contiguous()


def reduce(image: Tensor) -> Tensor:
    """Blur with the binomial kernel of 5 taps and keep every second pixel; the border is repeated."""
    return F.conv2d(F.pad(image, [2] * 4, mode="replicate"), _kernel(image), stride=2, groups=image.shape[1])


def expand(image: Tensor, height: int, width: int) -> Tensor:
    """The opposite of `reduce` in size: zeros between the pixels, then the kernel times 4; the border is repeated."""
    wide = F.pad(image, [1] * 4, mode="replicate")
    grown = F.conv_transpose2d(wide, 4 * _kernel(image), stride=2, groups=image.shape[1])
    return grown[..., 4 : 4 + height, 4 : 4 + width]


def laplacian_pyramid(image: Tensor, levels: int = LEVELS) -> list[Tensor]:
    """Bands of an image from fine to coarse; the last is what remains, so that the bands together are the image.

    Args:
        image: (B, C, H, W), with sides of at least 2^(levels − 1).
        levels: Number of bands.

    Returns:
        Band j is (B, C, H / 2^j, W / 2^j), rounded up.
    """
    bands = []
    for _ in range(levels - 1):
        small = reduce(image)
        bands.append(image - expand(small, *image.shape[-2:]))
        image = small
    return [*bands, image]


def laplacian_l1(first: Tensor, second: Tensor, levels: int = LEVELS) -> Tensor:
    """Σ_j 2^(−2j) · mean |L^j(x₁ − x₂)|, j = 0 … levels − 1, of each image: the paper's Lap-L1 as means.

    Args:
        first, second: (B, C, H, W).
        levels: Number of bands.

    Returns:
        (B,).
    """
    bands = laplacian_pyramid(first - second, levels)
    return sum(
        (band.abs().flatten(1).mean(1) * 4.0**-j for j, band in enumerate(bands)), start=first.new_zeros(len(first))
    )


def reconstruction_loss(images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """What latent models are trained with, MSE + Lap-L1 (equation 2), and the MSE alone, of each image: (B,) each."""
    mse = (images - targets).square().flatten(1).mean(1)
    return mse + laplacian_l1(images, targets), mse
