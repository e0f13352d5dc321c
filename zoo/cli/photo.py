"""`zoo photo`: files in, files out, around `zoo.tasks.photo_stylize`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Intensity, Seed, Size, Steps, StyleSize, Stylizer
from .output import Json, show, user_errors


@user_errors
def photo(
    inputs: Annotated[list[Path], typer.Argument(metavar="CONTENT...", help="Photographs, or one folder of them.")],
    style: Annotated[
        str | None, typer.Option(help="Photograph to take colours and light from, or gallery:NAME.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="PNG to write; a folder for several pictures. [default: NAME_photo.png]"),
    ] = None,
    content_mask: Annotated[
        Path | None, typer.Option(help="Segmentation map of the content: each colour is a region.")
    ] = None,
    style_mask: Annotated[Path | None, typer.Option(help="The same of the style, in the same colours.")] = None,
    lam: Annotated[float, typer.Option(help="Photorealism λ; 0: none.")] = 50.0,
    method: Annotated[
        str,
        typer.Option(
            help="prox: after each update of a solver; luan: in the loss of gatys; smooth: afterwards; auto: what the "
            "engine has."
        ),
    ] = "auto",
    intensity: Intensity = 1.0,
    size: Size = None,
    style_size: StyleSize = None,
    steps: Steps = None,
    model: Stylizer = "auto",
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Give photographs the colours and the light of another one. Writes lossless PNG and never overwrites an input."""
    records = run(
        inputs,
        output,
        style,
        (content_mask, style_mask),
        {
            "lam": lam,
            "method": method,
            "intensity": intensity,
            "size": size,
            "style_size": style_size,
            "steps": steps,
            "model": model,
            "seed": seed,
        },
    )
    show(records, _record, json)


def run(
    inputs: list[Path],
    output: Path | None,
    style: str | None,
    maps: tuple[Path | None, Path | None],
    options: dict[str, Any],
) -> list[dict[str, Any]]:
    """Stylise photographs.

    Args:
        inputs: Picture files, or one folder.
        output: File for one picture, else a folder; None: next to each input, with `_photo` in the name.
        style: File or "gallery:NAME".
        maps: Segmentation maps of content and style.
        options: Further arguments of `zoo.tasks.photo_stylize`.

    Returns:
        One JSON-able record for each picture: input, output and the fields of `PhotoInfo`.

    Raises:
        ValueError: pictures or options that cannot be used, or an output that would overwrite an input.
        OSError: a file cannot be read or written.
    """
    import sys

    from ..images import read_image, write_png
    from ..stylize.settings import GALLERY
    from ..tasks.photo_stylize import photo_stylize_steps
    from .files import pairs

    look = style if style is None or style.startswith(GALLERY) else read_image(style)
    content_mask, style_mask = (None if path is None else read_image(path) for path in maps)
    live = sys.stderr.isatty()
    records = []
    for source, target in pairs(inputs, output, "_photo"):
        for step in photo_stylize_steps(read_image(source), look, content_mask, style_mask, **options):
            if live:
                end = "\n" if step.done else ""
                print(f"\r{source.name}: {step.progress:4.0%}", end=end, file=sys.stderr, flush=True)
        write_png(target, step.image)
        records.append({"input": str(source), "output": str(target), **step.info.to_dict()})
    return records


def _record(record: dict[str, Any]) -> tuple[str, ...]:
    loss, before, edges = record["loss"], record["loss_before"], record["edge_ssim"]
    reached = f"loss {before['total']:.3f} -> {loss['total']:.3f}" if loss and before else ""
    likeness = f"edges {edges:.3f}" if edges is not None else ""
    size = f"{record['width']}×{record['height']}"
    return (
        record["output"],
        record["engine"],
        record["method"],
        size,
        reached,
        likeness,
        f"{record['seconds']:.2f} s",
    )
