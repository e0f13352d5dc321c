"""Tables 1 and 2 of the paper: image priors on holes, enlargement and colour, all in one run.

    python -m benchmarks.priors --data faces128.zip [--models lcm.faces128 runs/glo ...] [--limit 20] [--tasks ...]

Models are names, or folders of training runs. A latent convolutional model is fitted in several ways: from its
feed-forward start for 100 steps; from the middle of its latents, without any prior, for 100 and for 500; and in z.
Writes priors.json, priors.txt and a contact sheet (evidence, result, truth) for each; git ignores the folder,
because the pictures of a data set may not be shown. What priors.json holds already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from zoo.entry import Entry
from zoo.evaluation.restoration import TASKS, evaluate_prior, mean_restored
from zoo.hub.located import load_located
from zoo.images import as_pil, rows_of

FOLDER = Path(__file__).parent / "results"
WAYS: dict[str, dict[str, dict[str, Any]]] = {
    "lcm": {
        "start of the encoder, 100 steps": {"steps": 100},
        "no start, 100 steps": {"steps": 100, "start": "seed", "pull": 0.0},
        "no start, 500 steps": {"steps": 500, "start": "seed", "pull": 0.0},
        "in z, 500 steps": {"steps": 500, "start": "seed", "space": "z"},
    },
    "dip": {"1000 steps": {"steps": 1000}},
}
OTHERS = {"500 steps": {"steps": 500}}


def measure(
    entry: Entry, model: nn.Module, way: dict[str, Any], data: Path, task: str, limit: int
) -> tuple[dict[str, Any], list[Tensor]]:
    """Figures of a model on a task, and evidence, results and true pictures, (N, 3, H, W) each."""
    seen: list[tuple[Tensor, ...]] = []
    began = time.perf_counter()
    scores = list(
        evaluate_prior(model, data, task, limit=limit, name=entry.name, look=lambda *p: seen.append(p), **way)
    )
    seconds = (time.perf_counter() - began) / len(scores)
    mse, perceptual, *known = (record["value"] for record in mean_restored(scores, entry.name, data, task))
    figures = {
        "mse": mse,
        "perceptual": perceptual,
        "mse_known": known[0] if known else None,
        "seconds": seconds,
        "images": len(scores),
    }
    return figures, [torch.cat(parts) for parts in zip(*seen, strict=True)]


def table(results: dict[str, dict[str, Any]]) -> str:
    """MSE, perceptual distance and MSE of what is known, a line a method."""
    lines = [f"{'method':48}" + "".join(f"{task:>26}" for task in TASKS)]
    for method, tasks in results.items():
        cells = []
        for task in TASKS:
            figures = tasks.get(task)
            if figures is None:
                cells.append(f"{'':>26}")
                continue
            known = "" if figures["mse_known"] is None else f" ({figures['mse_known']:.4f})"
            cells.append(f"{figures['mse']:.4f} {figures['perceptual']:.3f}{known}".rjust(26))
        lines.append(f"{method:48}" + "".join(cells))
    return "\n".join(lines)


def main() -> None:
    """Measures what is asked for and not yet there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder or archive of pictures, with val/")
    parser.add_argument("--models", nargs="*", default=["lcm.faces128", "dip.small"])
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=TASKS)
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)
    record = options.out / "priors.json"
    results: dict[str, dict[str, Any]] = json.loads(record.read_text()) if record.is_file() else {}
    models = [load_located(target) for target in options.models]
    for task in options.tasks:
        for entry, model in models:
            for words, way in WAYS.get(entry.arch, OTHERS).items():
                method = f"{entry.name}, {words}"
                if task in results.setdefault(method, {}):
                    continue
                results[method][task], pictures = measure(entry, model, way, options.data, task, options.limit)
                place = options.out / f"priors-{task}"
                place.mkdir(exist_ok=True)
                name = method.replace(", ", "-").replace(" ", "_")
                as_pil(rows_of(*pictures)).save(place / f"{name}.png")
                record.write_text(json.dumps(results, indent=2) + "\n")
                (options.out / "priors.txt").write_text(table(results) + "\n")
                print(f"{task}: {method}: {results[method][task]}", flush=True)
    print(table(results))


if __name__ == "__main__":
    main()
