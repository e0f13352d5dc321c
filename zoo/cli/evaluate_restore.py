"""`zoo evaluate` of image priors: the paper's restoration tasks."""

from __future__ import annotations

import sys
from pathlib import Path

from .output import emit, table


def evaluate_restore(
    name: str,
    data: Path,
    task: str,
    steps: int | None,
    space: str | None,
    seed: int,
    limit: int | None,
    device: str,
    json: bool,
) -> None:
    """Measure a prior on one of the tasks, or on all of them.

    Args:
        name: Entry for the task "restore".
        data: Folder or archive of pictures; those under val/ if there are any.
        task: One of `zoo.evaluation.restoration.TASKS`, or "all".
        steps, space, seed, limit, device: as in `evaluate_prior`; limit None: 50 pictures.
        json: Print JSON instead of a table.
    """
    from ..evaluation.restoration import TASKS, evaluate_prior, mean_restored

    live = sys.stderr.isatty()
    report, rows = {}, [("task", "MSE", "perceptual", "known", "")]
    for one in TASKS if task == "all" else (task,):
        scores = []
        for score in evaluate_prior(
            name, data, one, limit=limit or 50, steps=steps, seed=seed, space=space, device=device
        ):
            scores.append(score)
            if live:
                text = f"\r\x1b[K{one} {len(scores)}: {score.image}  {score.mse:.4f}"
                print(text, end="", file=sys.stderr, flush=True)
        if live:
            print("\r\x1b[K", end="", file=sys.stderr)
        settings = ", ".join(f"{key} {value}" for key, value in (("steps", steps), ("space", space)) if value)
        means = mean_restored(scores, name, data, one, settings)
        report[one] = {"images": [score.to_dict() for score in scores], "mean": means}
        known = f"{means[2]['value']:.5f}" if len(means) > 2 else ""
        paper = f"paper {means[0]['paper_value']:g}" if means[0]["paper_value"] is not None else ""
        rows.append((one, f"{means[0]['value']:.5f}", f"{means[1]['value']:.5f}", known, paper))
    if json:
        emit({"model": name, "data": str(data), "seed": seed, "tasks": report})
    else:
        table(rows)
