"""Run a model on a large picture tile by tile: bounded memory, results on the way, no seams."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def edges(length: int, tile: int) -> list[int]:
    """Where to cut a side into the fewest pieces of at most `tile`, all about the same length.

    >>> edges(100, 64)
    [0, 50, 100]
    """
    pieces = -(-length // tile)
    return [round(i * length / pieces) for i in range(pieces + 1)]


@torch.no_grad()
def run_tiled(
    model: Callable[[Tensor], Tensor], image: Tensor, *, tile: int = 384, halo: int = 32
) -> Iterator[tuple[Tensor, float]]:
    """Apply a model that keeps the size of a picture, tile by tile.

    The model sees each tile with `halo` pixels around it, as far as the picture goes, and only the tile itself is kept.
    Where a pixel of the result depends on nothing farther away than `halo`, it is what the model gives on the whole
    picture.

    Args:
        model: (B, C, h, w) to (B, C, h, w).
        image: (B, C, H, W).
        tile: Largest side of a tile.
        halo: Pixels around it.

    Yields:
        The picture with the tiles so far replaced, the same tensor every time, and the fraction done.

    Raises:
        ValueError: tile below 1 or halo below 0.
    """
    if tile < 1 or halo < 0:
        raise ValueError(f"tile, halo: at least 1 and 0, got {tile}, {halo}")
    height, width = image.shape[-2:]
    result = image.clone()
    rows, columns = (list(itertools.pairwise(edges(side, tile))) for side in (height, width))
    boxes = list(itertools.product(rows, columns))
    for done, ((top, bottom), (left, right)) in enumerate(boxes, 1):
        above, before = max(0, top - halo), max(0, left - halo)
        seen = image[..., above : bottom + halo, before : right + halo]
        made = model(seen)[..., top - above : bottom - above, left - before : right - before]
        result[..., top:bottom, left:right] = made
        yield result, done / len(boxes)
