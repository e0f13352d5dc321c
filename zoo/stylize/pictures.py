"""The pictures of style transfer: contents of any kind at the size that is asked for, styles by file or by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ..images import to_picture
from .settings import GALLERY, MIN_SIDE, painting

WORKING_PIXELS = 4_200_000
"""Largest content that is worked on, 2048×2048 and a little: the engines hold all of it in memory at once."""
PAINTING_SIDE = 512
STYLE_LIMITS = (256, 1024)
"""A style that is larger than the content is shrunk to it, but not below and always to these longer sides."""


@dataclass(frozen=True)
class Content:
    """What is stylised."""

    tensor: Tensor
    """(B, 3, H, W), float32, in [0, 1]."""
    restore: Callable[[Tensor], Any]
    """From a tensor like that to the kind of picture that was given."""
    batched: bool


def open_content(image: Any, size: int | None, grey: bool, max_pixels: int | None) -> Content:
    """A content picture of any kind that `zoo.images.to_picture` accepts, with one channel or three.

    Args:
        image: The picture.
        size: Longer side to resize it to, alpha channel and all; None: as it is.
        grey: Whether a grey picture stays grey in the end; else it comes back as a colour picture.
        max_pixels: Limit on height × width as given.

    Raises:
        TypeError, ValueError: as `to_picture`; also other numbers of channels, and sides below 16 pixels.
    """
    picture = to_picture(image, "content", max_pixels)
    channels, height, width = picture.tensor.shape[1:]
    if channels not in (1, 3):
        raise ValueError(f"content: one channel or three, got {channels}")
    height, width = scaled(height, width, size)
    if min(height, width) < MIN_SIDE:
        raise ValueError(f"content: at least {MIN_SIDE} pixels high and wide, got {width}×{height}")
    if height * width > WORKING_PIXELS:
        raise ValueError(
            f"content: {width}×{height} is {height * width / 1e6:.1f} megapixels, at most {WORKING_PIXELS / 1e6:g} are "
            "worked on; give a size, the longer side in pixels, such as size=2048"
        )
    colour = channels == 1 and not grey
    if colour or picture.tensor.shape[-2:] != (height, width):
        plain = image if isinstance(image, (Tensor, np.ndarray)) else picture.restore(picture.tensor)
        picture = to_picture(conformed(plain, picture.tensor, (height, width), colour), "content", None)
    tensor = picture.tensor.float().clamp(0, 1)
    flat = tensor.shape[1] == 1

    def restore(result: Tensor) -> Any:
        return picture.restore((result.mean(1, keepdim=True) if flat else result).to(picture.tensor))

    return Content(tensor.expand(-1, 3, -1, -1).contiguous(), restore, picture.batched)


def open_style(style: Any, index: int, limit: int | None, longest: int, seed: int, max_pixels: int | None) -> Tensor:
    """A style picture, (1, 3, h, w) in [0, 1].

    Args:
        style: A picture as for `open_content`, or "gallery:NAME".
        index: Which one it is, for messages.
        limit: Longer side in pixels; None: as it is, but no longer than the content.
        longest: The content's longer side.
        seed: Of paintings.
        max_pixels: Limit on height × width as given.

    Raises:
        TypeError, ValueError: as `open_content`.
    """
    if isinstance(style, str):
        tensor = _painting(painting(style), limit or PAINTING_SIDE, seed)
    else:
        tensor = to_picture(style, f"styles[{index}]", max_pixels).tensor
    if tensor.shape[1] not in (1, 3) or len(tensor) != 1:
        raise ValueError(f"styles[{index}]: one picture of one channel or three, got {tuple(tensor.shape)}")
    tensor = tensor.cpu().float().clamp(0, 1).expand(-1, 3, -1, -1)
    height, width = tensor.shape[-2:]
    if limit is None:
        limit = min(max(height, width), max(STYLE_LIMITS[0], min(longest, STYLE_LIMITS[1])))
    # the shorter side of a long strip does not go below what the encoder can see
    limit = max(limit, -(-MIN_SIDE * max(height, width) // min(height, width)))
    if min(height, width) < MIN_SIDE:
        raise ValueError(f"styles[{index}]: at least {MIN_SIDE} pixels high and wide, got {width}×{height}")
    return resized(tensor, scaled(height, width, limit)).contiguous()


def scaled(height: int, width: int, longer: int | None) -> tuple[int, int]:
    """Height and width with the longer side as given; None: as they are."""
    if longer is None:
        return height, width
    share = longer / max(height, width)
    return max(1, round(height * share)), max(1, round(width * share))


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) at another size; bicubic, without aliasing, clipped to [0, 1]."""
    if image.shape[-2:] == size:
        return image
    return F.interpolate(image, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def conformed(image: Any, pixels: Tensor, size: tuple[int, int], colour: bool) -> Any:
    """A picture of the same kind at another size, grey ones in colour if wanted.

    Args:
        image: Tensor, array, or PIL image of a mode that `to_picture` gives back.
        pixels: The same as (B, C, H, W) in [0, 1], without alpha.
        size: Height and width.
        colour: Whether it shall have three channels.
    """
    if isinstance(image, Tensor):
        made = resized(pixels, size).expand(-1, 3 if colour else pixels.shape[1], -1, -1)
        made = made.mul(255).round() if image.dtype == torch.uint8 else made
        made = made.to(image)
        return made if image.ndim == 4 else made[0]
    if isinstance(image, np.ndarray):
        return _conformed_array(image, size, colour)
    if colour:
        image.info.pop("icc_profile", None)  # that of a grey picture means nothing in colour
        if image.mode in ("L", "LA"):
            image = image.convert("RGB" if image.mode == "L" else "RGBA")
        else:  # PIL has no colour pictures of 16 bits
            image = Image.fromarray(pixels[0, 0].clamp(0, 1).mul(255).round().byte().cpu().numpy()).convert("RGB")
    info = image.info
    if image.mode.startswith("I;16"):
        image = Image.fromarray(_conformed_array(np.array(image), size, False))
    else:
        image = image.resize(size[::-1], Image.Resampling.LANCZOS)
    image.info.update(info)
    return image


def _conformed_array(array: np.ndarray, size: tuple[int, int], colour: bool) -> np.ndarray:
    planes = array[..., None] if array.ndim == 2 else array
    if colour:
        planes = np.repeat(planes, 3, axis=2)
    floating = np.issubdtype(array.dtype, np.floating)
    full = 1.0 if floating else float(np.iinfo(array.dtype).max)
    tensor = torch.from_numpy(np.ascontiguousarray(planes.transpose(2, 0, 1)).astype(np.float32))[None] / full
    made = resized(tensor, size)[0].numpy().transpose(1, 2, 0) * full
    made = (made if floating else made.round()).astype(array.dtype)
    return made[..., 0] if array.ndim == 2 and not colour else made


@lru_cache(maxsize=24)
def _painting(name: str, side: int, seed: int) -> Tensor:
    """A painting of the gallery, (1, 3, side, side); the last few are kept, 3 MB each at the usual size."""
    from ..gallery import paint

    return to_picture(paint(name, max(side, MIN_SIDE), seed=seed), f"{GALLERY}{name}").tensor
