"""Models that lie in a Hub repository and not in the registry: their record is the repository's `config.json`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from ..entry import Entry
from ..errors import CheckpointError, HubError, UnknownModelError
from . import client

FORMAT = 1
"""Version of the layout of `config.json`."""
_FIELDS = tuple(field.name for field in fields(Entry))


@dataclass(frozen=True)
class PublishedEntry(Entry):
    """The record of a model of the Hub; its name is `org/name` or `org/name@revision`, and `hub` pins the commit."""

    pattern: ClassVar[re.Pattern[str]] = re.compile(client.REPO_PATTERN.pattern + r"(@[^@\s]+)?")
    origin: str = ""
    """`arch.tag`, the name it was published under."""
    snapshot: Path | None = None
    """Folder with the files that have been fetched."""
    plug_in: str | None = None
    """The distribution that brings the architecture; None: the zoo itself."""

    @property
    def arch(self) -> str:
        """The architecture that it was published as."""
        return self.origin.split(".")[0]

    @property
    def tag(self) -> str:
        """The variant that it was published as."""
        return self.origin.split(".")[1]

    @property
    def stored_name(self) -> str:
        """The name inside the file of weights."""
        return self.origin

    @property
    def card(self) -> str:
        """The model card, without its front matter; empty if it has not been fetched."""
        return "" if self.snapshot is None else card_in(self.snapshot)

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-able data."""
        values = {name: getattr(self, name) for name in _FIELDS}
        record = Entry.to_dict(Entry(**values | {"name": self.origin}))
        return record | {"name": self.name}


def card_in(folder: Path) -> str:
    """The README of a folder without its front matter; empty if there is none."""
    path = folder / "README.md"
    if not path.is_file():
        return ""
    text = path.read_text(encoding="utf-8")
    return re.sub(r"\A---\n.*?\n---\n", "", text, count=1, flags=re.DOTALL).lstrip()


def config_record(entry: Entry, plug_in: str | None = None) -> dict[str, Any]:
    """What `config.json` holds.

    Args:
        entry: The record of a model with weights.
        plug_in: The distribution that brings the architecture; None: the zoo itself.
    """
    from .. import __version__

    changed = {"name": entry.stored_name, "file": client.WEIGHTS_FILE, "hub": None, "default": False}
    record = entry.to_dict() | changed
    return {
        "library_name": client.LIBRARY,
        "library_version": __version__,
        "format": FORMAT,
        "architecture": entry.arch,
        "plug_in": plug_in,
        "sha256": entry.sha256,
        "entry": record,
    }


def read_config(path: Path, name: str, commit: str) -> PublishedEntry:
    """The record of a model from its `config.json`.

    Args:
        path: The file.
        name: `org/name` or `org/name@revision`, where it comes from.
        commit: The commit, which the record then pins.

    Raises:
        CheckpointError: it is not the `config.json` of a model that `zoo publish` wrote.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config["library_name"] != client.LIBRARY:
            raise ValueError(f"library_name is {config['library_name']!r}")
        if config["format"] != FORMAT:
            raise ValueError(f"format {config['format']!r}, this version of the zoo reads {FORMAT}")
        entry = Entry.from_dict(config["entry"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{name}: {path.name} is not that of a model published by the zoo ({error})") from None
    if entry.file is None or entry.source is not None:
        raise CheckpointError(f"{name}: {path.name} names no weights of its own")
    values = {key: getattr(entry, key) for key in _FIELDS}
    values |= {"name": name, "hub": f"{name.partition('@')[0]}@{commit}", "file": client.WEIGHTS_FILE}
    return PublishedEntry(**values, origin=entry.name, snapshot=path.parent, plug_in=config.get("plug_in"))


def published(name: str, local_files_only: bool = False) -> PublishedEntry:
    """The record of a model of the Hub: from the local cache where a commit is given or the network is not to be used,
    else asked for.

    Args:
        name: `org/name` or `org/name@revision`.
        local_files_only: Never go to the network.

    Raises:
        UnknownModelError: neither in the cache nor on the Hub; the message says what was tried.
        CheckpointError: a repository, but not of a model of the zoo.
    """
    repo, revision = client.split_repo(name)
    found = client.cached(repo, client.CONFIG_FILE, revision)
    settled = found is not None and revision is not None and client.COMMIT_PATTERN.fullmatch(revision)
    tried = []
    if not settled and not local_files_only and not client.offline():
        try:
            found = client.download(repo, client.CONFIG_FILE, revision)
        except HubError as error:
            tried.append(f"Hugging Face Hub: {error}")
    if found is None:
        from huggingface_hub import constants

        tried.insert(0, f"Hugging Face cache: {repo} is not in {constants.HF_HUB_CACHE}")
        if len(tried) == 1:
            tried.append("Hugging Face Hub: not asked, because of local_files_only, --offline or HF_HUB_OFFLINE")
        lines = "\n".join(f"  - {line}" for line in tried)
        raise UnknownModelError(
            f"the model {name!r} was not found. Tried:\n{lines}\n"
            f"To fix it, check the name, and when the Hub can be reached, run: zoo pull {name}"
        )
    return read_config(found, name, found.parent.name)
