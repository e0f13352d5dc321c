"""The examples of the "Restore" tab: pictures that something has happened to, made from those of `space.examples`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from .examples import drawn, labelled, written

FACE = (170, 68, 274, 172)  # of the astronaut, framed as the faces that the models know
SIDE = 256


@dataclass(frozen=True)
class Damaged:
    """A picture, and what happened to it."""

    label: str
    picture: Image.Image
    kinds: tuple[str, ...] = ()
    enlarge: str = ""
    holes: Image.Image | None = None
    """As large as the picture, mode L, bright where it is missing."""
    face: bool = False
    """Whether it is for the priors that know faces."""

    def layer(self, colour: str) -> Image.Image | None:
        """The holes as if they had been painted, RGBA."""
        if self.holes is None:
            return None
        painted = Image.new("RGBA", self.picture.size, colour)
        painted.putalpha(self.holes)
        return painted

    def canvas(self, colour: str) -> dict[str, Any]:
        """As `gr.ImageEditor` takes it."""
        layer = self.layer(colour)
        composite = self.picture.convert("RGBA")
        if layer is not None:
            composite.alpha_composite(layer)
        return {"background": self.picture, "layers": [layer] if layer else [], "composite": composite}

    def thumbnail(self, colour: str) -> Path:
        """A picture of it, on disk."""

        def draw() -> Image.Image:
            return self.canvas(colour)["composite"].convert("RGB").resize((SIDE, SIDE), Image.Resampling.NEAREST)

        return written(f"damaged-{self.label.lower().replace(' ', '-')}.png", draw)


def scratches(draw: Callable[[ImageDraw.ImageDraw], None]) -> Image.Image:
    """A mask of `SIDE` pixels, drawn by a function."""
    mask = Image.new("L", (SIDE, SIDE))
    draw(ImageDraw.Draw(mask))
    return mask


def _on_the_face(draw: ImageDraw.ImageDraw) -> None:
    draw.line([(20, 70), (108, 140), (236, 96)], 255, 11, joint="curve")
    draw.line([(70, 250), (140, 168), (206, 240)], 255, 11, joint="curve")
    draw.ellipse((136, 84, 188, 122), fill=255)  # an eye


def _on_the_paper(draw: ImageDraw.ImageDraw) -> None:
    for number in range(3):
        draw.line([(0, 50 + 70 * number), (255, 20 + 70 * number)], 255, 6)
    draw.line([(90, 0), (130, 255)], 255, 6)


@cache
def damaged() -> tuple[Damaged, ...]:
    """The examples that are there: without scikit-image's pictures only the one that is drawn."""
    found = []
    astronaut = labelled("Astronaut")
    if astronaut is not None:
        with Image.open(astronaut) as whole:
            face = whole.convert("RGB").crop(FACE).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        found = [
            Damaged("Scratched", face, ("inpaint",), holes=scratches(_on_the_face), face=True),
            Damaged("Without colour", face.convert("L").convert("RGB"), ("colourise",), face=True),
            Damaged("Too small", face.resize((SIDE // 8, SIDE // 8), Image.Resampling.LANCZOS), (), "x4", face=True),
        ]
    with Image.open(drawn()) as whole:
        paper = whole.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return (*found, Damaged("Torn paper", paper, ("inpaint",), holes=scratches(_on_the_paper)))
