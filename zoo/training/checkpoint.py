"""Checkpoints of a run: one file, replaced in one step, read without unpickling code."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

FILE = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write `folder/checkpoint.pt`; a kill at any moment leaves the old or the new one, whole."""
    part = folder / (FILE + ".part")
    with open(part, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, folder / FILE)


def read_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint of a run, on the CPU; None if there is none.

    Raises:
        ValueError: the file is damaged or not a checkpoint.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ValueError(f"{path} cannot be read as a checkpoint ({error}); delete it to start afresh") from error
    return state
