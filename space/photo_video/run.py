"""The two jobs: from what is on the page to its updates, as the job goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..figures import Figure, figures_html, status_html
from ..pictures import Forgotten, forget, open_picture
from .visit import Visit, open_clip, target

if TYPE_CHECKING:
    from zoo.tasks.photo_stylize import PhotoInfo
    from zoo.tasks.stylize_video import VideoInfo

PHOTO, VIDEO = "photo", "video"
MOST_FRAMES = 600
MOST_SIDE = 1024
PREVIEW_EVERY = 0.7
"""Seconds between two previews at least; one is written and sent each time."""
STOPPED = "Stopped. "
NO_STYLE = "style: none is chosen; upload a picture, or click a painting or an example"

Update = tuple[Any, ...]


def shown(
    pair: Any = None,
    frame: Any = None,
    video: Any = None,
    status: Any = None,
    figures: Any = None,
    download: Any = None,
    running: bool | None = None,
) -> Update:
    """New values of before/after, frame, video, status, figures, download and Stop; None: as it is."""
    halt = None if running is None else gr.update(interactive=running)
    values = (pair, frame, video, status, figures, download, halt)
    return tuple(gr.skip() if value is None else value for value in values)


def run(
    visit: Visit | None,
    kind: str,
    image: Mapping[str, Any] | None,
    video: Mapping[str, Any] | None,
    style: Mapping[str, Any] | None,
    content_map: Mapping[str, Any] | None,
    style_map: Mapping[str, Any] | None,
    mode: str,
    lam: float,
    temporal_lam: float,
    temporal: str,
    beside: bool,
    model: str,
    size: float,
    frames: float,
    steps: float,
) -> Iterator[Update]:
    """Stylises what is chosen; the events that call this have `preprocess=False`."""
    assert visit is not None
    options: dict[str, Any] = {"model": model, "steps": int(steps) if steps else None}
    side = min(MOST_SIDE, int(size or MOST_SIDE))
    look = open_style(style)
    yield shown(status=status_html("Working…", 0), figures="", running=True)
    with suppress(Forgotten):
        if kind == PHOTO:
            maps = [open_map(one) for one in (content_map, style_map)]
            yield from _photo(visit, image, look, maps, options | {"lam": float(lam)}, side)
            return
        options |= {
            "mode": mode,
            "photo_lam": float(lam),
            "temporal": temporal,
            "temporal_lam": float(temporal_lam),
            "side_by_side": bool(beside),
            "frames": min(MOST_FRAMES, int(frames or MOST_FRAMES)),
        }
        yield from _video(visit, video, look, options, side)


def open_style(payload: Mapping[str, Any] | None) -> Any:
    """The style picture.

    Raises:
        ValueError: none, or no picture.
    """
    if payload is None:
        raise ValueError(NO_STYLE)
    opened = open_picture(payload)
    forget(opened)
    return opened.image


def open_map(payload: Mapping[str, Any] | None) -> Any:
    """A segmentation map, or None."""
    if payload is None:
        return None
    opened = open_picture(payload)
    forget(opened)
    return opened.image.convert("RGB")


def _photo(
    visit: Visit, image: Mapping[str, Any] | None, style: Any, maps: list[Any], options: dict[str, Any], side: int
) -> Iterator[Update]:
    from zoo.tasks.photo_stylize import photo_stylize_steps

    picture = open_picture(image)
    try:
        steps = photo_stylize_steps(picture.image, style, *maps, size=min(side, picture.longer_side), **options)
        before = None
        written = 0.0
        with closing(steps):  # type: ignore[type-var]
            for step in steps:
                if before is None:
                    before = _save(visit, step, "content")
                halted = visit.halt.is_set() and step.iteration > 0 and not step.done
                if not step.done and not halted:
                    if step.iteration > 0 and time.perf_counter() - written > PREVIEW_EVERY:
                        text = f"{step.iteration} iterations"
                        pair = (before, _save(visit, step, "partial"))
                        yield shown(pair=pair, status=status_html(text, step.progress), running=True)
                        written = time.perf_counter()
                    continue
                after = _save(visit, step, f"{picture.stem}-stylized")
                text = (STOPPED if halted else "") + photo_summary(step.info)
                yield shown(
                    pair=(before, after),
                    status=status_html(text),
                    figures=figures_html(photo_figures(step.info)),
                    download=gr.update(value=after, interactive=True),
                    running=False,
                )
                return
    finally:
        forget(picture)


def _save(visit: Visit, step: Any, name: str) -> str:
    from zoo.images import write_png

    from ..common import result_path

    if not visit.folder.exists():
        raise Forgotten
    path = result_path(visit.folder, f"{name}.png")
    write_png(path, step.image)
    return str(path)


def _video(
    visit: Visit, video: Mapping[str, Any] | None, style: Any, options: dict[str, Any], side: int
) -> Iterator[Update]:
    from zoo.tasks.stylize_video import stylize_video_steps

    clip = open_clip(video)
    path = target(visit, clip.stem)
    steps = stylize_video_steps(clip.path, path, style, size=min(side, max(clip.width, clip.height)), **options)
    step, halted, written = None, False, 0.0
    yield shown(video=gr.update(value=None), download=gr.update(value=None, interactive=False), running=True)
    with closing(steps):  # type: ignore[type-var]
        for step in steps:
            if visit.halt.is_set() and not step.done:
                halted = True
                break
            if not step.done and time.perf_counter() - written > PREVIEW_EVERY:
                status = status_html(under_way(step.frame, step.frames, step.seconds_left), step.progress)
                yield shown(frame=_save(visit, step, "frame"), status=status, running=True)
                written = time.perf_counter()
    assert step is not None
    if not path.exists():  # the visitor left, and the folder is gone
        raise Forgotten
    text = (STOPPED + "What was done is kept. " if halted else "") + video_summary(step.info)
    yield shown(
        frame=_save(visit, step, "frame"),
        video=str(path),
        status=status_html(text),
        figures=figures_html(video_figures(step.info)),
        download=gr.update(value=str(path), interactive=True),
        running=False,
    )


def stop(visit: Visit | None) -> tuple[str, dict[str, Any]]:
    """Asks the run to end with what it has, which it does after the present iteration or frame."""
    if visit is not None:
        visit.halt.set()
    return status_html("Stopping after this step…"), gr.update(interactive=False)


def under_way(frame: int, frames: int | None, left: float | None) -> str:
    """How far a video is."""
    of = f" of {frames}" if frames else ""
    if left is None:
        return f"Frame {frame}{of}"
    time_left = f"{left:.0f} s" if left < 90 else f"{left / 60:.0f} min"
    return f"Frame {frame}{of}, about {time_left} left"


def photo_summary(info: PhotoInfo) -> str:
    """How long it took, by what, and how it was kept a photograph."""
    how = {
        "prox": "photorealism after each update",
        "luan": "photorealism in the loss",
        "smooth": "smoothed afterwards",
    }[info.method]
    regions = f", {len(info.labels)} regions" if info.labels else ""
    return f"Done in {info.seconds:.1f} s by {info.engine}: {info.iterations} iterations, {how}{regions}."


def photo_figures(info: PhotoInfo) -> list[Figure]:
    """The size, the likeness of the edges, and the loss where they were measured."""
    found = [Figure("Size", f"{info.width}×{info.height}", "pixels")]
    if info.edge_ssim is not None:
        found.append(Figure("Edges", f"{info.edge_ssim:.3f}", "SSIM to the picture"))
    if info.loss is not None and info.loss_before is not None:
        gain = info.loss.total < info.loss_before.total
        found.append(Figure("Loss L_TV", f"{info.loss.total:.3f}", f"from {info.loss_before.total:.3f}", gain=gain))
    return found


def video_summary(info: VideoInfo) -> str:
    """How many frames, how long it took and by what."""
    sound = ", sound kept" if info.sound else ""
    return f"{info.frames} frames in {info.seconds:.1f} s by {info.engine}{sound}."


def video_figures(info: VideoInfo) -> list[Figure]:
    """Size, frames, pace and how much neighbouring frames differ."""
    found = [
        Figure("Size", f"{info.width}×{info.height}", "pixels"),
        Figure("Frames", str(info.frames)),
        Figure("Pace", f"{info.seconds / max(1, info.frames):.2f}", "seconds a frame"),
    ]
    if info.warping_error is not None:
        found.append(Figure("Warping error", f"{info.warping_error:.1e}", "between frames"))
    return found
