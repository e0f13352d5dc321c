"""`zoo superres`: files in, files out, around `zoo.tasks.texture_super_resolve`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .output import Json, show, user_errors


@user_errors
def superres(
    inputs: Annotated[list[Path], typer.Argument(metavar="LOW...", help="Small pictures, or one folder of them.")],
    reference: Annotated[
        Path | None, typer.Option(help="Sharp picture of a similar texture, which guides the result.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="PNG to write; a folder for several pictures. [default: NAME_x3.png]"),
    ] = None,
    scale: Annotated[int, typer.Option(help="How many times as large: 2, 3 or 4.")] = 3,
    model: Annotated[
        str,
        typer.Option(
            help="See `zoo list --task superres`; bicubic: interpolation; auto: the best of those that can be "
            "guided and are installed."
        ),
    ] = "auto",
    lam: Annotated[float, typer.Option(help="Weight of the data term: how exactly the input is met.")] = 50.0,
    intensity: Annotated[float, typer.Option(help="Weight of the reference.")] = 1.0,
    steps: Annotated[
        int | None, typer.Option(help="Iterations. [default: all of a solver's, 30 of the optimisation]")
    ] = None,
    shrink: Annotated[
        bool,
        typer.Option("--shrink", help="Make the inputs small first; then PSNR and SNR of Gram matrices are shown."),
    ] = False,
    truth: Annotated[Path | None, typer.Option(help="What should come out, to measure with; for one picture.")] = None,
    json: Json = False,
) -> None:
    """Enlarge pictures of textures. Writes lossless PNG and never overwrites an input.

    With a reference the result gets its fine structure; made small again, it is the input.
    """
    settings = {"scale": scale, "model": model, "lam": lam, "intensity": intensity, "steps": steps}
    records = run(inputs, output, reference, shrink, truth, settings)
    show(records, _record, json)


def run(
    inputs: list[Path],
    output: Path | None,
    reference: Path | None,
    shrink: bool,
    truth: Path | None,
    settings: dict[str, Any],
) -> list[dict[str, Any]]:
    """Enlarge files.

    Args:
        inputs: Picture files, or one folder.
        output: File for one picture, else a folder; None: next to each input, with the scale in the name.
        reference: File; None: not guided.
        shrink: Make the inputs small by the Gaussian degradation first, and measure against them.
        truth: File to measure against.
        settings: Further arguments of `zoo.tasks.texture_super_resolve`.

    Returns:
        One JSON-able record for each picture: input, output and the fields of `SuperResolveInfo`.

    Raises:
        ValueError: settings or pictures that cannot be used, or an output that would overwrite an input.
        OSError: a file cannot be read or written.
    """
    from ..images import read_image, write_png
    from ..superres.shrink import shrink as make_small
    from .files import pairs

    if shrink and truth is not None:
        raise ValueError("--shrink, --truth: give one of them; with --shrink the input itself is the truth")
    listed = pairs(inputs, output, f"_x{settings['scale']}")
    if truth is not None and len(listed) > 1:
        raise ValueError(f"--truth: goes with one picture, there are {len(listed)}")
    guide = read_image(reference) if reference is not None else None
    known = read_image(truth) if truth is not None else None
    records = []
    for source, target in listed:
        low = read_image(source)
        if shrink:
            low, known = make_small(low, settings["scale"])
        result, info = _one(source, low, guide, {**settings, "truth": known})
        write_png(target, result)
        records.append({"input": str(source), "output": str(target), **info})
    return records


def _one(source: Path, low: Any, reference: Any, arguments: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import sys

    from ..tasks.superres import texture_super_resolve_steps

    live = sys.stderr.isatty()
    for step in texture_super_resolve_steps(low, reference, **arguments):
        if live:
            end = "\n" if step.done else ""
            print(f"\r{source.name}: {step.progress:4.0%}", end=end, file=sys.stderr, flush=True)
    return step.image, step.info.to_dict()


def _record(record: dict[str, Any]) -> tuple[str, ...]:
    def gain(key: str, name: str) -> str:
        before, after = record[f"{key}_bicubic"], record[key]
        return f"{name} {before:.2f} -> {after:.2f} dB" if before is not None and after is not None else ""

    guided = ("guided" if record["guided"] else "unguided") if record["lam"] is not None else ""
    size = f"{record['width']}×{record['height']}"
    quality = (gain("psnr", "PSNR"), gain("gram_snr", "Gram SNR"))
    return (record["output"], record["model"], guided, size, *quality, f"{record['seconds']:.2f} s")
