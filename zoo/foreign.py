"""Weights that others publish: fetched when asked for, checked, and converted into a file of the zoo.

An entry with a `source` has no file in the package nor on the Hub. `pull` fetches the publisher's file once and keeps
the converted one in `cache_folder()`; `zoo.load` only looks there.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path

import torch

from . import registry
from .checkpoints import file_sha256, save_checkpoint
from .entry import Entry, Source
from .errors import CheckpointError, WeightsNotFoundError

# architecture -> function that makes the module out of the publisher's file. Named here and not in the entry, because
# a record may come from elsewhere and must not choose what is run
CONVERTERS = {"vgg19": "zoo.vgg19:convert"}
TIMEOUT = 60
"""Seconds without a byte after which a download is given up."""

Report = Callable[[int, int], None]
"""Called with the bytes so far and in all."""


def cache_folder() -> Path:
    """Where converted files are kept: `$NEURAL_SOLVER_ZOO_CACHE`, else `~/.cache/neural-solver-zoo`."""
    return Path(os.environ.get("NEURAL_SOLVER_ZOO_CACHE", Path.home() / ".cache" / "neural-solver-zoo"))


def cached(entry: Entry) -> Path:
    """The converted file of an entry. Never goes to the network.

    Raises:
        WeightsNotFoundError: it has not been pulled; the message says how.
    """
    source = _source(entry)
    path = cache_folder() / str(entry.file)
    if not path.is_file():
        raise WeightsNotFoundError(
            f"the weights of {entry.name} are not on this machine. Tried:\n  - {path} is not there\n"
            f"To fix it, with a network, run: zoo pull {entry.name}\n"
            f"which fetches {source.size_bytes / 1e6:.0f} MB from {source.url}\n"
            f"or, with a copy of that file, in Python: zoo.foreign.pull({entry.name!r}, 'FILE')"
        )
    return path


def pull(model: str | Entry, file: str | os.PathLike[str] | None = None, report: Report | None = None) -> Path:
    """Fetch the weights of an entry from their publisher, check them and convert them.

    Args:
        model: An entry with a source, or its name.
        file: A copy of the publisher's file; None: the one in torch's own cache, else it is downloaded there.
        report: Told how the download goes on.

    Returns:
        The converted file, which `zoo.load` finds.

    Raises:
        ValueError: the entry has no source.
        WeightsNotFoundError: the file is not there, or cannot be downloaded (also: offline).
        CheckpointError: it is not the published file. One that was downloaded is deleted.
    """
    entry = model if isinstance(model, Entry) else registry.info(model)
    source = _source(entry)
    path = cache_folder() / str(entry.file)
    if path.is_file() and file is None:
        return path
    if file is not None:
        original = Path(file)
        if not original.is_file():
            raise WeightsNotFoundError(f"{original}: no such file; it is published at {source.url}")
    else:
        original = Path(torch.hub.get_dir()) / "checkpoints" / source.url.rsplit("/", 1)[1]
        if not original.is_file():
            _download(source, original, report)
    if (actual := file_sha256(original)) != source.sha256:
        raise CheckpointError(
            f"{original}: not the file published at {source.url}\n  expected sha256 {source.sha256}\n"
            f"  actual   sha256 {actual}\nDelete it and run: zoo pull {entry.name}"
        )
    module, _, function = CONVERTERS[entry.arch].partition(":")
    converted = getattr(importlib.import_module(module), function)(original)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_checkpoint(path, converted, name=entry.name, config=entry.config, half=True)
    return path


def _source(entry: Entry) -> Source:
    # a record of the Hub is somebody else's word for where to go
    if entry.source is None or "/" in entry.name:
        raise ValueError(f"model: {entry.name} has no weights that others publish")
    return entry.source


def _download(source: Source, path: Path, report: Report | None) -> None:
    from .hub import client

    if client.offline():
        raise WeightsNotFoundError(f"{source.url} is not asked: --offline or HF_HUB_OFFLINE is set")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with contextlib.closing(urllib.request.urlopen(source.url, timeout=TIMEOUT)) as answer, part.open("wb") as sink:
            done = 0
            while block := answer.read(1 << 20):
                sink.write(block)
                done += len(block)
                if report is not None:
                    report(done, source.size_bytes)
        if (actual := file_sha256(part)) != source.sha256:
            raise CheckpointError(
                f"{source.url} sent something else than the published file, {done} bytes of {source.size_bytes}\n"
                f"  expected sha256 {source.sha256}\n  actual   sha256 {actual}\nIt was deleted; try again"
            )
        os.replace(part, path)
    except OSError as error:
        raise WeightsNotFoundError(
            f"{source.url} cannot be fetched ({error}). Fetch it by other means and give the file: "
            "zoo.foreign.pull(NAME, 'FILE')"
        ) from error
    finally:
        part.unlink(missing_ok=True)
