"""`zoo deploy`: the app onto a Hugging Face Space, around `zoo.hub.deploy`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from .output import Json, emit, user_errors


@user_errors
def deploy(
    space: Annotated[str, typer.Argument(metavar="ORG/SPACE", help="Space; made if need be.")],
    hardware: Annotated[
        str | None, typer.Option(help="E.g. cpu-basic, or zero-a10g for ZeroGPU. [default: as it is]")
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="Models whose weights it is to have, with commas between. [default: all]")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new Space private.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Stage only; needs no network.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it runs.")] = True,
    keep: Annotated[Path | None, typer.Option(help="Folder to stage in and keep.")] = None,
    json: Json = False,
) -> None:
    """Deploy the app to a Space, wait for it, and show its log if it fails. Needs a checkout of the sources."""
    from ..hub.deploy import deploy

    made = deploy(
        space,
        hardware=hardware,
        models=None if models is None else [name.strip() for name in models.split(",") if name.strip()],
        private=private,
        dry_run=dry_run,
        wait=wait,
        keep=keep,
        tell=lambda text: print(text, file=sys.stderr),
    )
    if json:
        emit(made.to_dict())
        return
    state = "dry run" if made.commit is None else made.stage or "uploaded"
    typer.echo(f"{made.space}  {state}  {made.url or ''}  {len(made.files)} files, {made.size_bytes / 1e6:.1f} MB")
    typer.echo(f"weights in the Space: {', '.join(made.staged.bundled) or 'none'}")
    typer.echo(f"weights from the Hub: {', '.join(made.staged.preloaded) or 'none'}")
