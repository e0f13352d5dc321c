"""`zoo video`: a file in, a file out, around `zoo.tasks.stylize_video`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Intensity, Seed, Size, StyleSize, Stylizer
from .output import Json, emit, table, user_errors


@user_errors
def video(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Video that FFmpeg reads.")],
    style: Annotated[
        str | None, typer.Option(help="Picture, or gallery:NAME for a painting that is drawn by code.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="MP4 to write. [default: NAME_stylized.mp4]")
    ] = None,
    mode: Annotated[str, typer.Option(help="artistic, or photo to keep each frame photorealistic.")] = "artistic",
    temporal: Annotated[
        str,
        typer.Option(help="inside the engine's iterations, after the engine, or off: frame by frame."),
    ] = "inside",
    temporal_lam: Annotated[float, typer.Option(help="λ of consistency with the last frame.")] = 0.37,
    photo_lam: Annotated[float, typer.Option(help="λ of photorealism, with --mode photo.")] = 50.0,
    intensity: Intensity = 1.0,
    size: Size = None,
    frames: Annotated[int | None, typer.Option(help="Only the first so many frames.")] = None,
    style_size: StyleSize = None,
    steps: Annotated[int | None, typer.Option(help="Iterations a frame. [default: all of a solver's]")] = None,
    model: Stylizer = "auto",
    seed: Seed = 0,
    flow: Annotated[str, typer.Option(help="dis, raft (if its weights are here), or auto.")] = "auto",
    side_by_side: Annotated[bool, typer.Option("--side-by-side", help="Write the original on the left.")] = False,
    json: Json = False,
) -> None:
    """Give a video the style of a picture; the sound stays. Ctrl-C keeps what is done as a whole file."""
    options: dict[str, Any] = {
        "temporal": temporal,
        "temporal_lam": temporal_lam,
        "photo_lam": photo_lam,
        "intensity": intensity,
        "size": size,
        "frames": frames,
        "style_size": style_size,
        "steps": steps,
        "model": model,
        "seed": seed,
        "flow": flow,
        "side_by_side": side_by_side,
    }
    target = output or source.with_name(f"{source.stem}_stylized.mp4")
    record = run(source, target, style, mode, options)
    if json:
        emit(record)
    else:
        table([_record(record)])


def run(source: Path, target: Path, style: str | None, mode: str, options: dict[str, Any]) -> dict[str, Any]:
    """Stylise a video, with a line on stderr that says how far it is.

    Args:
        source: The video.
        target: The file to write.
        style: File or "gallery:NAME".
        mode: "artistic" or "photo".
        options: Further arguments of `zoo.tasks.stylize_video`.

    Returns:
        A JSON-able record: input, output, whether it was stopped, and the fields of `VideoInfo`.

    Raises:
        ValueError: a video, picture or option that cannot be used.
        OSError: a file cannot be read or written.
    """
    from ..images import read_image
    from ..stylize.settings import GALLERY
    from ..tasks.stylize_video import stylize_video_steps

    look = style if style is None or style.startswith(GALLERY) else read_image(style)
    live = sys.stderr.isatty()
    steps = stylize_video_steps(source, target, look, mode, **options)
    last = None
    stopped = False
    try:
        for step in steps:
            last = step
            if live:
                left = "" if step.seconds_left is None else f", {step.seconds_left:.0f} s left"
                end = "\n" if step.done else ""
                print(f"\r\x1b[Kframe {step.frame}/{step.frames or '?'}{left}", end=end, file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        steps.close()  # type: ignore[attr-defined]
        if last is None:
            raise
        stopped = True
    assert last is not None
    return {"input": str(source), "output": str(target), "stopped": stopped, **last.info.to_dict()}


def _record(record: dict[str, Any]) -> tuple[str, ...]:
    error = record["warping_error"]
    return (
        record["output"],
        record["engine"],
        f"{record['frames']} frames{' (stopped)' if record['stopped'] else ''}",
        f"{record['width']}×{record['height']}",
        "with sound" if record["sound"] else "no sound",
        f"warping error {error:.5f}" if error is not None else "",
        f"{record['seconds']:.1f} s",
    )
