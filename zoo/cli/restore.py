"""`zoo restore`, `zoo sample` and `zoo interpolate`: files around `zoo.tasks.restore` and `zoo.tasks.latents`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import Json, emit, table, user_errors

if TYPE_CHECKING:
    from torch import Tensor

Output = Annotated[Path | None, typer.Option("-o", "--output", help="PNG to write. [default: NAME_restored.png]")]


@user_errors
def restore(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Picture.")],
    output: Output = None,
    task: Annotated[
        str, typer.Option(help="inpaint, colourise, x2, x4, x8, jpeg, denoise, or several joined by +.")
    ] = "inpaint",
    mask: Annotated[
        str | None,
        typer.Option(help="For inpaint: a picture, bright where pixels are missing; or centre, half, random95."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="See `zoo list --task restore`. [default: a prior that is there]")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Budget of time.")] = None,
    steps: Annotated[int | None, typer.Option(help="Budget of steps; the result then is the same every time.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the start.")] = 0,
    box: Annotated[
        str,
        typer.Option(help="What a prior of fixed size sees: auto, square, face, or LEFT,TOP,SIDE[,DEGREES] in pixels."),
    ] = "auto",
    space: Annotated[str | None, typer.Option(help="z: fit a latent convolutional model in z instead of phi.")] = None,
    pull: Annotated[
        float | None, typer.Option(help="Weight of a prior about the start; 0: none. [default: the model's]")
    ] = None,
    json: Json = False,
) -> None:
    """Restore a picture with an image prior. Writes lossless PNG and never overwrites the input."""
    from ..images import read_image, write_png
    from ..restore.masks import PRESETS
    from ..tasks.restore import restore_steps

    target = _target(output or source.with_name(f"{source.stem}_restored.png"), source)
    picture = read_image(source)
    hole = mask if mask is None or mask in PRESETS else read_image(Path(mask))
    live = sys.stderr.isatty()
    at = _box(box)
    for step in restore_steps(
        picture, task, hole, model, steps=steps, seconds=seconds, seed=seed, box=at, space=space, pull=pull
    ):
        if live:
            end = "\n" if step.done else ""
            print(f"\r{step.progress:4.0%}  energy {step.info.energy:.3e}", end=end, file=sys.stderr, flush=True)
    write_png(target, step.image)
    record = {"input": str(source), "output": str(target), **step.info.to_dict()}
    if json:
        emit(record)
    else:
        info = step.info
        table([(str(target), info.model, f"{info.steps} steps", f"energy {info.energy:.2e}", f"{info.seconds:.1f} s")])


@user_errors
def sample(
    output: Annotated[Path, typer.Option("-o", "--output", help="PNG to write: the pictures side by side.")],
    model: Annotated[str, typer.Option(help="A latent model with a sampler.")] = "lcm.faces128",
    count: Annotated[int, typer.Option(help="Number of pictures.")] = 8,
    seed: Annotated[int, typer.Option(help="The same seed gives the same pictures.")] = 0,
    temperature: Annotated[float, typer.Option(help="Below 1: more alike and better.")] = 0.8,
) -> None:
    """Draw pictures from a latent model."""
    from ..tasks.latents import sample

    _write(_target(output), [sample(model, count, seed, temperature=temperature)])


@user_errors
def interpolate(
    first: Annotated[Path, typer.Argument(help="Picture.")],
    second: Annotated[Path, typer.Argument(help="Picture.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="PNG to write: along the latent above, pixels below.")],
    model: Annotated[str, typer.Option(help="A prior with a latent.")] = "lcm.faces128",
    frames: Annotated[int, typer.Option(help="Number of pictures, both ends included.")] = 9,
    steps: Annotated[int, typer.Option(help="Steps of fitting the two pictures.")] = 150,
    seed: Annotated[int, typer.Option(help="Seed of the start.")] = 0,
    box: Annotated[str, typer.Option(help="What is taken of the pictures: auto, square or face.")] = "auto",
) -> None:
    """Pictures between two pictures, along the latent and, for comparison, between the pixels."""
    from ..images import read_image
    from ..tasks.latents import interpolate_steps

    target = _target(output, first, second)
    *_, last = interpolate_steps(read_image(first), read_image(second), model, frames, steps=steps, seed=seed, box=box)
    _write(target, [last.frames, last.crossfade])


def _box(text: str) -> str | list[float]:
    if "," not in text:
        return text
    try:
        return [float(value) for value in text.split(",")]
    except ValueError:
        raise ValueError(f"--box: auto, square, face, or LEFT,TOP,SIDE[,DEGREES] in pixels, got {text!r}") from None


def _target(output: Path, *sources: Path) -> Path:
    if output.suffix.lower() != ".png":
        raise ValueError(f"{output}: results are written as lossless .png, name the output so")
    if output.resolve() in {source.resolve() for source in sources}:
        raise ValueError(f"{output}: would overwrite an input; choose another output with -o")
    return output


def _write(path: Path, rows: list[Tensor]) -> None:
    """Batches of pictures as one PNG, each batch a row."""
    from ..images import as_pil, rows_of, write_png

    write_png(path, as_pil(rows_of(*rows)))
