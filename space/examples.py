"""The example pictures: those that scikit-image's package ships, and one drawn here. Nothing is downloaded."""

from __future__ import annotations

import importlib.util
import math
import random
from collections.abc import Callable
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
TEXTURES = (("Brick", "brick.png"), ("Grass", "grass.png"), ("Gravel", "gravel.png"))
"""Grey, 512 pixels."""


@cache
def examples() -> tuple[Example, ...]:
    """The examples that are there: a scikit-image without its pictures leaves the drawn one."""
    found = _packaged(PACKAGED)
    found.insert(min(1, len(found)), Example("Paper cut", drawn()))
    return tuple(found)


def labelled(label: str) -> Path | None:
    """The example of a label; None where it is not there."""
    return next((one.path for one in examples() if one.label == label), None)


@cache
def textures() -> tuple[Example, ...]:
    """Textures: those of scikit-image that are there, and a basket in colour that is drawn here."""
    return (*_packaged(TEXTURES), Example("Basket", written("basket.png", basket)))


def drawn() -> Path:
    """Writes the picture of flat shapes, piecewise constant as total variation likes it, and returns its path."""
    return written("paper-cut.png", paper_cut)


def _packaged(pictures: tuple[tuple[str, str], ...]) -> list[Example]:
    # find_spec reads no code: importing scikit-image would cost the first paint half a second
    spec = importlib.util.find_spec("skimage")
    folder = Path(spec.origin).parent / "data" if spec is not None and spec.origin is not None else None
    found = [Example(label, folder / name) for label, name in pictures] if folder is not None else []
    return [example for example in found if example.path.exists()]


def written(name: str, draw: Callable[[], Image.Image]) -> Path:
    """The path of a picture among the uploads, drawn if it is not there yet."""
    path = Path(get_upload_folder()) / "examples" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draw().save(path)
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


def basket(size: int = 384, cell: int = 24) -> Image.Image:
    """A basket weave, its strands lying across and upright in turn, each of another brown.

    Args:
        size: Height and width in pixels.
        cell: Of a bundle of strands, pixels.

    Returns:
        An RGB picture.
    """
    draws = random.Random(0)
    canvas = Image.new("RGB", (size, size), "#3b2a1c")
    strands = 4
    for number in range((size // cell) ** 2):
        row, column = divmod(number, size // cell)
        bundle = Image.new("RGB", (cell * 2, cell * 2), "#3b2a1c")  # drawn larger and reduced: smooth edges
        draw = ImageDraw.Draw(bundle)
        for strand in range(strands):
            light = draws.uniform(0.75, 1.1)
            top = strand * cell * 2 // strands
            for line in range(cell * 2 // strands - 2):
                round_off = math.sin(math.pi * (line + 1) / (cell * 2 // strands - 1)) ** 0.6
                colour = tuple(round(value * light * (0.45 + 0.55 * round_off)) for value in (196, 150, 92))
                draw.line((2, top + line, cell * 2 - 3, top + line), fill=colour)
        bundle = bundle.rotate(90 * ((row + column) % 2)).resize((cell, cell), Image.Resampling.LANCZOS)
        canvas.paste(bundle, (column * cell, row * cell))
    return canvas
