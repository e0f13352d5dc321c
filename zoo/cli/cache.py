"""`zoo cache`: what `zoo pull` has left on this machine, around `zoo.hub.cache`."""

from __future__ import annotations

from typing import Annotated

import typer

from .output import Json, emit, table, user_errors

app = typer.Typer(help="Show and delete what `zoo pull` has fetched from the Hub.")


@app.callback(invoke_without_command=True)
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_()


@app.command("list")
@user_errors
def list_(json: Json = False) -> None:
    """List the models in the cache."""
    from ..hub.cache import cached_models

    found = cached_models()
    if json:
        emit([one.to_dict() for one in found])
        return
    if not found:
        typer.echo("nothing was pulled from the Hub", err=True)
    table([(one.repo, ", ".join(c[:8] for c in one.commits), _size(one.size_bytes), str(one.path)) for one in found])


@app.command()
@user_errors
def size(json: Json = False) -> None:
    """Show how much room they take."""
    from ..hub.cache import cached_models

    total = sum(one.size_bytes for one in cached_models())
    if json:
        emit({"size_bytes": total})
    else:
        typer.echo(_size(total))


@app.command()
@user_errors
def delete(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Models, arch.tag or ORG/NAME.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All models of the zoo in the cache.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete models from the cache; what other programs keep there stays."""
    from ..hub.cache import cached_models, delete

    if bool(names) == every:
        raise ValueError("NAME, --all: give one of them")
    wanted = [one.repo for one in cached_models()] if every else (names or [])
    if not yes:
        typer.confirm(f"Delete {', '.join(wanted) or 'nothing'}?", abort=True, err=True)
    typer.echo(f"freed {_size(delete(wanted))}")


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
