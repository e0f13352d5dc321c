"""Texture super-resolution side by side: PSNR and SNR of the Gram matrices on textures that nothing was trained on.

    python -m benchmarks.superres --data textures.zip [--scale 3] [--limit 40] [--reference half] [--out FOLDER]

Each of the 40 held-out textures gives one crop, see `zoo.evaluation.superres`, made small by the Gaussian of the paper
on 8 bits. Bicubic interpolation, each SRCNN, and the optimisation or a flexible solver without and with a reference go
through it in turn. Writes superres.json and a contact sheet of some crops; the folder is one that git ignores, because
the pictures of a data set may not be shown.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from zoo import registry
from zoo.cli.evaluate_superres import superres_rows
from zoo.cli.output import table
from zoo.evaluation.superres import REFERENCES, SIDE, Method, evaluate_superres, methods, summarise, texture_crops
from zoo.superres.ranking import TASK, installed

FOLDER = Path(__file__).parent / "results"
ROWS, CELL, GAP = 8, 192, 4
"""Crops on the sheet, the side of a picture on it and the space between two, in pixels."""


def main() -> None:
    """Runs all engines that are installed, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder or archive of textures")
    parser.add_argument("--scale", type=int, default=3)
    parser.add_argument("--side", type=int, default=SIDE, help="of a crop, pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="only the first so many textures")
    parser.add_argument("--reference", choices=REFERENCES, default="half")
    parser.add_argument("--degradation", choices=("gaussian", "bicubic"), default="gaussian")
    parser.add_argument("--models", nargs="*", help=f"entries for the task {TASK}; default: all that are installed")
    parser.add_argument("--steps", type=int, help="of engines that iterate")
    parser.add_argument("--lam", type=float, help="weight of the data term")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = [entry.name for entry in installed()] if options.models is None else options.models
    columns: list[Method] = methods("bicubic")
    for name in names:
        entry = registry.info(name)
        if entry.config.get("factor", options.scale) == options.scale:
            columns += methods(entry.name)[1:]
    crops = list(
        texture_crops(
            options.data,
            options.scale,
            side=options.side,
            seed=options.seed,
            kind=options.degradation,
            reference=options.reference,
            limit=options.limit,
        )
    )
    chosen = {"steps": options.steps} | ({} if options.lam is None else {"lam": options.lam})
    scores, rows = [], []
    for crop in crops:
        found = list(evaluate_superres([crop], columns, options.scale, **chosen))
        scores += found
        rows.append([crop.low, *(score.image for score in found), crop.truth])
        line = "  ".join(f"{one.psnr:.2f}/{one.gram_snr:.2f}" for one in found)
        print(f"{len(rows)}/{len(crops)} {crop.name}: {line}", file=sys.stderr, flush=True)
    records = summarise(scores)
    options.out.mkdir(parents=True, exist_ok=True)
    report = {
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "options": {key: str(value) for key, value in vars(options).items()},
        "crops": [one.to_dict() for one in scores],
        "mean": records,
    }
    (options.out / "superres.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    sheet(rows[:: max(1, len(rows) // ROWS)][:ROWS]).save(options.out / "superres.png")
    table(superres_rows(records))


def sheet(rows: list[list[np.ndarray]]) -> Image.Image:
    """Crops one below the other; in each row the small picture, every method and the truth, pixels magnified."""
    width = max(len(row) for row in rows) * (CELL + GAP) - GAP
    canvas = Image.new("RGB", (width, len(rows) * (CELL + GAP) - GAP), "white")
    for i, row in enumerate(rows):
        for j, pixels in enumerate(row):
            cell = Image.fromarray(pixels).resize((CELL, CELL), Image.Resampling.NEAREST)
            canvas.paste(cell, (j * (CELL + GAP), i * (CELL + GAP)))
    return canvas


if __name__ == "__main__":
    main()
