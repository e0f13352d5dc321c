"""Style transfer engines side by side in one run: loss, time and memory on photographs and paintings never trained on.

    python -m benchmarks.style --photos photos.zip --paintings paintings.zip [--size 256] [--limit 24] [--out FOLDER]

Each pair goes through all engines in turn, so that whatever else the machine does falls on all of them. Networks of a
single style, and beside them Gatys, get their own paintings, drawn by code. Writes style.json and contact sheets; the
folder is one that git ignores, because the pictures of a data set may not be shown. The sheet `drawn.png` is of
paintings drawn by code.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from zoo import registry
from zoo.cli.evaluate_style import style_rows
from zoo.evaluation.style import (
    ENCODER,
    GATYS_STEPS,
    Pair,
    StyleScore,
    make_engine,
    own_style,
    score,
    style_pairs,
    summarise,
    with_painting,
)
from zoo.images import as_pil
from zoo.loading import load
from zoo.models.vgg import VGGEncoder

FOLDER = Path(__file__).parent / "results"
CELL, GAP = 160, 4
"""Side of a picture on a sheet and the space between two, in pixels."""
ROWS = 8


def main() -> None:
    """Runs all engines of the registry, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True, help="folder or archive; those held out are taken")
    parser.add_argument("--paintings", type=Path, help="folder or archive of styles; default: all drawn by code")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--limit", type=int, help="only the first so many pairs")
    parser.add_argument("--engines", nargs="*", help="entries for the task stylize; default: all that are there")
    parser.add_argument("--gatys-steps", type=int, nargs="*", default=list(GATYS_STEPS), help="none: without Gatys")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = options.engines if options.engines is not None else registry.list_models(task="stylize")
    names = [name for name in names if name.split(".")[0] != "gatys"]
    single = [name for name in names if own_style(name)]
    reference = ["content", *(["gatys"] if options.gatys_steps else [])]
    steps = options.gatys_steps or [1]

    print(f"unseen styles, {options.size} pixels, {options.device}")
    pairs = style_pairs(options.photos, options.paintings, options.size, options.limit)
    unseen = side_by_side([*reference, *(name for name in names if name not in single)], pairs, steps, options.device)
    results = {
        "encoder": ENCODER,
        "size": options.size,
        "device": options.device,
        "threads": options.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "unseen": summarise(unseen),
    }
    show(results["unseen"])
    options.out.mkdir(parents=True, exist_ok=True)
    sheet(unseen, pairs).save(options.out / "style.png")
    drawn: list[StyleScore] = []
    shown: list[Pair] = []
    for number, name in enumerate(single):
        style = own_style(name)
        assert style is not None
        own = [with_painting(pair, style) for pair in pairs[number :: len(single)]]
        shown += own
        drawn += side_by_side([*reference, name], own, steps, options.device)
    if drawn:
        print("\nstyles drawn by code, each with the network that was trained for it")
        results["drawn"] = summarise(drawn)
        show(results["drawn"])
        sheet(drawn, shown).save(options.out / "drawn.png")
    (options.out / "style.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {options.out}")


def side_by_side(names: Sequence[str], pairs: Sequence[Pair], steps: Sequence[int], device: str) -> list[StyleScore]:
    """All engines on each pair in turn."""
    engines = [make_engine(name, device, steps) for name in names]
    encoder = load(ENCODER, device=device)
    assert isinstance(encoder, VGGEncoder)
    small = pairs[0].content[..., :32, :32].to(device)
    with torch.no_grad():  # what is loaded at the first call is not measured
        for _, engine in engines:
            next(engine(small, small))
    scores: list[StyleScore] = []
    for number, pair in enumerate(pairs, 1):
        for name, engine in engines:
            scores += score(name, engine, pair, encoder)
        sys.stderr.write(f"{number}/{len(pairs)}: {pair.content_name} as {pair.style_name}\n")
    return scores


def show(records: Sequence[dict]) -> None:
    """Prints the table."""
    rows = style_rows(list(records))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def sheet(scores: Sequence[StyleScore], pairs: Sequence[Pair]) -> Image.Image:
    """A row for each pair: content, style, and what each engine's last state is."""
    last: dict[tuple[str, str], dict[str, StyleScore]] = {}
    for one in scores:
        last.setdefault((one.content, one.style), {})[one.engine] = one
    rows = []
    for pair in pairs[:ROWS]:
        found = last[(pair.content_name, pair.style_name)]
        made = [one.image for name, one in found.items() if name != "content"]
        rows.append([cell(picture) for picture in (pair.content, pair.style, *made)])
    width = max(len(row) for row in rows)
    whole = Image.new("RGB", (width * (CELL + GAP) - GAP, len(rows) * (CELL + GAP) - GAP), "white")
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            whole.paste(picture, (across * (CELL + GAP), down * (CELL + GAP)))
    return whole


def cell(picture: Tensor) -> Image.Image:
    """(1, 3, H, W) in [0, 1] at the size of the sheet."""
    return as_pil(picture[0]).resize((CELL, CELL), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
