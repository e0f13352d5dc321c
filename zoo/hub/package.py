"""The folder that is published: all that belongs to a model, checked by loading it back."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import shutil
from pathlib import Path
from typing import Any

from .. import registry
from ..checkpoints import load_checkpoint
from ..entry import Entry
from . import client
from .card import PACKAGE, model_readme
from .located import Located, locate
from .published import config_record
from .verify import Check, verify_source

SAMPLE = "sample.png"


def own(target: str | Path) -> Located:
    """Find a model whose weights are ours to pass on.

    Args:
        target: As in `zoo.hub.located.locate`.

    Raises:
        ValueError: it has none of its own; or as `locate`.
    """
    name = str(target)
    if not Path(target).exists() and "/" not in name:
        _check(registry.info(name))  # before its weights are looked for
    model = locate(target)
    _check(model.entry)
    return model


def _check(entry: Entry) -> None:
    if entry.file is None or entry.source is not None:
        why = "are published by others" if entry.source is not None else "do not exist: it is a solver"
        raise ValueError(f"{entry.name}: its weights {why}, so there is nothing to publish")


def build_folder(model: Located, folder: Path, repo: str) -> list[Check]:
    """Write `model.safetensors`, `config.json`, `README.md`, `eval.json`, `golden.json`, `LICENSE` and, where the model
    makes a picture, `sample.png`; then load it all back.

    Args:
        model: What to publish, from `own`.
        folder: An empty folder.
        repo: `org/name`, where it will be.

    Returns:
        The checks that the folder passed.

    Raises:
        ValueError: its folder would not pass the checks; they are listed.
    """
    entry = model.entry
    assert model.weights is not None
    shutil.copyfile(model.weights, folder / client.WEIGHTS_FILE)
    module = load_checkpoint(model.weights, name=entry.stored_name, config=entry.config).eval()
    plug_in = registry.provider(entry.arch)
    _write_json(folder / client.CONFIG_FILE, config_record(entry, plug_in))
    if model.golden is None:
        from ..evaluation.golden import golden

        _write_json(folder / "golden.json", golden(module))
    else:
        _write_json(folder / "golden.json", dict(model.golden))
    metrics = [dataclasses.asdict(metric) for metric in entry.metrics]
    _write_json(folder / "eval.json", dict(model.report or {"name": entry.stored_name, "metrics": metrics}))
    (folder / "LICENSE").write_text(licence_text(entry.licence), encoding="utf-8")
    sample = _sample(model, entry, module, folder / SAMPLE)
    readme = model_readme(entry, repo, plug_in, SAMPLE if sample else None)
    (folder / "README.md").write_text(readme, encoding="utf-8")
    checks = list(verify_source(locate(folder)))
    if failed := [f"  - {check.what}: {check.detail}" for check in checks if check.state == "failed"]:
        raise ValueError(f"{entry.name} cannot be published:\n" + "\n".join(failed))
    return checks


def licence_text(name: str) -> str:
    """The text of a licence where the package has it, else the name and where the text is."""
    if name == "Apache-2.0":
        root = registry.ROOT.parent / "LICENSE"
        if root.is_file():
            return root.read_text(encoding="utf-8")
        files = importlib.metadata.files(PACKAGE) or []
        for file in files:
            if file.name == "LICENSE":
                return file.read_text(encoding="utf-8")
    return f"SPDX-License-Identifier: {name}\nThe text is at https://spdx.org/licenses/{name}.html\n"


def _sample(model: Located, entry: Entry, module: Any, path: Path) -> bool:
    if model.samples:
        shutil.copyfile(model.samples[0], path)
        return True
    from ..showcase import showcase

    picture = showcase(entry, module)
    if picture is None:
        return False
    picture.save(path, optimize=True)
    return True


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
