"""Deploy the app to a Hugging Face Space: stage it, upload it in one commit, and wait until it runs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import HubError
from . import client
from .stage import Staged, stage

if TYPE_CHECKING:
    from huggingface_hub import HfApi

WAIT = 30 * 60.0
"""Seconds that a Space may take to build and start."""
LOG_LINES = 40


@dataclass(frozen=True)
class Deployment:
    """What was deployed, or would be."""

    space: str
    staged: Staged
    files: list[str]
    size_bytes: int
    commit: str | None = None
    """None for a dry run."""
    url: str | None = None
    stage: str | None = None
    """What the Space says of itself, "RUNNING" in the end; None: it was not waited for."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able data."""
        return asdict(self)


def deploy(
    space: str,
    *,
    hardware: str | None = None,
    models: Iterable[str] | None = None,
    private: bool = False,
    dry_run: bool = False,
    wait: bool = True,
    keep: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Deployment:
    """Put the app on a Space. What is there already is not sent again, so an interrupted run is simply repeated.

    Args:
        space: `org/name`; made if need be. Files there that are not part of the app are deleted.
        hardware: E.g. "cpu-basic", or "zero-a10g" for ZeroGPU; None: leave it.
        models: Models whose weights it is to have; None: all.
        private: Make a new Space private.
        dry_run: Stage only; needs no network.
        wait: Wait until it runs or has failed.
        keep: Empty folder to stage in and keep; None: a temporary one.
        tell: Told what is going on.

    Raises:
        ValueError: something of the app is not here.
        HubError: the Hub refused or could not be reached, or the Space did not build or start; then the message ends
            with its log.
    """
    space, revision = client.split_repo(space)
    if revision is not None:
        raise ValueError(f"space: ORG/NAME without a revision, got {space}@{revision}")
    with tempfile.TemporaryDirectory(prefix="zoo-deploy-") as temporary:
        folder = keep or Path(temporary)
        if keep is not None:
            keep.mkdir(parents=True, exist_ok=True)
            if any(keep.iterdir()):
                raise ValueError(f"{keep}: not empty")
        staged = stage(folder, models, hardware)
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        files = [path.relative_to(folder).as_posix() for path in paths]
        made = Deployment(space, staged, files, sum(path.stat().st_size for path in paths))
        if dry_run:
            return made
        with client.plain_errors(space):
            api = client.api()
            api.whoami()
            tell(f"uploading {len(files)} files, {made.size_bytes / 1e6:.1f} MB")
            commit = _upload(api, space, folder, files, hardware, private)
            made = replace(made, commit=commit, url=f"{api.endpoint}/spaces/{space}")
            return _wait(api, made, tell) if wait else made


def _upload(api: HfApi, space: str, folder: Path, files: list[str], hardware: str | None, private: bool) -> str | None:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, RepoFile, SpaceHardware

    there_before = api.repo_exists(space, repo_type="space")
    kind = None if hardware is None else SpaceHardware(hardware)
    api.create_repo(
        space, repo_type="space", space_sdk="gradio", private=private or None, exist_ok=True, space_hardware=kind
    )
    head = api.repo_info(space, repo_type="space").sha
    tree = api.list_repo_tree(space, recursive=True, repo_type="space")
    there = {item.path for item in tree if isinstance(item, RepoFile)} - {".gitattributes"}
    operations: list[Any] = [CommitOperationAdd(name, folder / name) for name in files]
    operations += [CommitOperationDelete(name, is_folder=False) for name in sorted(there - set(files))]
    commit = api.create_commit(
        space,
        operations,
        repo_type="space",
        commit_message="Deployed by zoo",
        parent_commit=head,
    ).oid
    found = api.verify_repo_checksums(space, repo_type="space", local_dir=folder, revision=commit)
    if found.mismatches or found.extra_paths:
        raise HubError(f"{space}: what the Hub has differs from what was sent; run the same command again")
    if there_before and kind is not None and api.get_space_runtime(space).hardware != kind:
        api.request_space_hardware(space, kind)
    return commit


def _wait(api: HfApi, made: Deployment, tell: Callable[[str], None]) -> Deployment:
    tell("waiting for the Space to build and start")
    try:
        runtime = api.wait_for_space(made.space, timeout=WAIT, poll_interval=5.0)
    except TimeoutError:
        raise HubError(f"{made.space} is still not running after {WAIT / 60:g} minutes; see {made.url}") from None
    stage = str(getattr(runtime.stage, "value", runtime.stage))
    if stage != "RUNNING":
        log = "".join(list(_log(api, made.space, build="BUILD" in stage or "CONFIG" in stage))[-LOG_LINES:])
        raise HubError(f"{made.space} ended as {stage}; its log ends:\n{client.scrub(log)}")
    return replace(made, stage=stage)


def _log(api: HfApi, space: str, build: bool) -> Iterator[str]:
    try:
        yield from api.fetch_space_logs(space, build=build)
    except Exception as error:  # the log explains a failure, its absence must not hide it
        yield f"(the log cannot be read: {type(error).__name__})\n"
