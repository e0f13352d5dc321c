"""`zoo verify`: is a model what it says it is, around `zoo.hub.verify`."""

from __future__ import annotations

from typing import Annotated

import typer

from .output import Json, emit, table, user_errors


@user_errors
def verify(
    targets: Annotated[
        list[str], typer.Argument(metavar="NAME|PATH...", help="Models, .safetensors files, or folders with a model.")
    ],
    json: Json = False,
) -> None:
    """Check models: no pickled file, sha256, strict load, golden output, complete card. Exit code 1 if one fails."""
    from ..hub.verify import verify

    found = [verify(target) for target in targets]
    if json:
        emit([one.to_dict() for one in found])
    else:
        table([(one.name, check.what, check.state, check.detail) for one in found for check in one.checks])
    if not all(one.good for one in found):
        raise typer.Exit(1)
