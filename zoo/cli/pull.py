"""`zoo pull`: weights onto this machine, around `zoo.hub.pull`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from .output import Json, emit, table, user_errors


@user_errors
def pull(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Models, arch.tag, or ORG/NAME[@REVISION] on the Hugging Face Hub."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All models of the registry that somebody publishes.")] = False,
    json: Json = False,
) -> None:
    """Fetch weights and check them, so that the models work without a network."""
    from ..hub.pull import pull, pull_all

    if bool(names) == every:
        raise ValueError("NAME, --all: give one of them")
    live = sys.stderr.isatty()

    def report(done: int, size: int) -> None:
        if live:
            print(f"\r{done / 1e6:.0f} of {size / 1e6:.0f} MB", end="\n" if done == size else "", file=sys.stderr)

    wanted = pull_all() if every else (names or [])
    if not wanted:
        typer.echo("nothing to fetch: all weights that somebody publishes are bundled", err=True)
    pulled, failed = [], []
    for name in wanted:
        try:
            pulled.append(pull(name, report))
        except (ValueError, OSError) as error:
            failed.append(str(error))
    if json:
        emit([{"name": one.name, "path": one.path and str(one.path), "source": one.source} for one in pulled])
    else:
        table([(one.name, one.source, str(one.path or "")) for one in pulled])
    if failed:  # each for itself: the others are here
        raise ValueError("\nzoo: ".join(failed))
