"""Style transfer for videos: a file in, an H.264 file with the same sound out, frame by frame."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from ..images import MAX_PIXELS
from ..stylize.pictures import WORKING_PIXELS, resized, scaled
from ..stylize.prepared import prepare
from ..stylize.ranking import AUTO
from ..stylize.sequence import FrameStyler
from ..stylize.settings import LIMITS, MIN_SIDE
from ..video import Frame, VideoReader, VideoWriter
from ..video.raft import flow_by
from ..video.writer import TICKS

TEMPORAL_LAM, PHOTO_LAM = 0.37, 50.0
"""λ of Puy & Pérez 2019, sections 5.5 and 5.4."""


@dataclass(frozen=True)
class VideoInfo:
    """What was done to a video."""

    engine: str
    reason: str
    """Why this engine."""
    mode: str
    temporal: str
    temporal_lam: float
    photo_lam: float | None
    """None for mode "artistic"."""
    flow: str
    """"dis" or "raft"."""
    settings: dict[str, Any]
    """Of the engine, as `StylizeSettings.to_dict`."""
    target: str
    height: int
    width: int
    """Of the file's frames."""
    frames: int
    """Written so far."""
    sound: bool
    seconds: float
    warping_error: float | None = None
    """Mean over the frames of the mean squared distance to the last result moved along, where that is trusted."""

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-able data."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class VideoStep:
    """A frame that was written."""

    image: Image.Image
    """The stylised frame."""
    frame: int
    """How many are done: 1, 2, …"""
    frames: int | None
    """How many there will be; None where the file does not say."""
    seconds_left: float | None
    """At the pace so far."""
    info: VideoInfo
    done: bool
    """Whether this was the last one; the file is finished then."""

    @property
    def progress(self) -> float | None:
        """0 … 1; None where the length is unknown."""
        return 1.0 if self.done else None if not self.frames else min(1.0, self.frame / self.frames)


def stylize_video(
    source: str | os.PathLike[str], target: str | os.PathLike[str], *args: Any, **options: Any
) -> VideoInfo:
    """Give a video the style of a picture, see `stylize_video_steps`, which has the same arguments.

    Returns:
        The record; the video is in `target`.

    Raises:
        TypeError, ValueError, OSError, ImportError: as `stylize_video_steps`.
    """
    for step in stylize_video_steps(source, target, *args, **options):
        last = step
    return last.info


def stylize_video_steps(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    style: Any = None,
    mode: str = "artistic",
    *,
    temporal: str = "inside",
    temporal_lam: float = TEMPORAL_LAM,
    photo_lam: float = PHOTO_LAM,
    model: str | nn.Module = AUTO,
    intensity: float = 1.0,
    size: int | None = None,
    frames: int | None = None,
    style_size: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    encoder: str | None = None,
    flow: str = "auto",
    side_by_side: bool = False,
    device: str | torch.device | None = None,
    max_pixels: int | None = MAX_PIXELS,
) -> Iterator[VideoStep]:
    """Give a video the style of a picture, frame by frame; each frame follows the last one's result.

    The last result is moved along optical flow to the present frame, and the proximal operator of temporal consistency
    (Puy & Pérez 2019, section 4.2.2) draws the frame to it where the flows there and back agree and the motion is
    smooth. Frames keep their times, and the sound is copied. In memory are a few frames, whatever the length. Whoever
    stops early, by closing the iterator, finds what is done in `target` as a whole, playable file.

    Args:
        source: Any video that FFmpeg reads.
        target: The .mp4 to write; another file than `source`.
        style: A picture, see `zoo.images.to_picture`, or "gallery:NAME". A network of a single style takes that one.
        mode: "artistic", or "photo" to keep each frame photorealistic, as `zoo.tasks.photo_stylize` does by its method
            "auto".
        temporal: "inside": the operator after each update of a solver, which draws X(t) to the last frame's X(t); as a
            term of the loss of an optimisation, which then begins at the last result; once after a network of one
            pass. "after": once, when the engine is done with the frame. "off": frame by frame.
        temporal_lam: λ ≥ 0 of consistency.
        photo_lam: λ_L ≥ 0 of photorealism, with mode "photo".
        model: An entry of the registry for the task "stylize", a module, or "auto": the steadiest of those installed.
        intensity: ≥ 0, 1 as trained; see `zoo.tasks.stylize`.
        size: Longer side of the frames to work on and to write, pixels. None: as they are.
        frames: Only the first so many. None: all.
        style_size: Longer side of the style, pixels.
        steps: Iterations for each frame. None: all that a solver has; of the optimisation 60, and 20 where it begins at
            the last result.
        seed: Of gallery paintings.
        encoder: Perceptual encoder of the optimisation, a name.
        flow: "dis" (OpenCV), "raft" (torchvision, needs its weights), or "auto": RAFT where its weights are.
        side_by_side: Whether to write the frames as they were on the left of the stylised ones.
        device: Where to compute; None: CUDA if there is one.
        max_pixels: Limit on height × width of frames and style as given; None: no limit.

    Returns:
        An iterator of `VideoStep`, one for each frame; the last has `done`. Arguments are checked at once.

    Raises:
        TypeError: a type that is not accepted.
        ValueError: not a video, frames that are too large or small, or an argument outside its range.
        FileNotFoundError: no source, or no weights for "raft".
        ImportError: PyAV or OpenCV is not installed.
    """
    source, target = Path(source), Path(target)
    if target.suffix.lower() != ".mp4":
        raise ValueError(f"target: videos are written as .mp4, got {target.name}")
    if target.exists() and source.exists() and target.samefile(source):
        raise ValueError(f"target: {target} is the source itself")
    if frames is not None and (isinstance(frames, bool) or frames != int(frames) or frames < 1):
        raise ValueError(f"frames: a whole number from 1, got {frames}")
    low, high = LIMITS["size"]
    if size is not None and not low <= size <= high:
        raise ValueError(f"size: a whole number from {low} to {high}, got {size}")
    with VideoReader(source) as reader:
        inner = (reader.height, reader.width)
        total = reader.frames
    if max_pixels is not None and inner[0] * inner[1] > max_pixels:
        raise ValueError(f"source: {inner[1]}×{inner[0]} is too large, the limit is {max_pixels} pixels")
    shape = scaled(*inner, size)
    if min(shape) < MIN_SIDE:
        raise ValueError(f"source: at least {MIN_SIDE} pixels high and wide, got {shape[1]}×{shape[0]}")
    if shape[0] * shape[1] > WORKING_PIXELS:
        raise ValueError(f"source: {shape[1]}×{shape[0]} is too large to work on; give a size, such as size=1024")
    place = torch.device(device if device is not None else "cuda" if torch.cuda.is_available() else "cpu")
    engine = prepare(
        style,
        shape,
        model=model,
        moving=True,
        intensity=intensity,
        longer=size,
        style_size=style_size,
        steps=steps,
        seed=seed,
        encoder=encoder,
        place=place,
        max_pixels=max_pixels,
    )
    found, motion = flow_by(flow)
    styler = FrameStyler(engine, motion, mode=mode, temporal=temporal, temporal_lam=temporal_lam, photo_lam=photo_lam)
    info = VideoInfo(
        engine=engine.choice.name,
        reason=engine.choice.reason,
        mode=mode,
        temporal=temporal,
        temporal_lam=styler.temporal_lam,
        photo_lam=styler.photo_lam if mode == "photo" else None,
        flow=found,
        settings=engine.settings.to_dict(),
        target=str(target),
        height=shape[0],
        width=shape[1] * (2 if side_by_side else 1),
        frames=0,
        sound=False,
        seconds=0.0,
    )
    if frames is not None:
        total = frames if total is None else min(total, frames)
    return _run(source, target, styler, info, shape, frames, total, side_by_side, place)


def _run(
    source: Path,
    target: Path,
    styler: FrameStyler,
    info: VideoInfo,
    shape: tuple[int, int],
    limit: int | None,
    total: int | None,
    beside: bool,
    place: torch.device,
) -> Iterator[VideoStep]:
    begin = time.perf_counter()
    error_sum, measured = 0.0, 0
    last: VideoStep | None = None
    with VideoReader(source) as reader, VideoWriter(target, source=reader) as writer:
        info = dataclasses.replace(info, sound=reader.has_audio)
        before = -1.0
        for frame in _first(reader, limit):
            if last is not None:
                yield last
            content = resized(frame.image.to(place), shape)
            made = styler(content)
            if made.error is not None:
                error_sum, measured = error_sum + made.error, measured + 1
            # times go forward in files that say otherwise, too
            before = max(frame.time, before + 2 / TICKS)
            writer.write(torch.cat((content, made.image), 3) if beside else made.image, before)
            seconds = time.perf_counter() - begin
            info = dataclasses.replace(
                info, frames=frame.index + 1, seconds=seconds, warping_error=error_sum / measured if measured else None
            )
            last = _step(made.image, info, total, False)
    if last is None:
        raise ValueError(f"{source}: has no frames that can be decoded")
    yield dataclasses.replace(last, done=True, seconds_left=0.0, frames=info.frames)


def _first(reader: VideoReader, limit: int | None) -> Iterator[Frame]:
    """The first frames, without asking for one more."""
    for frame in reader:
        yield frame
        if limit is not None and frame.index + 1 >= limit:
            return


def _step(image: Tensor, info: VideoInfo, total: int | None, done: bool) -> VideoStep:
    pixels = image[0].mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    left = None if total is None else max(0.0, info.seconds / info.frames * (total - info.frames))
    return VideoStep(Image.fromarray(pixels), info.frames, total, left, info, done)
