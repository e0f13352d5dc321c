"""Squares that are turned in their picture, as a face in a tilted head: cut out upright, and put back."""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

Number = TypeVar("Number", float, Tensor)


def turn(right: Number, down: Number, angle: float) -> tuple[Number, Number]:
    """An offset in pixels, turned clockwise by an angle in degrees."""
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    return right * c - down * s, right * s + down * c


def cut_turned(image: Tensor, box: tuple[int, int, int, int], angle: float) -> Tensor:
    """The part of an image that a turned rectangle covers, upright.

    Args:
        image: (B, C, H, W).
        box: Left, top, width and height in pixels before the turn; it may reach beyond the image.
        angle: By which the rectangle is turned clockwise about its middle, degrees.

    Returns:
        (B, C, height, width), 0 beyond the image; pixels between those of the image by linear interpolation.
    """
    left, top, width, height = box
    if angle == 0:
        h, w = image.shape[-2:]
        pads = [max(0, -left), max(0, left + width - w), max(0, -top), max(0, top + height - h)]
        wide = F.pad(image, pads)
        return wide[..., top + pads[2] : top + pads[2] + height, left + pads[0] : left + pads[0] + width]
    down, right = _offsets(height, width, image)
    x, y = turn(right, down, angle)
    return _sampled(image, x + (left + width / 2), y + (top + height / 2))


def put_back(part: Tensor, box: tuple[int, int, int, int], angle: float, size: tuple[int, int]) -> Tensor:
    """The opposite of `cut_turned`: an upright part in its place in an image.

    Args:
        part: (B, C, height, width).
        box, angle: As in `cut_turned`.
        size: Height and width of the image.

    Returns:
        (B, C, *size), 0 outside the rectangle.
    """
    return _sampled(part, *_places(box, angle, size, part))


def covered(box: tuple[int, int, int, int], angle: float, size: tuple[int, int], inset: float = 0.0) -> Tensor:
    """Which pixels of an image have their middle in a turned rectangle, bool (H, W).

    Args:
        box, angle, size: As in `put_back`.
        inset: By so many pixels the rectangle is taken to be smaller on each side.
    """
    x, y = _places(box, angle, size, torch.empty(0))
    return (x > inset) & (y > inset) & (x < box[2] - inset) & (y < box[3] - inset)


def _places(box: tuple[int, int, int, int], angle: float, size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Where the pixels of an image are in a turned rectangle, from its upper left corner: to the right and down."""
    left, top, width, height = box
    down, right = _offsets(*size, like)
    # from the middle of the rectangle instead of that of the image
    x, y = turn(right + (size[1] / 2 - left - width / 2), down + (size[0] / 2 - top - height / 2), -angle)
    return x + width / 2, y + height / 2


def _offsets(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Of the middles of pixels from the middle of their image: down and to the right, (height, width) each."""
    rows = torch.arange(height, dtype=like.dtype, device=like.device) + 0.5 - height / 2
    columns = torch.arange(width, dtype=like.dtype, device=like.device) + 0.5 - width / 2
    down, right = torch.meshgrid(rows, columns, indexing="ij")
    return down, right


def _sampled(image: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """(B, C, h, w) at places (h, w) in pixels from the upper left corner."""
    height, width = image.shape[-2:]
    grid = torch.stack([2 * x / width - 1, 2 * y / height - 1], -1)
    return F.grid_sample(image, grid.expand(len(image), -1, -1, -1), padding_mode="zeros", align_corners=False)
