"""`zoo stylize`: files in, files out, around `zoo.tasks.stylize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Size, Steps, StyleSize
from .output import Json, show, user_errors

NO_MASK = "none"


@user_errors
def stylize(
    inputs: Annotated[list[Path], typer.Argument(metavar="CONTENT...", help="Pictures, or one folder of pictures.")],
    style: Annotated[
        list[str] | None,
        typer.Option(help="Picture, or gallery:NAME for a painting that is drawn by code; up to four times."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="PNG to write; a folder for several pictures. [default: NAME_stylized.png]"
        ),
    ] = None,
    weight: Annotated[
        list[str] | None, typer.Option(help="How much of each style, in the order of --style. [default: the same]")
    ] = None,
    scale_weight: Annotated[
        list[str] | None,
        typer.Option(help="Weights of the five scales of style, the finest first, such as 1,1,1,0.5,0. [default: 1]"),
    ] = None,
    intensity: Annotated[float | None, typer.Option(help="Strength of the style. [default: 1]")] = None,
    mask: Annotated[
        list[str] | None,
        typer.Option(
            help="Picture whose white is where a style applies, in the order of --style; none for a style that takes "
            "the rest."
        ),
    ] = None,
    color: Annotated[
        str | None, typer.Option(help="style, or content to keep the content's colours. [default: style]")
    ] = None,
    size: Size = None,
    style_size: StyleSize = None,
    steps: Steps = None,
    model: Annotated[
        str | None, typer.Option(help="See `zoo list --task stylize`; auto: the best that is installed.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the paintings that are drawn by code. [default: 0]")] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="JSON with settings, as --json prints them; options given here come before it."),
    ] = None,
    json: Json = False,
) -> None:
    """Give pictures the style of others. Writes lossless PNG and never overwrites an input."""
    given = {
        "style_weights": _numbers("--weight", weight),
        "scale_weights": _numbers("--scale-weight", scale_weight),
        "intensity": intensity,
        "color": color,
        "size": size,
        "style_size": style_size,
        "steps": steps,
        "model": model,
        "seed": seed,
    }
    records = run(inputs, output, style or [], mask or [], settings, given)
    show(records, _record, json)


def run(
    inputs: list[Path],
    output: Path | None,
    styles: list[str],
    masks: list[str],
    settings: Path | None,
    given: dict[str, Any],
) -> list[dict[str, Any]]:
    """Stylise files.

    Args:
        inputs: Picture files, or one folder.
        output: File for one picture, else a folder; None: next to each input, with `_stylized` in the name.
        styles: Files or "gallery:NAME"; none: those of the settings.
        masks: For each style a file, or "none".
        settings: File with `StylizeSettings` as JSON, by itself or in a record that `--json` has printed.
        given: Arguments of `zoo.tasks.stylize` that come before those of the file; None counts as not given.

    Returns:
        One JSON-able record for each picture: input, output and the fields of `StylizeInfo`.

    Raises:
        ValueError: settings or pictures that cannot be used, or an output that would overwrite an input.
        OSError: a file cannot be read or written.
    """
    from ..images import read_image, write_png
    from ..stylize.grams import GramCache
    from ..stylize.settings import GALLERY
    from .files import pairs

    known = _settings(settings)
    if not styles:
        if None in known.styles:
            raise ValueError("--style: the settings were made with pictures of yours, name these again")
        styles = [style for style in known.styles if style is not None]
    arguments = known.arguments() | {key: value for key, value in given.items() if value is not None}
    if given["style_weights"] is None and len(styles) != len(known.styles):
        arguments["style_weights"] = None
    pictures = [style if style.startswith(GALLERY) else read_image(style) for style in styles]
    areas = [None if mask == NO_MASK else read_image(mask) for mask in masks] if masks else None
    cache = GramCache()
    records = []
    for source, target in pairs(inputs, output, "_stylized"):
        result, info = _one(source, {"styles": pictures, "masks": areas, "cache": cache, **arguments})
        write_png(target, result)
        records.append({"input": str(source), "output": str(target), **info})
    return records


def _one(source: Path, arguments: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import sys

    from ..images import read_image
    from ..tasks.stylize import stylize_steps

    live = sys.stderr.isatty()
    for step in stylize_steps(read_image(source), **arguments):
        if live:
            end = "\n" if step.done else ""
            print(f"\r{source.name}: {step.progress:4.0%}", end=end, file=sys.stderr, flush=True)
    return step.image, step.info.to_dict()


def _settings(path: Path | None) -> Any:
    import json

    from ..stylize.settings import StylizeSettings

    if path is None:
        return StylizeSettings()
    text = path.read_text(encoding="utf-8")
    try:
        record = json.loads(text)
    except ValueError:
        raise ValueError(f"{path}: not JSON") from None
    if isinstance(record, list) and len(record) == 1:
        record = record[0]
    if isinstance(record, dict) and "settings" in record:
        record = record["settings"]
    return StylizeSettings.from_json(json.dumps(record))


def _numbers(option: str, values: list[str] | None) -> list[float] | None:
    """Numbers from options that may be repeated and may each hold several, with commas between."""
    if not values:
        return None
    try:
        return [float(number) for value in values for number in value.split(",")]
    except ValueError:
        raise ValueError(f"{option}: numbers such as 1 or 1,0.5,0, got {' '.join(values)}") from None


def _record(record: dict[str, Any]) -> tuple[str, ...]:
    loss, before = record["loss"], record["loss_before"]
    reached = f"loss {before['total']:.3f} -> {loss['total']:.3f}" if loss and before else ""
    size = f"{record['width']}×{record['height']}"
    return (record["output"], record["engine"], size, reached, f"{record['seconds']:.2f} s")
