"""Whether stylised videos flicker: the warping error of sequences of frames, by how consistency is had."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..datasets import ImageFiles
from ..stylize.pictures import resized, scaled
from ..stylize.prepared import prepare
from ..stylize.sequence import TEMPORAL, FrameStyler
from ..video import dis_flow, trusted, warp
from ..video.raft import Flow


@dataclass(frozen=True)
class VideoScore:
    """One way to stylise one sequence."""

    sequence: str
    engine: str
    mode: str
    temporal: str
    frames: int
    error: float
    """`warping_error`."""
    seconds: float
    """A frame, the mean without the first."""
    images: Sequence[Tensor]
    """(1, 3, H, W) each."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, without the pictures."""
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name != "images"}


def warping_error(frames: Sequence[Tensor], results: Sequence[Tensor], flow: Flow = dis_flow) -> float:
    """Mean squared distance of each result to the one before, moved along, where that is trusted.

    Flow and trust are those of the frames as they were filmed, so that every way to stylise is measured alike.

    Args:
        frames: (1, 3, H, W) in [0, 1], at least two.
        results: The same, stylised.
        flow: What finds the motion.

    Returns:
        The mean over the pairs of frames.

    Raises:
        ValueError: fewer than two, other numbers, or nothing to trust anywhere.
    """
    if len(frames) < 2 or len(frames) != len(results):
        raise ValueError(f"frames, results: as many of both, at least 2, got {len(frames)} and {len(results)}")
    errors = []
    for index in range(1, len(frames)):
        there, back = flow(frames[index], frames[index - 1]), flow(frames[index - 1], frames[index])
        mask = trusted(there, back)
        if float(mask.sum()) > 0:
            far = (mask * (results[index] - warp(results[index - 1], there))).square().sum()
            errors.append(float(far / (results[index].shape[1] * mask.sum())))
    if not errors:
        raise ValueError("frames: the motion cannot be trusted anywhere")
    return float(np.mean(errors))


def sequences(data: str | Path, size: int, frames: int | None = None) -> Iterator[tuple[str, list[Tensor]]]:
    """The folders of a folder or archive that hold two frames or more, in the order of their names.

    Args:
        data: Folder, .zip or .tar.
        size: Longer side in pixels; frames that are smaller stay as they are.
        frames: Only the first so many of each.

    Raises:
        ValueError: no sequence.
    """
    files = ImageFiles(data)
    folders: dict[str, list[str]] = {}
    for name in files.images():
        folders.setdefault(Path(name).parent.as_posix(), []).append(name)
    found = {folder: names[:frames] for folder, names in sorted(folders.items()) if len(names[:frames]) > 1}
    if not found:
        raise ValueError(f"data {str(data)!r}: no folder with two frames or more")
    for folder, names in found.items():
        yield folder, [_frame(files.decode(name), size) for name in names]


def _frame(pixels: np.ndarray, size: int) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None].float() / 255
    height, width = tensor.shape[-2:]
    return resized(tensor, scaled(height, width, min(size, max(height, width))))


def evaluate_video(
    named: Iterable[tuple[str, Sequence[Tensor]]],
    model: str,
    *,
    style: Any = "gallery:dusk",
    mode: str = "artistic",
    ways: Sequence[str] = TEMPORAL,
    temporal_lam: float = 0.37,
    steps: int | None = None,
    device: str = "cpu",
) -> Iterator[VideoScore]:
    """Stylise sequences in each way and measure them.

    Args:
        named: Names and frames, of `sequences`.
        model: Engine.
        style: A picture or "gallery:NAME".
        mode, temporal_lam, steps: as in `zoo.tasks.stylize_video`.
        ways: Values of its `temporal`.
        device: Where to compute.

    Raises:
        TypeError, ValueError: as `zoo.tasks.stylize_video`.
    """
    for name, frames in named:
        size = (frames[0].shape[-2], frames[0].shape[-1])
        engine = prepare(style, size, model=model, steps=steps, place=torch.device(device), max_pixels=None)
        for way in ways:
            styler = FrameStyler(engine, dis_flow, mode=mode, temporal=way, temporal_lam=temporal_lam, measure=False)
            made, seconds = [], []
            for frame in frames:
                start = time.perf_counter()
                made.append(styler(frame.to(device)).image.cpu())
                seconds.append(time.perf_counter() - start)
            error = warping_error(frames, made)
            pace = float(np.mean(seconds[1:]))
            yield VideoScore(name, engine.choice.name, mode, way, len(frames), error, pace, made)
