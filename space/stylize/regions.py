"""What a visitor paints on the picture: four colours, one for each style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..pictures import MAX_PIXELS

if TYPE_CHECKING:
    from PIL.Image import Image

COLOURS = {"red": "#d62839", "blue": "#2f6fde", "green": "#2a9d5c", "amber": "#f2b134"}
"""Name -> brush colour, for style 1 to 4; far apart, and none of them grey."""
FAR = 60
"""A pixel farther than this from all brushes, Euclidean on 0..255, was not painted by one of them."""


def painted(canvas: Mapping[str, Any] | None) -> tuple[Image | None, ...]:
    """The masks that were painted, one for each colour, white where it is; None for a colour that is nowhere.

    Args:
        canvas: What `gr.ImageEditor` sends: the event must have `preprocess=False`.

    Raises:
        ValueError: a layer that is no picture, or too large.
    """
    import numpy as np
    from PIL import Image

    masks: list[Any] = [None] * len(COLOURS)
    brushes = np.array([[int(code[i : i + 2], 16) for i in (1, 3, 5)] for code in COLOURS.values()], np.int32)
    for layer in _layers(canvas):
        pixels = np.asarray(layer, np.int32)
        distance = np.sqrt(((pixels[:, :, None, :3] - brushes) ** 2).sum(-1))  # (H, W, 4)
        nearest = distance.argmin(-1)
        there = (pixels[..., 3] > 127) & (distance.min(-1) < FAR)
        for index in range(len(COLOURS)):
            if masks[index] is None or masks[index].shape != there.shape:
                masks[index] = np.zeros(there.shape, bool)
            # later layers lie on top
            masks[index] = (masks[index] & ~there) | (there & (nearest == index))
    return tuple(
        Image.fromarray(mask.astype(np.uint8) * 255) if mask is not None and mask.any() else None for mask in masks
    )


def assigned(slots: Sequence[Any], painted_masks: Sequence[Any], uploaded: Sequence[Any]) -> list[Any | None] | None:
    """The mask of each style that is there, an uploaded one before a painted one; None for no masks at all.

    Raises:
        ValueError: a colour was painted, or a mask uploaded, for a style that is not there.
    """
    found = []
    for number, (slot, brush, file, colour) in enumerate(zip(slots, painted_masks, uploaded, COLOURS, strict=True), 1):
        mask = brush if file is None else file
        if slot is not None:
            found.append(mask)
        elif mask is not None:
            what = f"{colour} was painted" if file is None else "a mask was uploaded"
            raise ValueError(
                f"mask: {what} for style {number}, and there is no style {number}; choose one, or clear it"
            )
    return found if any(mask is not None for mask in found) else None


def _layers(canvas: Mapping[str, Any] | None) -> list[Image]:
    from PIL import Image

    found = []
    for layer in (canvas or {}).get("layers") or ():
        path = layer.get("path") if isinstance(layer, Mapping) else None
        if not path:
            continue
        try:
            with Image.open(Path(str(path))) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError("mask: what was painted has too many pixels")
                found.append(image.convert("RGBA"))
        except (OSError, SyntaxError, Image.DecompressionBombError):
            raise ValueError("mask: what was painted cannot be read; clear it and paint again") from None
    return found
