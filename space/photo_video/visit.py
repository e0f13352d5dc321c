"""What a visitor's run needs beside its settings: a folder for its files, and a way to stop it."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..common import delete_folder, new_folder, result_path
from ..pictures import safe_stem

VIDEO_NAMES = "MP4, MOV, WebM, MKV, AVI and whatever else FFmpeg reads"


@dataclass(frozen=True)
class Visit:
    """The runs of one visitor."""

    folder: Path = field(default_factory=new_folder)
    halt: threading.Event = field(default_factory=threading.Event)
    """Set when the present run is to end with what it has."""


def arrive(visit: Visit | None) -> Visit:
    """A visit whose next run goes; the first time a new one."""
    visit = visit if visit is not None and visit.folder.exists() else Visit()
    visit.halt.clear()
    return visit


def leave(visit: Visit | None) -> None:
    """Ends a visitor's run and deletes its files; called when the session ends."""
    if visit is not None:
        visit.halt.set()
        delete_folder(visit.folder)


@dataclass(frozen=True)
class Clip:
    """A visitor's video, checked."""

    path: Path
    stem: str
    width: int
    height: int
    frames: int | None


def open_clip(payload: Mapping[str, Any] | None) -> Clip:
    """Reads what a video component sends: the event must have `preprocess=False`.

    Raises:
        ValueError: nothing was sent, or a file that is no video.
    """
    record = payload or {}
    record = record.get("video") or record
    if not record.get("path"):
        raise ValueError("video: none was given; upload one or choose an example")
    path = Path(str(record["path"]))
    name = str(record.get("orig_name") or path.name)
    from zoo.video import VideoReader

    try:
        with VideoReader(path) as reader:
            return Clip(path, safe_stem(name), reader.width, reader.height, reader.frames)
    except ImportError:
        raise ValueError("video: this server has no PyAV, which reads videos; photographs work") from None
    except (ValueError, FileNotFoundError) as error:
        why = "has no picture in it" if re.search("no video stream|no frames", str(error)) else "cannot be read"
        raise ValueError(f"video: {name} {why}; {VIDEO_NAMES} can") from None


def target(visit: Visit, stem: str) -> Path:
    """Where the result of a run goes."""
    return result_path(visit.folder, f"{stem}-stylized.mp4")
