"""The benchmarks of style transfer: every variant of the study is a valid recipe, tables and sheets are whole."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the benchmarks are no part of the package

from benchmarks import solver_study, style  # noqa: E402
from zoo.evaluation.style import Pair, StyleScore  # noqa: E402
from zoo.training.objective import make_objective  # noqa: E402


@pytest.mark.parametrize("variant", [name for name in solver_study.VARIANTS if "l64" not in name])
def test_variants_of_the_study(variant: str, tmp_path: Path) -> None:
    recipe = solver_study.recipe_of(variant)
    assert recipe.name == f"flexible_solver.study_{variant}"
    iterations, width = (int(part[1:]) for part in variant.split("_")[:2])
    model = make_objective(recipe, tmp_path, tmp_path).model
    assert len(model.steps) == iterations  # type: ignore[arg-type]
    assert model.steps[0].forwards[0].out_channels == width  # type: ignore[index,union-attr]
    assert model.steps[0].decoder == ("relu" if variant.endswith("relu") else "heaviside")  # type: ignore[index,union-attr]


def test_table_of_the_study() -> None:
    iterate = {"step": 1, "l_tv": [0.1, 0.25, 0.3], "left": [0.4, 0.5, 0.6], "seconds": 0.0123}
    record = {"N": 1, "L": 16, "decoder": "relu", "parameters": 640_000, "steps": 7, "iterates": [iterate]}
    lines = solver_study.as_table([record]).splitlines()
    assert len(lines) == 3 and {line.count("|") for line in lines} == {9}
    assert lines[2] == "| 1 | 16 | relu | 0.64 M | 7 | 0.250 | 50% | 0.012 |"


def test_sheet_has_a_row_for_each_pair() -> None:
    picture = torch.rand(1, 3, 32, 32)
    pairs = [Pair(name, "s", picture, picture) for name in "ab"]
    scores = [
        StyleScore(engine, step, pair.content_name, "s", 1.0, 1.0, 0.1, None, torch.zeros(1, 3, 32, 32))
        for pair in pairs
        for engine, step in (("content", 0), ("gatys", 1), ("gatys", 3), ("johnson.x", 1))
    ]
    whole = style.sheet(scores, pairs)
    cell, gap = style.CELL, style.GAP
    assert whole.size == (4 * (cell + gap) - gap, 2 * (cell + gap) - gap)
    assert whole.getpixel((2 * (cell + gap) + 5, 5)) == (0, 0, 0) and whole.getpixel((cell + 1, 5)) == (255, 255, 255)
