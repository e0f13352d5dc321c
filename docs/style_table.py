"""Writes a table of photographs of scikit-image in the styles of paintings that are drawn by code.

python docs/style_table.py --model wct.tiny_imagenet --out docs/style.png
python docs/style_table.py --model gatys --steps 80 --out docs/gatys.png
python docs/style_table.py --model johnson.dusk johnson.night_sky johnson.stained_glass --out docs/johnson.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from PIL import Image
from skimage import data

from zoo.evaluation.style import own_style
from zoo.gallery import paint
from zoo.tasks import stylize

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


def styles_of(model: str) -> tuple[str, ...]:
    """The paintings for a model: its own, or all of them."""
    own = own_style(model)
    return (own,) if own else STYLES


def main() -> None:
    """Stylise each photograph after each painting and write the table of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["auto"], help="see `zoo list --task stylize`")
    parser.add_argument("--size", type=int, default=224, help="side of the stylised pictures")
    parser.add_argument("--steps", type=int, help="iterations of a solver or of the optimisation")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    options = parser.parse_args()
    photographs = [photograph(name, options.size) for name in PHOTOGRAPHS]
    rows: list[list[Image.Image | None]] = [[None, *photographs]]
    for model, style in [(each, style) for each in options.model for style in styles_of(each)]:
        row: list[Image.Image | None] = [paint(style, options.size)]
        for name, image in zip(PHOTOGRAPHS, photographs, strict=True):
            made, info = stylize(
                image,
                f"gallery:{style}",
                model=model,
                steps=options.steps,
                style_size=options.size,
                return_info=True,
            )
            row.append(made)
            sys.stderr.write(f"{style}, {name}: {info.engine}, {info.seconds:.1f} s\n")
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
