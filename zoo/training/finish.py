"""The end of a run: weights in half precision, the registry's record with what was measured, card and reports."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

from .. import checkpoints, registry
from ..entry import Entry
from ..evaluation.golden import golden
from .card import model_card
from .objective import Objective


def finish(
    objective: Objective,
    out: Path,
    validation: Mapping[str, float],
    *,
    step: int,
    seconds: float,
    device: torch.device,
) -> Entry | None:
    """Write what a run has come to into its folder.

    Files: `<name>.safetensors` (float16), `<name>.json` (the registry's record), `card.md`, `eval.json`, `golden.json`.
    All figures are measured on the released file, loaded again. An objective that releases nothing leaves `eval.json`.

    Args:
        objective: What was trained.
        out: The run's folder.
        validation: Metrics of the full validation.
        step: Steps taken.
        seconds: Active time of training.
        device: Where to measure.

    Returns:
        The record, or None if nothing is released.
    """
    recipe = objective.recipe
    report = {"name": recipe.name, "steps": step, "hours": round(seconds / 3600, 3), "validation": dict(validation)}
    export = objective.export()
    entry = None
    init, before = (objective.start.name, objective.start.hours) if objective.start else (None, 0.0)
    if export is not None:
        path = out / f"{recipe.name}.safetensors"
        sha256 = checkpoints.save_checkpoint(
            path, export.model.cpu(), name=recipe.name, config=export.config, half=True
        )
        module = checkpoints.load_checkpoint(path, name=recipe.name, config=export.config, sha256=sha256).eval()
        (out / "golden.json").write_text(json.dumps(golden(module), indent=1) + "\n", encoding="utf-8")
        measured = objective.measure(module.to(device), validation, device)
        entry = Entry.from_dict(
            {
                **recipe.release,
                "name": recipe.name,
                "config": export.config,
                "num_params": sum(parameter.numel() for parameter in module.parameters()),
                "supports_half": True,
                "metrics": [{"paper_value": None, **record} for record in measured],
                "file": path.name,
                "size_bytes": path.stat().st_size,
                "sha256": sha256,
                "training": {
                    "hours": round(seconds / 3600 + before, 2),
                    "hardware": hardware(device, recipe.precision),
                    "seed": recipe.seed,
                    "init": init,
                    "again": objective.again(),
                },
            }
        )
        registry.write_entry(entry, out)
        (out / "card.md").write_text(model_card(entry, step), encoding="utf-8")
        report["metrics"] = [dataclasses.asdict(metric) for metric in entry.metrics]
    (out / "eval.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return entry


def install(out: Path, name: str, root: Path = registry.ROOT) -> None:
    """Copy a finished run's weights, record, card and golden output into the package, where `zoo.load` finds them.

    Args:
        out: The run's folder.
        name: The recipe's name.
        root: The package's folder.

    Raises:
        ValueError: the run has not finished.
    """
    wanted = {
        f"{name}.safetensors": ("weights", f"{name}.safetensors"),
        f"{name}.json": ("entries", f"{name}.json"),
        "card.md": ("cards", f"{name}.md"),
        "golden.json": ("golden", f"{name}.json"),
    }
    if missing := [file for file in wanted if not (out / file).is_file()]:
        raise ValueError(f"{out} lacks {', '.join(missing)}: the run has not finished")
    for file, (folder, called) in wanted.items():
        target = root / folder / called
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        shutil.copyfile(out / file, part)
        os.replace(part, target)


def hardware(device: torch.device, precision: str) -> str:
    """What a run was made on, in words."""
    if device.type == "cuda":
        return f"{os.environ.get('WORLD_SIZE', '1')} x {torch.cuda.get_device_name(device)}, {precision}"
    return f"{os.cpu_count()} CPU cores, {precision}"
