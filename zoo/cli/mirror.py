"""`zoo mirror`: a Hub of files for machines without internet, around `zoo.hub.mirror`."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Annotated

import typer

from .output import Json, emit, table, user_errors


@user_errors
def mirror(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Root of the tree.")],
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="Models. [default: all bundled ones]")
    ] = None,
    org: Annotated[str | None, typer.Option(help="Organisation of models whose entry names no repository.")] = None,
    serve: Annotated[bool, typer.Option("--serve", help="Serve the tree until stopped.")] = False,
    host: Annotated[str, typer.Option(help="Address to serve at; 0.0.0.0 for other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to serve at.")] = 8080,
    json: Json = False,
) -> None:
    """Write models as a static tree that serves as HF_ENDPOINT for downloads."""
    from ..hub.mirror import INDEX, ORG, mirror
    from ..hub.serve import make_server

    if names or not serve or not (folder / INDEX).is_file():
        made = mirror(folder, names or None, org or ORG)
        if json:
            emit([one.__dict__ for one in made])
        else:
            table([(one.name, f"{one.repo}@{one.commit}", f"{one.size_bytes / 1e6:.1f} MB") for one in made])
    if serve:
        with make_server(folder, host, port) as server:
            address = f"http://{host}:{server.server_address[1]}"
            print(f"serving {folder} at {address}; export HF_ENDPOINT={address}", file=sys.stderr, flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                server.serve_forever()
