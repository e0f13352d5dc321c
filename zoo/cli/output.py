"""How the verbs speak."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import typer

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Record = TypeVar("Record")
Verb = TypeVar("Verb", bound=Callable[..., Any])


def emit(data: Any) -> None:
    """Print data as JSON."""
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False))


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows with aligned columns."""
    if not rows:
        return
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show(records: Sequence[Record], row: Callable[[Record], Sequence[str]], as_json: bool) -> None:
    """Print the records of a job as JSON, or a row of a table for each."""
    if as_json:
        emit(records)
    else:
        table([row(record) for record in records])


def user_errors(verb: Verb) -> Verb:
    """Decorator: what the user can mend is one message on stderr and exit code 2, without a traceback."""

    @functools.wraps(verb)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return verb(*args, **kwargs)
        except (ValueError, OSError) as error:
            print(f"zoo: {error}", file=sys.stderr)
            raise typer.Exit(2) from None

    return wrapper  # type: ignore[return-value]
