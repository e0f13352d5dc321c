"""`zoo evaluate` of image priors: the paper's restoration tasks."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import emit, table

if TYPE_CHECKING:
    from torch import nn


def evaluate_restore(
    name: str,
    model: str | nn.Module,
    data: Path,
    task: str,
    fit: Mapping[str, Any],
    seed: int,
    limit: int | None,
    device: str,
    json: bool,
) -> None:
    """Measure a prior on one of the tasks, or on all of them.

    Args:
        name: Entry for the task "restore".
        model: The same, or the model itself.
        data: Folder or archive of pictures; those under val/ if there are any.
        task: One of `zoo.evaluation.restoration.TASKS`, or "all".
        fit: `steps`, `space`, `start` and `pull` of `evaluate_prior`.
        seed, limit, device: as in `evaluate_prior`; limit None: 50 pictures.
        json: Print JSON instead of a table.
    """
    from ..evaluation.restoration import TASKS, evaluate_prior, mean_restored

    live = sys.stderr.isatty()
    report, rows = {}, [("task", "MSE", "perceptual", "known", "")]
    for one in TASKS if task == "all" else (task,):
        scores = []
        for score in evaluate_prior(model, data, one, limit=limit or 50, seed=seed, name=name, device=device, **fit):
            scores.append(score)
            if live:
                text = f"\r\x1b[K{one} {len(scores)}: {score.image}  {score.mse:.4f}"
                print(text, end="", file=sys.stderr, flush=True)
        if live:
            print("\r\x1b[K", end="", file=sys.stderr)
        settings = ", ".join(f"{key} {value}" for key, value in fit.items() if value not in (None, "encoder"))
        means = mean_restored(scores, name, data, one, settings)
        report[one] = {"images": [score.to_dict() for score in scores], "mean": means}
        known = f"{means[2]['value']:.5f}" if len(means) > 2 else ""
        paper = f"paper {means[0]['paper_value']:g}" if means[0]["paper_value"] is not None else ""
        rows.append((one, f"{means[0]['value']:.5f}", f"{means[1]['value']:.5f}", known, paper))
    if json:
        emit({"model": name, "data": str(data), "seed": seed, "tasks": report})
    else:
        table(rows)
