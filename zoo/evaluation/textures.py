"""The textures that super-resolution is measured on, and that nothing may be trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..datasets import ImageFiles
from .held_out import spread

HELD_OUT = 40


def held_out_textures(names: Sequence[str]) -> list[str]:
    """The 40 textures of a set that are kept from training: evenly spread over the names in order.

    With a folder for each kind of texture, each kind has its share.

    Args:
        names: Of all textures; their order does not matter.
    """
    ordered = sorted(names)
    return [ordered[index] for index in spread(len(ordered), HELD_OUT)]


def split_textures(data: str | Path) -> tuple[list[str], list[str]]:
    """Names of the textures of a folder or archive: those to train on, and those held out."""
    names = ImageFiles(data).images()
    held = held_out_textures(names)
    return [name for name in names if name not in set(held)], held
