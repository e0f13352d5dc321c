"""Paintings drawn by code, to transfer the style of: any size, the same for the same seed, nothing to download."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

    from .canvas import Canvas

PAINTINGS = {
    "night_sky": "Night sky",
    "dusk": "Dusk",
    "woodblock": "Woodblock",
    "watercolour": "Watercolour",
    "stained_glass": "Stained glass",
    "tesserae": "Mosaic",
    "etching": "Etching",
    "pointillism": "Pointillism",
    "planes": "Planes",
    "drips": "Drips",
}
"""Name -> label."""


def paint(name: str, height: int = 512, width: int | None = None, seed: int = 0) -> Image:
    """Paint a picture.

    Args:
        name: One of `PAINTINGS`.
        height, width: In pixels, at least 16; the width is the height unless given. A painting keeps its looks at any
            size: brushes grow with the shorter side.
        seed: Another one gives another picture in the same style.

    Returns:
        RGB.

    Raises:
        ValueError: no such painting, or a side below 16.
    """
    from . import brush, shapes
    from .canvas import Canvas

    width = height if width is None else width
    if name not in PAINTINGS:
        raise ValueError(f"name: one of {', '.join(PAINTINGS)}, got {name!r}")
    if min(height, width) < 16:
        raise ValueError(f"height, width: at least 16 pixels, got {height} and {width}")
    painter: Callable[[Canvas], None] = getattr(brush, name, None) or getattr(shapes, name)
    canvas = Canvas(height, width, seed)
    painter(canvas)
    return canvas.finish()
