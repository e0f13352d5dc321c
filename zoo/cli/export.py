"""`zoo export`: a model as a file for other programs, around `zoo.hub.export`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .output import Json, emit, user_errors


@user_errors
def export(
    name: Annotated[str, typer.Argument(help="Model, arch.tag, arch, or ORG/NAME.")],
    format: Annotated[str, typer.Option(help="safetensors, onnx or torch-export.")] = "onnx",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write. [default: NAME.SUFFIX]")] = None,
    json: Json = False,
) -> None:
    """Write a model for other programs, and compare what the file computes with what the model does."""
    from ..hub.export import export

    made = export(name, format, output)
    if json:
        emit({**asdict(made), "path": str(made.path)})
        return
    size = "inputs of any size" if made.any_size else f"inputs of this size only: {made.inputs}"
    same = "not run, its runtime is not installed" if made.difference is None else f"differs by {made.difference:.1g}"
    typer.echo(f"{made.path}  {made.size_bytes / 1e6:.1f} MB  {same}  {size}")
