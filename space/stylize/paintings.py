"""The gallery of paintings that are drawn by code, as files that the page may show."""

from __future__ import annotations

import threading
from pathlib import Path

from gradio.utils import get_upload_folder

from zoo.gallery import PAINTINGS

THUMBNAIL = 128
"""Pixels; small enough that all of them are painted within two seconds."""

_locks: dict[Path, threading.Lock] = {}


def thumbnails() -> list[tuple[str, str]]:
    """Path and label of each painting, small, in the order of `PAINTINGS`; painted the first time."""
    return [(_file(name, THUMBNAIL, 0), label) for name, label in PAINTINGS.items()]


def shown(reference: str, seed: int) -> str:
    """Path of a painting as the task uses it, for "gallery:NAME".

    Raises:
        ValueError: no such painting.
    """
    from zoo.stylize.pictures import PAINTING_SIDE
    from zoo.stylize.settings import painting

    return _file(painting(reference), PAINTING_SIDE, seed)


def _file(name: str, side: int, seed: int) -> str:
    from zoo.gallery import paint
    from zoo.images import write_png

    path = Path(get_upload_folder()) / "paintings" / f"{name}-{side}-{seed}.png"
    with _locks.setdefault(path, threading.Lock()):  # two visitors at once: painted once
        if not path.exists():
            write_png(path, paint(name, side, seed=seed))
    return str(path)
