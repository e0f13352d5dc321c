"""The flexible solver's variants at a common small budget (Puy & Pérez 2019, figure 3): N, L, and the decoder.

    python -m benchmarks.solver_study --data DATA [--minutes 6] [--out FOLDER] [--only n2_l16 n3_l64]

Trains each variant by the recipe `flexible_solver.study` for the same time, measures all of them on the same
photographs and paintings, and writes study.json, study.md (the table) and study.png: pictures of scikit-image in styles
drawn by code, which may be shown. Runs are kept in the folder and gone on with; a finished one is not trained again.

In the same time a wider network takes fewer steps; `--steps` compares at the same number of them. The widest one is
left out unless it is named: in minutes without a GPU it would not get anywhere.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from skimage import data as skimage_data
from torch import Tensor

from zoo import checkpoints
from zoo.evaluation.style import evaluate_stylizer, make_engine, style_pairs, summarise
from zoo.gallery import paint
from zoo.images import as_pil, to_picture
from zoo.training import Recipe, load_recipe, train
from zoo.training.checkpoint import read_checkpoint

FOLDER = Path(__file__).parent / "results" / "solver_study"
RECIPE = "flexible_solver.study"
VARIANTS: dict[str, dict[str, Any]] = {
    "n1_l16": {"iterations": 1},
    "n2_l16": {"iterations": 2},
    "n3_l16": {"iterations": 3},
    "n4_l16": {"iterations": 4},
    "n3_l16_relu": {"iterations": 3, "decoder": "relu"},
    "n3_l32": {"iterations": 3, "width": 32},
    "n3_l64": {"iterations": 3, "width": 64},
}
USUAL = [name for name in VARIANTS if name != "n3_l64"]
SHOWN = (("astronaut", "night_sky"), ("chelsea", "stained_glass"), ("coffee", "woodblock"))
CELL, GAP = 160, 4
"""Side of a picture on the sheet and the space between two, in pixels."""


def recipe_of(variant: str) -> Recipe:
    """The study's recipe with what the variant changes."""
    recipe = load_recipe(RECIPE)
    return dataclasses.replace(recipe, name=f"{RECIPE}_{variant}", model={**recipe.model, **VARIANTS[variant]})


def main() -> None:
    """Trains, measures and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with photos and paintings")
    parser.add_argument("--minutes", type=float, help="of active training time for each; default: the recipe's")
    parser.add_argument("--steps", type=int, help="steps for each instead")
    parser.add_argument("--only", nargs="*", choices=list(VARIANTS), help="some of the variants")
    parser.add_argument("--size", type=int, default=256, help="side of the pictures that are measured")
    parser.add_argument("--pairs", type=int, default=24)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    made = options.only or USUAL
    for name in made:
        run(name, options)
    pairs = style_pairs(find(options.data, "photos"), find(options.data, "paintings"), options.size, options.pairs)
    records = [{"variant": name, **facts(options.out / name), **measured(options.out / name, pairs)} for name in made]
    (options.out / "study.json").write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    text = as_table(records)
    (options.out / "study.md").write_text(text, encoding="utf-8")
    sheet([options.out / name for name in made]).save(options.out / "study.png")
    print(text)


def find(folder: Path, name: str) -> Path:
    """A data set of the folder: a folder itself, .zip or .tar."""
    return next((path for suffix in ("", ".zip", ".tar") if (path := folder / (name + suffix)).exists()), folder)


def run(name: str, options: argparse.Namespace) -> None:
    """Train a variant, or finish its training."""
    recipe = recipe_of(name)
    out = options.out / name
    if (out / f"{recipe.name}.json").exists():
        return
    budget = {"steps": options.steps} if options.steps else {"minutes": options.minutes}
    cache = options.out / "cache"
    for progress in train(recipe, out, data=options.data, resume=True, cpu=options.cpu, cache=cache, **budget):
        if progress.stopped:
            raise SystemExit(f"{name}: stopped at step {progress.step}; the same command goes on")
        values = "  ".join(f"{key} {value:.4g}" for key, value in (progress.metrics or progress.values).items())
        sys.stderr.write(f"{name}: {progress.fraction:6.1%}  step {progress.step}  {values}\n")


def load_variant(folder: Path) -> torch.nn.Module:
    """The trained network of a run."""
    return checkpoints.load_checkpoint(next(folder.glob("*.safetensors"))).eval()


def facts(folder: Path) -> dict[str, Any]:
    """What the network is and how long it was trained."""
    entry = json.loads((folder / f"{RECIPE}_{folder.name}.json").read_text(encoding="utf-8"))
    config, state = entry["config"], read_checkpoint(folder)
    return {
        "N": config["iterations"],
        "L": config["width"],
        "decoder": config.get("decoder", "heaviside"),
        "parameters": entry["num_params"],
        "steps": state["step"] if state else None,
        "minutes": round(60 * entry["training"]["hours"], 1),
        "hardware": entry["training"]["hardware"],
    }


def measured(folder: Path, pairs: list) -> dict[str, Any]:
    """Of each iterate: L_TV, its share of the content's, seconds."""
    records = summarise(evaluate_stylizer(load_variant(folder), pairs))
    return {"iterates": [{key: record[key] for key in ("step", "l_tv", "left", "seconds")} for record in records]}


def as_table(records: list[dict[str, Any]]) -> str:
    """The study as a table in markdown: medians over the pairs, after each iteration and at the end."""
    lines = ["| N | L | decoder | parameters | steps | L_TV of X(1), ..., X(N) | of the content's | seconds |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for record in records:
        losses = ", ".join(f"{one['l_tv'][1]:.3f}" for one in record["iterates"])
        last = record["iterates"][-1]
        lines.append(
            f"| {record['N']} | {record['L']} | {record['decoder']} | {record['parameters'] / 1e6:.2f} M "
            f"| {record['steps']} | {losses} | {last['left'][1]:.0%} | {last['seconds']:.3f} |"
        )
    return "\n".join(lines) + "\n"


def sheet(folders: list[Path]) -> Image.Image:
    """A column for each variant, in the order of the table; a row for each content and style."""
    side = 256
    columns: list[list[Tensor]] = [[], []]
    for photograph, style in SHOWN:
        image = Image.fromarray(getattr(skimage_data, photograph)())
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        square = image.crop((left, top, left + short, top + short)).resize((side, side), Image.Resampling.LANCZOS)
        columns[0].append(to_picture(square).tensor)
        columns[1].append(to_picture(paint(style, side)).tensor)
    for folder in folders:
        _, engine = make_engine(load_variant(folder))
        with torch.no_grad():
            results = [list(engine(content, style))[-1][1] for content, style in zip(*columns[:2], strict=True)]
        columns.append(results)
    whole = Image.new("RGB", (len(columns) * (CELL + GAP) - GAP, len(SHOWN) * (CELL + GAP) - GAP), "white")
    for across, column in enumerate(columns):
        for down, picture in enumerate(column):
            small = as_pil(picture[0]).resize((CELL, CELL), Image.Resampling.LANCZOS)
            whole.paste(small, (across * (CELL + GAP), down * (CELL + GAP)))
    return whole


if __name__ == "__main__":
    main()
