"""The example pictures: those that scikit-image's package ships, and one drawn here. Nothing is downloaded."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gradio.utils import get_upload_folder
from PIL import Image, ImageDraw


@dataclass(frozen=True)
class Example:
    """One example picture."""

    label: str
    path: Path


# scikit-image's file names, all in its wheel and within 512 pixels but the last, which shows a streamed solution
PACKAGED = (
    ("Astronaut", "astronaut.png"),
    ("Cat", "chelsea.png"),
    ("Cameraman", "camera.png"),
    ("Moon", "moon.png"),
    ("Deep field", "hubble_deep_field.jpg"),
)


@cache
def examples() -> tuple[Example, ...]:
    """The examples that are there: a scikit-image without its pictures leaves the drawn one."""
    # find_spec reads no code: importing scikit-image would cost the first paint half a second
    spec = importlib.util.find_spec("skimage")
    folder = Path(spec.origin).parent / "data" if spec is not None and spec.origin is not None else None
    packaged = [Example(label, folder / name) for label, name in PACKAGED] if folder is not None else []
    found = [example for example in packaged if example.path.exists()]
    found.insert(min(1, len(found)), Example("Paper cut", drawn()))
    return tuple(found)


def drawn() -> Path:
    """Writes the picture of flat shapes, piecewise constant as total variation likes it, and returns its path."""
    path = Path(get_upload_folder()) / "examples" / "paper-cut.png"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        paper_cut().save(path)
    return path


def paper_cut(size: int = 384) -> Image.Image:
    """Flat coloured shapes with edges in all directions.

    Args:
        size: Height and width in pixels.

    Returns:
        An RGB picture.
    """
    scale = 3  # drawn larger and reduced, so that the edges are smooth
    canvas = Image.new("RGB", (size * scale, size * scale), "#f1e9d8")
    draw = ImageDraw.Draw(canvas)
    unit = size * scale

    def points(*pairs: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * unit, y * unit) for x, y in pairs]

    draw.ellipse(points((0.58, 0.08), (0.88, 0.38)), fill="#d9a441")
    draw.polygon(points((0, 0.62), (0.3, 0.24), (0.52, 0.58), (0.66, 0.42), (1, 0.72), (1, 1), (0, 1)), fill="#8fb3b0")
    draw.polygon(points((0, 0.78), (0.22, 0.56), (0.5, 0.84), (0.5, 1), (0, 1)), fill="#2f7d83")
    draw.polygon(points((0.3, 1), (0.62, 0.66), (1, 0.9), (1, 1)), fill="#1d4a52")
    draw.rectangle(points((0.62, 0.7), (0.86, 0.9)), fill="#b5533c")
    draw.polygon(points((0.58, 0.71), (0.74, 0.57), (0.9, 0.71)), fill="#5d2f2a")
    draw.rectangle(points((0.71, 0.78), (0.78, 0.9)), fill="#f1e9d8")
    for index in range(7):
        angle = math.pi * (0.56 + index * 0.145)
        x, y = 0.73 + 0.2 * math.cos(angle), 0.23 + 0.2 * math.sin(angle)
        outer = (0.73 + 0.26 * math.cos(angle), 0.23 + 0.26 * math.sin(angle))
        draw.line(points((x, y), outer), fill="#d9a441", width=18)
    return canvas.resize((size, size), Image.Resampling.LANCZOS)
