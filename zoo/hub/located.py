"""What there is to check, export or publish: a model by its name, a file of weights, or a folder."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from .. import registry
from ..checkpoints import file_sha256, load_checkpoint, read_checkpoint
from ..entry import Entry
from ..errors import CheckpointError, UnknownModelError
from . import client
from .published import card_in, read_config
from .pull import pull
from .resolve import find_weights

SAMPLES = ("sample.png", "samples.png")


@dataclass(frozen=True)
class Located:
    """A model and all that belongs to it."""

    entry: Entry
    weights: Path | None
    """None: a model without weights."""
    card: str = ""
    golden: Mapping[str, Any] | None = None
    """Its outputs for the golden picture; None: not known."""
    report: Mapping[str, Any] | None = None
    """What the training run measured."""
    samples: tuple[Path, ...] = ()
    folder: Path | None = None
    """The folder as it was published, of which every file is checked."""
    known: bool = field(default=True)
    """Whether there is a record to check the file against; not for a file of weights that no entry describes."""


def golden_file(name: str) -> Path | None:
    """The golden output of an entry, or None."""
    path = registry.home(name) / "golden" / f"{name}.json"
    return path if path.is_file() else None


def locate(target: str | Path) -> Located:
    """Find a model.

    Args:
        target: A name, `arch.tag`, `arch` or `org/name`; a `.safetensors` file; the folder of a training run; or a
            folder as `zoo publish` makes it.

    Raises:
        ValueError: nothing of this kind; also UnknownModelError, CheckpointError.
        WeightsNotFoundError: the model's weights are nowhere.
    """
    path = Path(target)
    if path.is_dir():
        return _folder(path)
    if path.suffix == ".safetensors" or path.is_file():
        return _file(path)
    name = str(target)
    if name.endswith(("/", os.sep)) or name.startswith((".", "/", "~", os.sep)):
        raise ValueError(f"{target}: no such file or folder")
    try:
        return _named(name)
    except UnknownModelError as error:
        raise UnknownModelError(f"no file or folder {name!r}; {error}") from None


def load_located(target: str | Path) -> tuple[Entry, nn.Module]:
    """A model from a name or from the folder of a training run, installed or not; see `locate`.

    Returns:
        Its entry, and the model in eval mode.

    Raises:
        ValueError, WeightsNotFoundError, CheckpointError: as `locate` and `zoo.checkpoints.load_checkpoint`.
    """
    found = locate(target)
    entry = found.entry
    if found.weights is None:
        return entry, registry.build(entry.arch, entry.config).eval()
    return entry, load_checkpoint(found.weights, name=entry.stored_name, config=entry.config).eval()


def _named(name: str) -> Located:
    entry = registry.info(name)
    if entry.file is None:
        return Located(entry, None, entry.card)
    if "/" in entry.name and not client.offline():
        pull(entry.name)  # the card and the golden output, too
    weights = find_weights(entry)
    golden = None if "/" in entry.name else golden_file(entry.name)
    # of a model that is registered with its repository, the card may be there alone
    card = entry.card or card_in(weights.parent)
    return Located(entry, weights, card, _json(golden or weights.parent / "golden.json"))


def _file(path: Path) -> Located:
    checkpoint = read_checkpoint(path)
    try:
        entry = registry.info(checkpoint.name)
    except UnknownModelError:
        from ..entry import InputSpec, Paper

        count = sum(tensor.numel() for tensor in checkpoint.tensors.values())
        entry = Entry(
            checkpoint.name,
            summary="",
            tasks=(),
            paper=Paper("", ""),
            licence="",
            config=checkpoint.config,
            input=InputSpec(None),
            num_params=count,
            supports_half=False,
            file=path.name,
            sha256=file_sha256(path),
        )
        return Located(entry, path, known=False)
    return Located(entry, path, entry.card, _json(golden_file(entry.name)))


def _folder(path: Path) -> Located:
    if (path / client.CONFIG_FILE).is_file():
        entry: Entry = read_config(path / client.CONFIG_FILE, f"folder/{_safe(path)}", "0" * 40)
        samples = tuple(path / name for name in SAMPLES if (path / name).is_file())
        weights = path / client.WEIGHTS_FILE
        if not weights.is_file():
            raise CheckpointError(f"{path}: lacks {client.WEIGHTS_FILE}")
        golden, report = _json(path / "golden.json"), _json(path / "eval.json")
        return Located(entry, weights, entry.card, golden, report, samples, path)
    records = [file for file in sorted(path.glob("*.json")) if (path / f"{file.stem}.safetensors").is_file()]
    if len(records) != 1:
        raise ValueError(
            f"{path}: neither a finished training run (NAME.json beside NAME.safetensors) nor a folder that "
            f"zoo publish made ({client.CONFIG_FILE})"
        )
    entry = registry.read_entry(records[0])
    card = path / "card.md"
    return Located(
        entry,
        records[0].with_suffix(".safetensors"),
        card.read_text(encoding="utf-8") if card.is_file() else "",
        _json(path / "golden.json"),
        _json(path / "eval.json"),
        tuple(path / name for name in SAMPLES if (path / name).is_file()),
    )


def _safe(path: Path) -> str:
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in path.resolve().name)
    return name.strip("-") or "model"


def _json(path: Path | None) -> dict[str, Any] | None:
    if path is None or not path.is_file():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from None
