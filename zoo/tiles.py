"""Large pictures tile by tile: bounded memory, results on the way, no seams."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def edges(length: int, tile: int, multiple: int = 1) -> list[int]:
    """Where to cut a side into the fewest pieces of at most `tile`, all about the same length.

    Cuts are at a `multiple`, for which a piece may be longer by as much.

    >>> edges(100, 64)
    [0, 50, 100]
    """
    pieces = -(-length // tile)
    return [round(i * length / pieces / multiple) * multiple for i in range(pieces)] + [length]


def parts(length: int, tile: int, halo: int, multiple: int = 1) -> list[tuple[slice, slice]]:
    """The pieces of a side with what is around them: what is to be seen, and within that the piece itself.

    >>> parts(100, 64, 8)
    [(slice(0, 58, None), slice(0, 50, None)), (slice(42, 100, None), slice(8, 58, None))]
    """
    found = []
    for begin, end in itertools.pairwise(edges(length, tile, multiple)):
        first = max(0, begin - halo)
        found.append((slice(first, min(length, end + halo)), slice(begin - first, end - first)))
    return found


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
    result = image.clone()
    boxes = list(itertools.product(*(parts(side, tile, halo) for side in image.shape[-2:])))
    for done, ((rows, inner_rows), (columns, inner_columns)) in enumerate(boxes, 1):
        made = model(image[..., rows, columns])
        result[..., rows, columns][..., inner_rows, inner_columns] = made[..., inner_rows, inner_columns]
        yield result, done / len(boxes)
