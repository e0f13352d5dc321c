"""`zoo publish`: models onto the Hugging Face Hub, around `zoo.hub.publish`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import Json, emit, table, user_errors

if TYPE_CHECKING:
    from ..hub.publish import Publication


@user_errors
def publish(
    target: Annotated[
        str | None, typer.Argument(metavar="NAME_OR_DIR", help="Model, or the folder of a finished training run.")
    ] = None,
    repo: Annotated[str | None, typer.Option(help="Repository, ORG/NAME; made if need be.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All models with weights, and a collection.")] = False,
    org: Annotated[str | None, typer.Option(help="Organisation or user for --all.")] = None,
    tag: Annotated[str | None, typer.Option(help="Tag for the commit, e.g. v1.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Make new repositories private.")] = False,
    pr: Annotated[bool, typer.Option("--pr", help="Open a pull request instead.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Build and check only; needs no network.")] = False,
    keep: Annotated[Path | None, typer.Option(help="Folder to build in and keep.")] = None,
    register: Annotated[
        bool, typer.Option("--register", help="Write repository and commit into the registry's entry.")
    ] = False,
    json: Json = False,
) -> None:
    """Publish a model: safetensors, config, card, figures, licence; checked before and after, in one commit."""
    from ..hub.publish import Publication, publish, publish_all, register_published

    if every:
        if target is not None or repo is not None or org is None or pr or keep is not None:
            raise ValueError("--all: goes with --org, and without NAME_OR_DIR, --repo, --pr and --keep")
        models = publish_all(org, tag=tag, private=private, dry_run=dry_run)
    else:
        if target is None or repo is None or org is not None:
            raise ValueError("give NAME_OR_DIR and --repo ORG/NAME, or --all and --org ORG")
        models = iter([publish(target, repo, tag=tag, private=private, pull_request=pr, dry_run=dry_run, keep=keep)])
    made: list[Publication] = []
    collection = None
    for one in models:  # each is told when it is done: what comes after may fail
        if not isinstance(one, Publication):
            collection = one
            continue
        made.append(one)
        if register and not dry_run:
            register_published(one)
        if not json:
            _tell(one)
    if json:
        emit({"models": [one.to_dict() for one in made], "collection": collection})
    elif collection:
        typer.echo(f"collection  {collection}")


def _tell(one: Publication) -> None:
    state = "published" if one.changed else "unchanged"
    if one.commit is None or one.pull_request:
        state = "proposed" if one.pull_request else "dry run"
    place = one.pull_request or one.url or one.repo
    typer.echo(f"{one.name}  {state}  {place}  {(one.commit or '')[:12]}  {one.tag or ''}".rstrip())
    if one.commit is None:
        table([("", name, sha256) for name, sha256 in one.files.items()])
