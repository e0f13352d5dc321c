"""Where the weights of a model are: in the package, in the local cache, on the Hub. Needs no torch to look."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .. import registry
from ..errors import CheckpointError, HubError, WeightsNotFoundError
from . import client

if TYPE_CHECKING:
    from ..entry import Entry

ORGANISATION = "NSZ_HUB_ORG"
"""Environment variable: the organisation whose `org/arch.tag` is looked up for entries that name no repository."""


def repository(entry: Entry) -> tuple[str, str | None] | None:
    """Repository and revision of an entry: what it says itself, else `$NSZ_HUB_ORG/<arch.tag>`; None without either."""
    if entry.hub is not None:
        return client.split_repo(entry.hub)
    organisation = os.environ.get(ORGANISATION)
    return client.split_repo(f"{organisation}/{entry.name}") if organisation else None


def find_weights(entry: Entry, local_files_only: bool = False) -> Path:
    """The file with an entry's weights: bundled, in the local Hugging Face cache, or fetched from the Hub.

    Of weights that others publish (`entry.source`) only what `zoo.foreign.pull` has left is looked for.

    Raises:
        WeightsNotFoundError: none of these has it; the message lists what was tried and what to do.
        CheckpointError: the Hub sent something else than the registered file.
    """
    if entry.file is None:
        raise ValueError(f"entry: {entry.name} has no weights")
    if entry.source is not None:
        from .. import foreign

        return foreign.cached(entry)
    bundled = registry.weights_path(entry)
    tried = []
    if bundled is not None:
        if bundled.is_file():
            return bundled
        tried.append(f"bundled file: {bundled} is not there")
    place = repository(entry)
    if place is None:
        tried.append(f"Hugging Face Hub: the entry names no repository, and {ORGANISATION} no organisation")
        fix = f"give the file yourself: zoo.load({entry.name!r}, weights='PATH.safetensors')"
        raise WeightsNotFoundError(_not_found(entry, tried, fix))
    found = client.cached(place[0], client.WEIGHTS_FILE, place[1])
    if found is not None:
        return found
    from huggingface_hub import constants

    tried.append(f"Hugging Face cache: {place[0]} is not in {constants.HF_HUB_CACHE}")
    if local_files_only or client.offline():
        why = "local_files_only" if local_files_only else "--offline or HF_HUB_OFFLINE"
        tried.append(f"Hugging Face Hub: not asked, because of {why}")
    else:
        try:
            return fetch(entry, *place)
        except HubError as error:
            tried.append(f"Hugging Face Hub: {error}")
    fix = (
        f"when the Hub can be reached, run: zoo pull {entry.name}\n"
        f"or give the file yourself: zoo.load({entry.name!r}, weights='PATH.safetensors')"
    )
    raise WeightsNotFoundError(_not_found(entry, tried, fix))


def fetch(entry: Entry, repo: str, revision: str | None) -> Path:
    """Fetch an entry's weights into the local cache and check them; a wrong file does not stay there.

    Raises:
        HubError: it cannot be fetched.
        CheckpointError: it is not the registered file.
    """
    from ..checkpoints import file_sha256

    here = client.cached(repo, client.WEIGHTS_FILE, revision)
    path = client.download(repo, client.WEIGHTS_FILE, revision)
    if path == here and file_sha256(path) != entry.sha256:  # spoilt since it was fetched
        _delete(path)
        path = client.download(repo, client.WEIGHTS_FILE, revision)
    check(entry, path, repo)
    return path


def check(entry: Entry, path: Path, repo: str) -> None:
    """Compare a file of the cache with the record; a wrong one is deleted.

    Raises:
        CheckpointError: it is not the registered file.
    """
    from ..checkpoints import file_sha256

    actual = file_sha256(path)
    if actual != entry.sha256:
        _delete(path)
        raise CheckpointError(
            f"{repo}: {client.WEIGHTS_FILE} has the wrong sha256\n  expected {entry.sha256}\n  actual   {actual}\n"
            "It was damaged on the way, or is of another version; it was deleted. Run again: "
            f"zoo pull {entry.name}"
        )


def _delete(path: Path) -> None:
    """A file of the cache with all that it is a link to: the repository's, and the one that repositories share."""
    chain = [path]
    while chain[-1].is_symlink():
        chain.append(chain[-1].parent / os.readlink(chain[-1]))
    for one in reversed(chain):
        one.unlink(missing_ok=True)


def _not_found(entry: Entry, tried: list[str], fix: str) -> str:
    lines = "\n".join(f"  - {line}" for line in tried)
    return f"the weights of {entry.name} were not found. Tried:\n{lines}\nTo fix it, {fix}"
