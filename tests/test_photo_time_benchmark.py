"""The benchmark of times: all rows run, and the direct solve agrees with our filter."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # the benchmarks are no part of the package

from benchmarks import matting, photo_time  # noqa: E402
from zoo.catalogue import at_hand  # noqa: E402
from zoo.registry import info  # noqa: E402

needs_engines = pytest.mark.skipif(
    not all(at_hand(info(name)) for name in (photo_time.SOLVER, photo_time.WHITENING)),
    reason="the solver or the whitening network is not installed",
)


@needs_engines
def test_all_rows(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(photo_time, "SIZES", ((32, 64),))
    monkeypatch.setattr(photo_time, "PAPER", {64: (1.0, 2.0, 3.0, 4.0)})
    (table,) = photo_time.tables(torch.get_num_threads())
    assert [row["name"] for row in table["rows"]][2] == "PhotoWCT, direct solve" and len(table["rows"]) == 5
    assert "with Laplacian" in capsys.readouterr().out


@needs_engines
def test_both_filters_agree() -> None:
    content, style = matting.pictures(32, 64)
    solved = photo_time.photowct(content, style)
    filtered = photo_time.transferred(photo_time.WHITENING, content, style, matting.LAM)
    assert solved.shape == filtered.shape == (1, 3, 32, 64)
    assert float((solved - filtered).abs().max()) < 0.02


def test_direct_solution() -> None:
    problem = matting.Problem(16, 24)
    residual = problem.matrix @ problem.direct().T - problem.columns.T
    assert np.abs(residual).max() < 1e-10
