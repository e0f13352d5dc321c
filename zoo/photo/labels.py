"""Segmentation maps in colours: the regions of the content, each with the region of the style that has its colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..images import to_picture

LEAST_SHARE = 0.01
"""Of the pixels: what has less is no region but the border between two, which files blend."""
APART = 48.0
"""Two colours nearer than this, Euclidean on 0..255, are the same one."""


@dataclass(frozen=True)
class Label:
    """A colour that both maps have."""

    colour: tuple[int, int, int]
    """0..255."""
    content: Tensor
    """Share of each pixel of the content, (1, 1, H, W)."""
    style: Tensor
    """Of the style, (1, 1, h, w)."""


def matched(
    content_map: Any, style_map: Any, content_size: tuple[int, int], style_size: tuple[int, int], limit: int | None
) -> list[Label]:
    """The colours that a map of the content and one of the style have in common, and where they are.

    Every pixel counts as the nearest of the large colours of both maps. What the content's map has and the style's has
    not is left to the caller: it is in no label.

    Args:
        content_map, style_map: Pictures of flat colours, of any kind and size, see `zoo.images.to_picture`.
        content_size, style_size: Height and width of the labels' shares.
        limit: On the pixels of a map.

    Returns:
        The labels, the largest in the content first.

    Raises:
        TypeError, ValueError: what is no picture, or no colour in common.
    """
    maps = [_pixels(one, name, limit) for one, name in ((content_map, "content_mask"), (style_map, "style_mask"))]
    colours = _colours(maps)
    nearest = [_nearest(one, colours) for one in maps]
    shares = [np.bincount(one.ravel(), minlength=len(colours)) / one.size for one in nearest]
    common = [i for i in range(len(colours)) if min(shares[0][i], shares[1][i]) >= LEAST_SHARE]
    if not common:
        raise ValueError("content_mask, style_mask: no colour in common; a region takes after that of the same colour")
    return [
        Label(
            (int(colours[i][0]), int(colours[i][1]), int(colours[i][2])),
            _share(nearest[0] == i, content_size),
            _share(nearest[1] == i, style_size),
        )
        for i in sorted(common, key=lambda i: -shares[0][i])
    ]


def cut_out(picture: Tensor, mask: Tensor) -> Tensor:
    """A picture of what a region shows and nothing else, for networks that look at whole pictures.

    Each row that meets the region is filled with its pixels there, again and again to and fro.

    Args:
        picture: (1, 3, h, w).
        mask: (1, 1, h, w) in [0, 1].

    Returns:
        (1, 3, h', w), h' the rows of the region, repeated to and fro up to 16 where there are fewer.
    """
    inside = mask[0, 0] > 0.5
    if not inside.any():
        inside = mask[0, 0] >= mask.max()
    width = picture.shape[-1]
    rows = []
    for y in torch.nonzero(inside.any(1)).flatten().tolist():
        at = torch.nonzero(inside[y]).flatten()
        rows.append(picture[0, :, y, at[_to_and_fro(len(at), width)]])
    whole = torch.stack(rows, 1)[None]
    if len(rows) < 16:
        whole = whole[:, :, _to_and_fro(len(rows), 16)]
    return whole.contiguous()


def _to_and_fro(count: int, length: int) -> Tensor:
    """0, 1, …, count - 1, count - 1, …, 0, 0, 1, … up to `length` of them."""
    at = torch.arange(length) % (2 * count)
    return torch.minimum(at, 2 * count - 1 - at)


def _pixels(image: Any, name: str, limit: int | None) -> np.ndarray:
    """uint8 (H, W, 3)."""
    tensor = to_picture(image, name, limit).tensor
    if len(tensor) != 1 or tensor.shape[1] not in (1, 3):
        raise ValueError(f"{name}: one picture of one channel or three, got {tuple(tensor.shape)}")
    pixels = tensor[0].float().clamp(0, 1).mul(255).round().expand(3, -1, -1).permute(1, 2, 0)
    return pixels.cpu().numpy().astype(np.uint8)


def _colours(maps: Sequence[np.ndarray]) -> np.ndarray:
    """The large colours of the maps together, (n, 3), the largest of those that lie close together."""
    found: dict[tuple[int, ...], float] = {}
    for one in maps:
        colours, counts = np.unique(one.reshape(-1, 3), axis=0, return_counts=True)
        for colour, count in zip(colours, counts, strict=True):
            key = tuple(int(value) for value in colour)
            found[key] = max(found.get(key, 0.0), count / one[..., 0].size)
    kept: list[np.ndarray] = []
    for colour, share in sorted(found.items(), key=lambda item: (-item[1], item[0])):
        far = all(np.linalg.norm(np.subtract(colour, other)) > APART for other in kept)
        if share >= LEAST_SHARE and far:
            kept.append(np.array(colour, float))
    return np.array(kept).reshape(-1, 3)


def _nearest(pixels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Index of the nearest colour of each pixel, (H, W)."""
    if not len(colours):
        return np.zeros(pixels.shape[:2], int)
    flat, back = np.unique(pixels.reshape(-1, 3), axis=0, return_inverse=True)
    near = ((flat[:, None].astype(float) - colours[None]) ** 2).sum(-1).argmin(1)
    return near[back.ravel()].reshape(pixels.shape[:2])


def _share(where: np.ndarray, size: tuple[int, int]) -> Tensor:
    tensor = torch.from_numpy(where)[None, None].float()
    if tensor.shape[-2:] == size:
        return tensor
    return F.interpolate(tensor, size=size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
