"""How small pictures come about: for training, for measuring, and for whoever wants to try super-resolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.nn import functional as F

from ..images import MAX_PIXELS, to_picture
from ..prox import Degradation
from .pictures import resized_like
from .settings import SCALES

KINDS = ("gaussian", "bicubic")


def shrink_bicubic(image: Tensor, scale: int) -> Tensor:
    """Bicubic interpolation to 1/scale of the size, over all pixels of a cell as imresize does; (B, C, H, W)."""
    size = (image.shape[2] // scale, image.shape[3] // scale)
    return F.interpolate(image, size=size, mode="bicubic", antialias=True, align_corners=False)


def degradation(kind: str, scale: int) -> Callable[[Tensor], Tensor]:
    """What makes pictures small, (B, C, s·h, s·w) -> (B, C, h, w).

    Args:
        kind: "bicubic" or "gaussian", the paper's 17x17 Gaussian of σ = 3 for a scale of 3.
        scale: 2, 3 or 4.

    Raises:
        ValueError: another kind or scale.
    """
    if kind == "gaussian":
        return Degradation(scale)
    if kind != "bicubic":
        raise ValueError(f"degradation: bicubic or gaussian, got {kind!r}")
    return lambda image: shrink_bicubic(image, scale)


def shrink(
    image: Any, scale: int = 3, kind: str = "gaussian", *, max_pixels: int | None = MAX_PIXELS
) -> tuple[Any, Any]:
    """A low-resolution picture of a picture, and the part of it that the small one shows.

    Args:
        image: PIL image, numpy array or tensor, see `zoo.images.to_picture`; one picture. Where its sides are no
            multiples of the scale, the last rows and columns are left out.
        scale: 2, 3 or 4.
        kind: "gaussian" or "bicubic", see `degradation`.
        max_pixels: Limit on height × width; None: no limit.

    Returns:
        The small picture and the truth, both of the kind that was given.

    Raises:
        TypeError: a type that is not accepted.
        ValueError: bad pixels, another scale or kind, or a picture smaller than `scale`.
    """
    if scale not in SCALES:
        raise ValueError(f"scale: one of {SCALES}, got {scale!r}")
    make = degradation(kind, scale)
    picture = to_picture(image, max_pixels=max_pixels)
    height, width = (side // scale for side in picture.tensor.shape[-2:])
    if min(height, width) < 1:
        raise ValueError(f"image: at least {scale} pixels high and wide, got {picture.tensor.shape[-2:]}")
    pixels = picture.tensor[..., : height * scale, : width * scale]
    truth = resized_like(image, picture, (height * scale, width * scale), crop=True).restore(pixels)
    small = resized_like(image, picture, (height, width))
    return small.restore(make(pixels).clamp(0, 1).to(small.tensor)), truth
