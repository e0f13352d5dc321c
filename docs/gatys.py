"""Writes docs/gatys.png: Gatys' optimisation with the bundled encoder, photographs of scikit-image, paintings by code.

    python docs/gatys.py [--size 224] [--iterations 80] [--out docs/gatys.png]

Takes about twenty seconds a picture on a core.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from PIL import Image
from skimage import data

import zoo
from zoo.gallery import paint
from zoo.images import to_picture
from zoo.style.gatys import gatys_steps
from zoo.style.loss import style_targets

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee")
STYLES = ("night_sky", "etching", "woodblock", "stained_glass")
CELL, GAP = 224, 8
"""Side of a picture on the page and the space between two, in pixels."""


def photograph(name: str, size: int) -> Image.Image:
    """The largest square in the middle of one of scikit-image's photographs."""
    image = Image.fromarray(getattr(data, name)())
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS)


def main() -> None:
    """Stylise each photograph after each painting and write the table of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=224, help="side of the stylised pictures")
    parser.add_argument("--iterations", type=int, default=80)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".png"))
    options = parser.parse_args()
    encoder = zoo.load("vgg19_half.tiny_imagenet").requires_grad_(False)
    photographs = [photograph(name, options.size) for name in PHOTOGRAPHS]
    rows: list[list[Image.Image | None]] = [[None, *photographs]]
    for style in STYLES:
        painting = paint(style, options.size)
        with torch.no_grad():
            grams = style_targets(encoder, to_picture(painting).tensor)
        row: list[Image.Image | None] = [painting]
        for name, image in zip(PHOTOGRAPHS, photographs, strict=True):
            picture = to_picture(image)
            *_, last = gatys_steps(encoder, picture.tensor, grams, iterations=options.iterations)
            row.append(picture.restore(last.image))
            sys.stderr.write(f"{style}, {name}: loss {float(last.terms.total):.4f} after {last.iteration} iterations\n")
        rows.append(row)
    table = Image.new("RGB", [(CELL + GAP) * len(lines) - GAP for lines in (rows[0], rows)], "white")
    for down, row in enumerate(rows):
        for across, image in enumerate(row):
            if image is not None:
                cell = image.resize((CELL, CELL), Image.Resampling.LANCZOS)
                table.paste(cell, (across * (CELL + GAP), down * (CELL + GAP)))
    # 256 colours: a third of the size, and with dithering no difference to be seen at this scale
    table.quantize(256, dither=Image.Dither.FLOYDSTEINBERG).save(options.out, optimize=True)


if __name__ == "__main__":
    main()
