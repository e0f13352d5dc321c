"""Which style goes where: masks to shares of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..images import to_picture


@dataclass(frozen=True)
class Region:
    """Styles that are mixed, and where."""

    members: tuple[int, ...]
    """Which of the styles."""
    weights: tuple[float, ...]
    """Of the members; their sum is 1."""
    mask: Tensor | None
    """Share of each pixel, (1, 1, H, W); None: everywhere."""


def regions(
    weights: Sequence[float], masks: Sequence[Any] | None, size: tuple[int, int], max_pixels: int | None
) -> list[Region]:
    """What is to be done where.

    A style of weight 0 takes no part. Styles without a mask are mixed, and take what masks leave. Where masks overlap,
    each style's share is its weight times its mask over the sum of these; masks that add up to less than 1 leave the
    rest to the styles without one, and where there is none, to the content.

    Args:
        weights: Of the styles; their sum is 1.
        masks: For each style a mask of any size, or None; None for no masks at all. White is where the style applies.
        size: Height and width of the content.
        max_pixels: Limit on the size of a mask.

    Raises:
        TypeError, ValueError: a mask of a kind that is not accepted, or with nothing in it; not one for each style.
    """
    masks = [None] * len(weights) if masks is None else list(masks)
    if len(masks) != len(weights):
        raise ValueError(f"masks: one for each of the {len(weights)} styles, or None in its place; got {len(masks)}")
    used = [i for i, weight in enumerate(weights) if weight > 0]
    opened = {i: _mask(masks[i], i, size, max_pixels) for i in used}
    bound = {i: mask for i, mask in opened.items() if mask is not None}
    if len(bound) == len(used) and all(bool((mask == 1).all()) for mask in bound.values()):
        bound = {}  # all of them everywhere is no mask at all
    free = [i for i in used if i not in bound]
    found = []
    rest = torch.ones(1, 1, *size)
    if bound:
        total = torch.stack(list(bound.values())).sum(0)
        weighted = torch.stack([weights[i] * mask for i, mask in bound.items()]).sum(0).clamp_min(1e-12)
        covered = total.clamp(max=1)
        found = [Region((i,), (1.0,), weights[i] * mask / weighted * covered) for i, mask in bound.items()]
        rest = 1 - covered
    if free:
        whole = sum(weights[i] for i in free)
        shares = tuple(weights[i] / whole for i in free)
        found.insert(0, Region(tuple(free), shares, rest if bound else None))
    return [region for region in found if region.mask is None or region.mask.any()]


def composed(content: Tensor, parts: Sequence[tuple[Tensor | None, Tensor]]) -> Tensor:
    """Pictures, each in its region, on top of the content: for engines that know nothing of regions."""
    result = torch.zeros_like(content)
    left = torch.ones_like(content[:, :1])
    for mask, image in parts:
        if mask is None:
            return image
        result = result + mask * image
        left = left - mask
    return result + left.clamp_min(0) * content


def _mask(mask: Any, index: int, size: tuple[int, int], max_pixels: int | None) -> Tensor | None:
    """(1, 1, H, W) in [0, 1] at the content's size."""
    if mask is None:
        return None
    name = f"masks[{index}]"
    if isinstance(mask, np.ndarray) and mask.dtype == bool:
        mask = mask.astype(np.uint8) * 255
    if isinstance(mask, Tensor) and mask.dtype == torch.bool:
        mask = mask.float()
    if isinstance(mask, Tensor) and mask.ndim == 2:
        mask = mask[None]
    tensor = to_picture(mask, name, max_pixels).tensor
    if len(tensor) != 1:
        raise ValueError(f"{name}: one mask for a style, got a batch of {len(tensor)}")
    tensor = tensor.float().cpu().mean(1, keepdim=True).clamp(0, 1)
    if not tensor.any():
        raise ValueError(f"{name}: empty, its style would be nowhere; white is where a style applies")
    if tensor.shape[-2:] != size:
        tensor = F.interpolate(tensor, size=size, mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
    return tensor
