"""`zoo train`: a recipe, a budget, a folder, around `zoo.training.train`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import emit, user_errors

if TYPE_CHECKING:
    from ..training import Progress

BAR = 30  # characters


@user_errors
def train(
    recipe: Annotated[str, typer.Argument(help="Recipe of the package, or a .toml file; 'list' shows the package's.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for checkpoint, log and results. [default: runs/RECIPE]")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder, .zip or .tar of images, or a folder of these.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Budget of time. [default: the recipe's]")] = None,
    steps: Annotated[int | None, typer.Option(help="Budget of steps instead.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the folder.")] = False,
    init: Annotated[
        str | None, typer.Option(help="Folder of another run, or name of a model, whose weights to start from.")
    ] = None,
    lr_scale: Annotated[
        float, typer.Option(help="All learning rates times this; less than 1 where --init has good weights.")
    ] = 1.0,
    batch: Annotated[
        int | None, typer.Option(help="Examples a step and process: more for a GPU. [default: the recipe's]")
    ] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Stay on the CPU.")] = False,
    threads: Annotated[int | None, typer.Option(help="CPU threads a process.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder for decoded images. [default: OUT/cache]")] = None,
    checkpoint_minutes: Annotated[float, typer.Option(help="Time between checkpoints.")] = 3.0,
    validate_minutes: Annotated[float, typer.Option(help="Time between validations.")] = 10.0,
    install: Annotated[
        bool, typer.Option("--install", help="At the end put weights, record and card into the package.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the end as JSON.")] = False,
) -> None:
    """Train a model. Several processes: accelerate launch -m zoo.cli train ..."""
    from .. import training

    if recipe == "list":
        typer.echo("\n".join(training.list_recipes()))
        return
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
    training.keep_memory()
    made = training.load_recipe(recipe)
    if lr_scale != 1:
        made = made.slower(lr_scale)
    if batch is not None:
        made = made.of_batch(batch)
    folder = out or Path("runs") / made.name
    main = int(os.environ.get("RANK", "0")) == 0
    last: Progress | None = None
    for last in training.train(
        made,
        folder,
        data=data,
        minutes=minutes,
        steps=steps,
        resume=resume,
        init=init,
        cpu=cpu,
        cache=cache,
        checkpoint_minutes=checkpoint_minutes,
        validate_minutes=validate_minutes,
    ):
        if main:
            _show(last)
    assert last is not None
    if last.stopped:
        if main:
            print(f"stopped at step {last.step}; go on with --resume --out {folder}", file=sys.stderr)
        raise typer.Exit(130)
    if main and install:
        from ..training.finish import install as install_run

        install_run(folder, made.name)
    if main and json:
        emit(_record(last, folder))


def _show(progress: Progress) -> None:
    """A bar that is redrawn on a terminal, lines elsewhere; each validation gets a line of its own."""
    live = sys.stderr.isatty()
    numbers = progress.metrics or {key: value for key, value in progress.values.items() if key != "lr"}
    text = "  ".join(f"{key} {value:.4g}" for key, value in numbers.items())
    minutes = progress.seconds / 60
    if live:
        filled = round(BAR * progress.fraction)
        bar = f"[{'#' * filled}{'.' * (BAR - filled)}] {progress.fraction:4.0%}"
    else:
        bar = f"{progress.fraction:6.1%}"
    line = f"{bar}  {minutes:.1f} min  step {progress.step}  {text}"
    end = "\n" if not live or progress.metrics or progress.done or progress.stopped else ""
    print(("\r\x1b[K" if live else "") + line, end=end, file=sys.stderr, flush=True)


def _record(progress: Progress, folder: Path) -> dict[str, Any]:
    return {
        "out": str(folder),
        "steps": progress.step,
        "seconds": round(progress.seconds, 1),
        "values": progress.values,
        "metrics": progress.metrics,
    }
