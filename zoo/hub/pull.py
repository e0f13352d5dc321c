"""Fetch models of the Hub into the local cache, whole and checked, so that they can be used without a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .. import registry
from ..errors import HubError, WeightsNotFoundError
from . import client
from .published import published
from .resolve import ORGANISATION, check, fetch, repository

EXTRAS = ("README.md", "golden.json", "LICENSE")
"""What comes along where the repository has it."""


@dataclass(frozen=True)
class Pulled:
    """What is there after a pull."""

    name: str
    path: Path | None
    """The weights; None for a model without any."""
    source: str
    """"no weights", "bundled", the publisher's address, or `org/name@commit`."""


def pull(name: str, report: Callable[[int, int], None] | None = None) -> Pulled:
    """Make sure that a model's weights are on this machine, and whole.

    Args:
        name: `arch.tag`, or `org/name` or `org/name@revision`.
        report: Told the bytes so far and in all, where the weights come from another publisher than the Hub.

    Raises:
        UnknownModelError: no such model.
        WeightsNotFoundError: the package does not bring them, and the entry names no repository.
        HubError: they cannot be fetched.
        CheckpointError: what was fetched is not the registered file; it was deleted.
    """
    entry = published(name) if "/" in name else registry.info(name)
    if entry.file is None:
        return Pulled(entry.name, None, "no weights")
    if entry.source is not None:
        from .. import foreign

        return Pulled(entry.name, foreign.pull(entry, report=report), entry.source.url)
    bundled = registry.weights_path(entry)
    if bundled is not None and bundled.is_file():
        return Pulled(entry.name, bundled, "bundled")
    place = repository(entry)
    if place is None:
        raise WeightsNotFoundError(
            f"{entry.name}: its entry names no repository. If an organisation publishes it as ORG/{entry.name}, "
            f"set {ORGANISATION}=ORG"
        )
    here = client.cached(place[0], client.WEIGHTS_FILE, place[1])
    if here is not None and client.offline():
        check(entry, here, place[0])
        return Pulled(entry.name, here, f"{place[0]}@{here.parent.name}")
    path = fetch(entry, *place)
    commit = path.parent.name
    for file in EXTRAS:
        try:
            client.download(place[0], file, commit)
        except HubError:
            continue  # not every repository has them, and nothing depends on it
    return Pulled(entry.name, path, f"{place[0]}@{commit}")


def pull_all() -> list[str]:
    """Names of the models whose weights have to be fetched: not bundled, but with a repository or another publisher."""
    names = []
    for name in registry.list_models():
        entry = registry.info(name)
        bundled = registry.weights_path(entry)
        known = entry.source is not None or repository(entry) is not None
        if bundled is not None and not bundled.is_file() and known:
            names.append(name)
    return names
