"""Writes zoo/showcases: what the models make of a drawn picture that take too long to draw it when it is asked for.

    python docs/showcases.py [NAME...]

Takes minutes a picture on a core.
"""

from __future__ import annotations

import sys

import zoo
from zoo.registry import ROOT
from zoo.showcase import SLOW, showcase


def main() -> None:
    """Draw the pictures of the models that are named, or of all slow ones."""
    names = sys.argv[1:] or [name for name in zoo.list_models() if zoo.info(name).arch in SLOW]
    for name in names:
        picture = showcase(zoo.info(name), patient=True)
        assert picture is not None
        # 256 colours look the same at this size, and take a third of the room
        picture.quantize(256, dither=0).save(ROOT / "showcases" / f"{name}.png", optimize=True)
        sys.stderr.write(f"{name}\n")


if __name__ == "__main__":
    main()
