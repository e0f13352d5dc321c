"""Frames of a video file, one at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

HINT = 'video needs PyAV: pip install "neural-solver-zoo[video]"'
BT601, BT709 = 5, 1  # AVCOL_SPC_BT470BG, AVCOL_SPC_BT709


@dataclass(frozen=True)
class Frame:
    """One picture of a video."""

    image: Tensor
    """(1, 3, H, W) float32 in [0, 1], upright."""
    time: float
    """Seconds since the beginning of the file."""
    index: int
    """0, 1, …"""


class VideoReader:
    """A video as an iterator of `Frame`; at any time one frame is in memory. A context manager.

    Pictures that the file asks to be turned come out upright. Iterating again starts from the beginning.

    Args:
        path: Any file that FFmpeg reads.

    Attributes:
        path: The file.
        width, height: Of the upright frames, pixels.
        rate: Frames a second, a fraction; the mean where they come irregularly (`Frame.time` is exact).
        duration: Seconds of the video stream; None where the file does not say.
        frames: How many frames there will be, an estimate where the file does not say; None: unknown.
        has_audio: Whether there is sound.
        exhausted: Whether an iteration has reached the end.

    Raises:
        ImportError: PyAV is not installed.
        FileNotFoundError: no such file.
        ValueError: not a video.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._container, self._stream = self._open()
        stream = self._stream
        first = next(self._decoded(), None)
        if first is None:
            self.close()
            raise ValueError(f"{path}: has no frames that can be decoded")
        self.turns = round(first.rotation / 90) % 4
        size = (first.height, first.width)
        self.height, self.width = size[::-1] if self.turns % 2 else size
        self.rate: Fraction = stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)
        self.has_audio = bool(self._container.streams.audio)
        self.duration = float(stream.duration * stream.time_base) if stream.duration else None
        if self.duration is None and self._container.duration:
            self.duration = self._container.duration / 1e6
        self.frames: int | None = stream.frames or (round(self.duration * self.rate) if self.duration else None)
        self.exhausted = False

    def _open(self) -> tuple[Any, Any]:
        try:
            import av
        except ImportError as error:
            raise ImportError(HINT) from error
        try:
            container = av.open(os.fspath(self.path))
        except FileNotFoundError:
            raise FileNotFoundError(f"{self.path}: no such file") from None
        except (av.FFmpegError, OSError, ValueError) as error:
            raise ValueError(f"{self.path}: not a readable video ({error})") from error
        if not container.streams.video:
            container.close()
            raise ValueError(f"{self.path}: has no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return container, stream

    def _decoded(self) -> Iterator[Any]:
        import av

        try:
            yield from self._container.decode(self._stream)
        except av.FFmpegError as error:
            raise ValueError(f"{self.path}: damaged video ({error})") from error

    @property
    def start(self) -> Fraction:
        """The time stamp that counts as 0, seconds: the earliest of all streams, so that sound and picture agree."""
        return Fraction(self._container.start_time or 0, 1_000_000)

    def __iter__(self) -> Iterator[Frame]:
        """From the first frame on."""
        self.close()
        self._container, self._stream = self._open()
        self.exhausted = False
        last = -1 / self.rate
        for index, frame in enumerate(self._decoded()):
            time = frame.pts * frame.time_base - self.start if frame.pts is not None else last + 1 / self.rate
            last = time
            yield Frame(self._picture(frame), float(time), index)
        self.exhausted = True

    def _picture(self, frame: Any) -> Tensor:
        # files that do not name their colours mean BT.709 from 720 lines on and BT.601 below, as players have it
        space = int(frame.colorspace)
        guess = BT709 if frame.height >= 720 else BT601
        pixels = frame.reformat(format="rgb24", src_colorspace=guess if space == 2 else space).to_ndarray()
        upright = np.ascontiguousarray(np.rot90(pixels, self.turns))
        return torch.from_numpy(upright).permute(2, 0, 1)[None].float().div_(255)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
