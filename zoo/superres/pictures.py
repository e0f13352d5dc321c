"""The pictures of super-resolution: luminance in and out, colours and transparency by interpolation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..images import Picture, to_picture
from ..models.vgg import VGGEncoder
from ..prox import Degradation, upsample
from ..style.loss import style_targets
from ..stylize.colour import LUMA
from ..stylize.pictures import conformed
from .settings import MIN_SIDE, REFERENCE_SIDE

GAINS = (0.25, 4.0)
"""How much the contrast of a reference may be changed."""


@dataclass(frozen=True)
class Low:
    """What is enlarged."""

    luminance: Tensor
    """(1, 1, h, w), float32, in [0, 1]."""
    enlarged: Tensor
    """(1, 1 or 3, s·h, s·w) in [0, 1]: the whole picture by bicubic interpolation."""
    restore: Callable[[Tensor], Any]
    """From luminance (1, 1, s·h, s·w) to the kind of picture that was given, with its colours."""

    @property
    def start(self) -> Tensor:
        """Luminance of `enlarged`, X(0)."""
        return luminance(self.enlarged)


def open_low(image: Any, scale: int, max_pixels: int | None) -> Low:
    """A low-resolution picture of any kind that `zoo.images.to_picture` accepts, with one channel or three.

    Args:
        image: The picture; alpha is enlarged as well.
        scale: How many times it is enlarged.
        max_pixels: Limit on height × width of the result; None: no limit.

    Raises:
        TypeError, ValueError: as `to_picture`; also batches, other numbers of channels and too large a result.
    """
    picture = to_picture(image, "low", None if max_pixels is None else max(1, max_pixels // scale**2))
    pixels = _single("low", picture.tensor)
    height, width = (side * scale for side in pixels.shape[-2:])
    enlarged = upsample(pixels, scale).clamp(0, 1)
    large = resized_like(image, picture, (height, width))

    def restore(y: Tensor) -> Any:
        return large.restore(coloured(y.cpu(), enlarged).to(large.tensor))

    return Low(luminance(pixels), enlarged, restore)


def open_truth(image: Any, size: tuple[int, int]) -> Tensor:
    """Luminance of the picture that is to be found, (1, 1, H, W).

    Raises:
        TypeError, ValueError: as `open_low`, or not of this size, (height, width).
    """
    pixels = _single("truth", to_picture(image, "truth", None).tensor)
    if pixels.shape[-2:] != size:
        found = f"{pixels.shape[-1]}×{pixels.shape[-2]}"
        raise ValueError(f"truth: must have the size of the result, {size[1]}×{size[0]}, got {found}")
    return luminance(pixels)


def open_reference(image: Any, max_pixels: int | None) -> Tensor:
    """Luminance of a reference, (1, 1, h, w), at its own size or its middle.

    Raises:
        TypeError, ValueError: as `open_low`, or smaller than `MIN_SIDE`.
    """
    pixels = _single("reference", to_picture(image, "reference", max_pixels).tensor)
    height, width = pixels.shape[-2:]
    if min(height, width) < MIN_SIDE:
        raise ValueError(f"reference: at least {MIN_SIDE} pixels high and wide, got {width}×{height}")
    top, left = (max(0, side - REFERENCE_SIDE) // 2 for side in (height, width))
    return luminance(pixels[..., top : top + REFERENCE_SIDE, left : left + REFERENCE_SIDE])


def matched(reference: Tensor, low: Tensor, degradation: Degradation) -> Tensor:
    """A reference whose small version has mean and deviation of the small picture.

    They are compared small, because the large picture's contrast is not known.

    Args:
        reference: (1, 1, H, W) in [0, 1].
        low: (1, 1, h, w).
        degradation: What makes pictures small.

    Returns:
        (1, 1, H, W), clipped to [0, 1]; the contrast changes by `GAINS` at most.
    """
    height, width = (side // degradation.scale * degradation.scale for side in reference.shape[-2:])
    spread, mean = torch.std_mean(degradation(reference[..., :height, :width]), correction=0)
    target_spread, target_mean = torch.std_mean(low, correction=0)
    gain = (target_spread / spread.clamp_min(1e-6)).clamp(*GAINS)
    return ((reference - mean) * gain + target_mean).clamp(0, 1)


def luminance(image: Tensor) -> Tensor:
    """Y of pictures (B, 1 or 3, H, W), as (B, 1, H, W)."""
    if image.shape[1] == 1:
        return image
    return (image * image.new_tensor(LUMA).view(1, 3, 1, 1)).sum(1, keepdim=True)


def coloured(y: Tensor, image: Tensor) -> Tensor:
    """A luminance with the colours of a picture.

    The luminance comes out as it is: where a colour does not fit into [0, 1] at it, the colour gets paler.

    Args:
        y: (1, 1, H, W).
        image: (1, 1 or 3, H, W) in [0, 1]; grey ones have no colours to give.

    Returns:
        Channels as `image`, in [0, 1].
    """
    y = y.clamp(0, 1)
    if image.shape[1] == 1:
        return y
    colour = image - luminance(image)
    room = torch.where(colour > 0, 1 - y, y) / colour.abs().clamp_min(1e-6)
    return (y + room.amin(1, keepdim=True).clamp(0, 1) * colour).clamp(0, 1)


@torch.no_grad()
def gram_snr(encoder: VGGEncoder, image: Tensor, truth: Tensor) -> float:
    """Signal-to-noise ratio in dB of the Gram matrices of a picture (Puy & Pérez 2019, section 5.6).

    10 log10 Σ_l ‖Gram_l(truth)‖²_F / c_l²  −  10 log10 Σ_l ‖Gram_l(image) − Gram_l(truth)‖²_F / c_l², over the five
    style layers: minus the style loss of the image, in dB, if the truth were the style.

    Args:
        encoder: Perceptual encoder.
        image: (1, 1, H, W) in [0, 1], seen as a grey picture.
        truth: (1, 1, h, w); the sizes need not agree.

    Returns:
        dB; infinite where the matrices are equal.
    """
    found, wanted = (style_targets(encoder, grey(one)) for one in (image, truth))
    error = sum(float((found[layer] - wanted[layer]).double().square().mean()) for layer in wanted)
    power = sum(float(wanted[layer].double().square().mean()) for layer in wanted)
    return float(10 * np.log10(power / error)) if error > 0 else float("inf")


def grey(y: Tensor) -> Tensor:
    """Luminance (B, 1, H, W) as a grey picture (B, 3, H, W), clipped to [0, 1]."""
    return y.clamp(0, 1).expand(-1, 3, -1, -1)


def resized_like(image: Any, picture: Picture, size: tuple[int, int], *, crop: bool = False) -> Picture:
    """A picture of another size of the same kind, for the way back: with alpha, profile and data type.

    Args:
        image: As it was given.
        picture: What `to_picture` made of it.
        size: Height and width.
        crop: Take the upper left corner instead of resizing.
    """
    plain = image if isinstance(image, (Tensor, np.ndarray)) else picture.restore(picture.tensor)
    height, width = size
    if not crop:
        return to_picture(conformed(plain, picture.tensor, size, False), max_pixels=None)
    if isinstance(plain, Tensor):
        return to_picture(plain[..., :height, :width], max_pixels=None)
    if isinstance(plain, np.ndarray):
        return to_picture(plain[:height, :width], max_pixels=None)
    part = plain.crop((0, 0, width, height))
    part.info.update(plain.info)
    return to_picture(part, max_pixels=None)


def _single(name: str, tensor: Tensor) -> Tensor:
    if len(tensor) != 1 or tensor.shape[1] not in (1, 3):
        raise ValueError(f"{name}: one picture of one channel or three, got {tuple(tensor.shape)}")
    return tensor.detach().cpu().float().clamp(0, 1)
