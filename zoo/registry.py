"""What is in the zoo: one record per model, `zoo/entries/<arch>.<tag>.json`, and one builder per architecture.

A model enters by its record alone; a new architecture adds a module to `zoo/models` with a function or class under
`@register_arch`. Packages of others take part by entry points, see `zoo.plugins`. Needs no torch, so that listing is
quick.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib
import json
import os
import pkgutil
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from . import plugins
from .entry import CARD_FOLDERS, NAME_PATTERN, Entry, InputSpec, Metric, Paper, Source, Training
from .errors import UnknownModelError

if TYPE_CHECKING:
    from torch import nn

ROOT = Path(__file__).parent
ENTRIES = ROOT / "entries"
WEIGHTS = ROOT / "weights"

__all__ = [
    "ENTRIES",
    "NAME_PATTERN",
    "WEIGHTS",
    "Entry",
    "InputSpec",
    "Metric",
    "Paper",
    "Source",
    "Training",
    "build",
    "info",
    "list_archs",
    "list_models",
    "read_entry",
    "register",
    "register_arch",
    "weights_path",
    "write_entry",
]

Builder = TypeVar("Builder", bound=Callable[..., Any])


_builders: dict[str, Callable[..., Any]] = {}


def register_arch(arch: str) -> Callable[[Builder], Builder]:
    """Decorator for the class or function that builds an architecture from an entry's `config`.

    Args:
        arch: The part of the entry's name before the dot.

    Raises:
        ValueError: the name is taken, or not lower case letters, digits and underscores.
    """
    if not re.fullmatch(r"[a-z0-9_]+", arch):
        raise ValueError(f"architecture name {arch!r}: must be lower case letters, digits and underscores")

    def register_builder(builder: Builder) -> Builder:
        if arch in _builders:
            raise ValueError(f"architecture {arch!r} is already registered, by {_builders[arch]!r}")
        _builders[arch] = builder
        return builder

    return register_builder


def list_archs() -> list[str]:
    """Names of the architectures that can be built, sorted."""
    _import_models()
    return sorted(_builders)


def build(arch: str, config: Mapping[str, Any]) -> nn.Module:
    """Build an architecture with fresh parameters.

    Args:
        arch: Name given to `register_arch`.
        config: Arguments of its builder.

    Raises:
        UnknownModelError: no such architecture.
    """
    _import_models()
    if arch not in _builders:
        raise UnknownModelError(_unknown("architecture", arch, list(_builders)))
    return _builders[arch](**config)


def provider(arch: str) -> str | None:
    """The distribution of the plug-in that brings an architecture; None: the zoo itself.

    Raises:
        UnknownModelError: no such architecture.
    """
    _import_models()
    if arch not in _builders:
        raise UnknownModelError(_unknown("architecture", arch, list(_builders)))
    return plugins.provider(_builders[arch].__module__)


@cache
def _import_models() -> None:
    # every module of zoo.models registers its architectures when imported, so no list of them is kept
    from . import models

    for module in pkgutil.iter_modules(models.__path__):
        importlib.import_module(f"{models.__name__}.{module.name}")
    plugins.import_plug_ins()


@cache
def _entries() -> dict[str, Entry]:
    """All records, in order of their names."""
    entries: dict[str, Entry] = {}
    for path in sorted(ENTRIES.glob("*.json")):
        entry = read_entry(path)
        if path.stem != entry.name:
            raise ValueError(f"{path} holds the entry {entry.name!r}: file and entry must have the same name")
        _add(entry, entries)
    for plug_in in plugins.plug_ins():
        CARD_FOLDERS.append(plug_in.root / "cards")
        for path in sorted((plug_in.root / "entries").glob("*.json")):
            try:
                entry = read_entry(path)
                _add(entry, entries)
            except ValueError as error:
                plugins.warn(plug_in.module, str(error))
            else:
                _homes[entry.name] = plug_in.root
    return entries


_homes: dict[str, Path] = {}
"""Folders of the plug-ins that bring entries, by the entry's name."""


def home(name: str) -> Path:
    """The folder of the package that brings an entry: the zoo's own or a plug-in's."""
    return _homes.get(name, ROOT)


def weights_path(entry: Entry) -> Path | None:
    """Where the weights of an entry lie if its package brings them; None: they cannot, it is a model of the Hub."""
    if entry.file is None or "/" in entry.name:
        return None
    return _homes[entry.name] / "weights" / entry.file if entry.name in _homes else WEIGHTS / entry.file


def _add(entry: Entry, entries: dict[str, Entry]) -> None:
    if entry.name in entries:
        raise ValueError(f"entry {entry.name!r} is already registered")
    if entry.default and any(other.default and other.arch == entry.arch for other in entries.values()):
        raise ValueError(f"entry {entry.name!r}: {entry.arch!r} has a default already")
    entries[entry.name] = entry


def register(entry: Entry) -> None:
    """Add an entry for this process only, e.g. a model of your own.

    Raises:
        ValueError: the name is taken, or the architecture already has a default.
    """
    _add(entry, _entries())


def read_entry(path: str | os.PathLike[str]) -> Entry:
    """Read one record.

    Raises:
        ValueError: not JSON, or not a record (unknown or missing keys).
    """
    try:
        record = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    return Entry.from_dict(record)


def write_entry(entry: Entry, folder: str | os.PathLike[str] = ENTRIES) -> Path:
    """Write `<folder>/<name>.json`, replacing an older one in one step; the folder is made if need be."""
    path = Path(folder) / f"{entry.name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".json.part")
    part.write_text(json.dumps(entry.to_dict(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(part, path)
    return path


def _unknown(what: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known are {', '.join(sorted(known))}"
    return f"unknown {what} {name!r}: {hint}"


def info(name: str) -> Entry:
    """The record of a model.

    Args:
        name: `arch.tag`, or `arch` for its default entry (the one marked so, else the first); `org/name` or
            `org/name@revision` for a model of the Hugging Face Hub.

    Raises:
        UnknownModelError: no such entry; the message lists close names.
    """
    if not isinstance(name, str):
        raise TypeError(f"name: a string such as 'tv2d.anisotropic', not {type(name).__name__}")
    if "/" in name:
        from .hub.published import published

        return published(name)
    entries = _entries()
    if name in entries:
        return entries[name]
    tags = [entry for entry in entries.values() if entry.arch == name]
    if not tags:
        raise UnknownModelError(_unknown("model", name, list(entries)) + "; `zoo list` shows all")
    return next((entry for entry in tags if entry.default), tags[0])


def list_models(pattern: str = "*", task: str | None = None) -> list[str]:
    """Names of the entries, sorted.

    Args:
        pattern: Shell-style pattern on the name, e.g. "tv2d.*".
        task: Only those for this task, e.g. "denoise".
    """
    return sorted(
        name
        for name, entry in _entries().items()
        if fnmatch.fnmatchcase(name, pattern) and (task is None or task in entry.tasks)
    )
