"""H.264 in MP4, frame by frame, with the sound of the video that the frames come from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from .reader import BT709, HINT, VideoReader

TICKS = 90_000  # of a second: holds all usual frame rates, and frames that come irregularly
COPIED = ("aac", "mp3", "ac3", "eac3", "alac", "opus")
"""Sound that MP4 holds as it is; any other is turned into AAC."""
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)


class VideoWriter:
    """Writes frames to an MP4 file that every browser plays. A context manager.

    What was written is a whole, playable file as soon as the context is left, also by an exception or before the source
    is at its end; before, it is a hidden file beside it. At any time only a few frames are in memory. H.264 with 4:2:0
    colours has even sides: an odd picture gets its last row or column twice.

    Args:
        path: The file, .mp4.
        rate: Frames a second; None: that of `source`.
        source: Where the frames come from. Its sound is copied (or turned into AAC where MP4 cannot hold it): up to the
            last frame written, and to its own end once the source is exhausted.
        crf: Quality of x264, 0 (lossless) … 51; 18 is hard to tell from the original.
        preset: Of x264, "ultrafast" … "veryslow": the slower, the smaller the file.

    Attributes:
        frames: How many were written.

    Raises:
        ImportError: PyAV is not installed.
        ValueError: neither rate nor source, or a value outside its range.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        rate: Fraction | float | None = None,
        source: VideoReader | None = None,
        *,
        crf: int = 18,
        preset: str = "veryfast",
    ) -> None:
        if rate is None and source is None:
            raise ValueError("rate, source: at least one of them")
        if not 0 <= crf <= 51:
            raise ValueError(f"crf: 0 … 51, got {crf}")
        rate = Fraction(rate if rate is not None else source.rate).limit_denominator(1001)  # type: ignore[union-attr]
        if rate <= 0:
            raise ValueError(f"rate: above 0, got {rate}")
        try:
            import av
        except ImportError as error:
            raise ImportError(HINT) from error
        self.path = Path(path)
        if source is not None and self.path.exists() and self.path.samefile(source.path):
            raise ValueError(f"path: {path} is the source itself")
        self.rate = rate
        self.source = source
        self.frames = 0
        self.size: tuple[int, int] | None = None
        self._part = self.path.with_name(f".{self.path.name}.part")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(self._part), "w", format="mp4", options={"movflags": "faststart"})
        self._video: Any = self._container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": preset})
        self._last = -1  # ticks of the last frame
        self._sound = _Sound(self._container, source) if source is not None and source.has_audio else None
        self._open = True

    def write(self, image: Tensor, time: float | None = None) -> None:
        """Append a frame.

        Args:
            image: (1, 3, H, W) or (3, H, W) in [0, 1]; clipped. All of one size.
            time: Seconds since the beginning (`Frame.time`), later than the last frame; None: regularly, by the rate.

        Raises:
            ValueError: another shape or size, a time that does not go forward, or a writer that is closed.
        """
        import av

        if not self._open:
            raise ValueError("the writer is closed")
        picture = image.detach()[0] if image.ndim == 4 and len(image) == 1 else image.detach()
        if picture.ndim != 3 or picture.shape[0] != 3 or picture.numel() == 0:
            raise ValueError(f"image: expected (1, 3, H, W), got {tuple(image.shape)}")
        height, width = picture.shape[1:]
        if self.size is None:
            self._start(height, width)
        elif self.size != (height, width):
            raise ValueError(f"image: all frames have one size, {self.size}, got {(height, width)}")
        ticks = round(self.frames / self.rate * TICKS) if time is None else round(time * TICKS)
        if ticks <= self._last:
            raise ValueError(f"time: frames go forward, got {ticks / TICKS:g} s after {self._last / TICKS:g} s")
        even = pad(picture[None].float(), (0, width % 2, 0, height % 2), mode="replicate")[0]
        pixels = even.clamp(0, 1).mul(255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=BT709, dst_color_range="MPEG")
        frame.pts, frame.time_base = ticks, Fraction(1, TICKS)
        for packet in self._video.encode(frame):
            self._container.mux(packet)
        self._last = ticks
        self.frames += 1
        if self._sound is not None:
            self._sound.copy_until(Fraction(ticks, TICKS))

    def _start(self, height: int, width: int) -> None:
        self.size = (height, width)
        video = self._video
        video.width, video.height, video.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        context = video.codec_context
        context.time_base = Fraction(1, TICKS)
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = 1  # the narrow one, as players expect

    def close(self) -> None:
        """Finish the file; without a frame there is none."""
        if not self._open:
            return
        self._open = False
        try:
            if self.frames:
                for packet in self._video.encode(None):
                    self._container.mux(packet)
                if self._sound is not None:
                    whole = self.source is not None and self.source.exhausted
                    self._sound.copy_until(None if whole else Fraction(self._last, TICKS) + 1 / self.rate)
                    self._sound.close()
            self._container.close()
            if self.frames:
                os.replace(self._part, self.path)
        finally:
            self._part.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Sound:
    """The sound of a source, packet by packet."""

    def __init__(self, target: Any, source: VideoReader) -> None:
        import av

        self.target = target
        self.start = source.start
        self.container = av.open(os.fspath(source.path))
        self.stream: Any = self.container.streams.audio[0]
        self.copied = self.stream.codec_context.name in COPIED
        if self.copied:
            self.out: Any = target.add_stream_from_template(self.stream)
        else:
            rate = self.stream.rate if self.stream.rate in AAC_RATES else 48_000
            layout = "mono" if self.stream.channels == 1 else "stereo"
            self.out = target.add_stream("aac", rate=rate, layout=layout)
            self.resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        self.pieces = self._pieces()
        self.waiting: Any = None

    def _pieces(self) -> Iterator[Any]:
        """Packets to copy, or decoded frames."""
        for packet in self.container.demux(self.stream):
            if self.copied:
                if packet.dts is not None:
                    yield packet
            else:
                for frame in packet.decode():
                    yield from self.resampler.resample(frame)
        if not self.copied:
            yield from self.resampler.resample(None)

    def copy_until(self, time: Fraction | None) -> None:
        """Everything that begins before `time`, seconds; None: all that is left."""
        while True:
            piece = self.waiting if self.waiting is not None else next(self.pieces, None)
            self.waiting = None
            if piece is None:
                return
            if time is not None and piece.pts * piece.time_base - self.start >= time:
                self.waiting = piece
                return
            shift = round(self.start / piece.time_base)
            piece.pts -= shift
            if self.copied:
                piece.dts -= shift
                piece.stream = self.out
                self.target.mux(piece)
            else:
                for packet in self.out.encode(piece):
                    self.target.mux(packet)

    def close(self) -> None:
        """Flush, and close the source."""
        if not self.copied:
            for packet in self.out.encode(None):
                self.target.mux(packet)
        self.container.close()
