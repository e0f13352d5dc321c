"""Pairs that a teacher made: what they are, and that they are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import zoo
from zoo.training.teacher import TaughtPairs

TEACHER = "wct.tiny_imagenet"
CPU = torch.device("cpu")


def pixels(count: int = 5, side: int = 40) -> np.ndarray:
    coarse = np.random.default_rng(0).integers(0, 256, (count, 5, 5, 3), dtype=np.uint8)
    return coarse.repeat(side // 5, 1).repeat(side // 5, 2)


def test_pairs_are_what_the_teacher_makes_and_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = TaughtPairs(TEACHER, pixels(), 10, 32, tmp_path)
    assert first.made.shape == (10, 32, 32, 3) and first.made.dtype == np.uint8
    content, style, made = first.draw(3, 32, torch.Generator().manual_seed(1), CPU)
    with torch.no_grad():
        expected = zoo.load(TEACHER)(content, style)
    # half of the triples are mirrored, after the teacher, whose feature maps are not quite symmetric
    assert (expected - made).abs().mean() < 0.05 < (expected - content).abs().mean()
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"], "no partial file stays"
    monkeypatch.setattr(TaughtPairs, "_make", lambda *_: pytest.fail("made again"))
    again = TaughtPairs(TEACHER, pixels(), 10, 32, tmp_path)
    assert np.array_equal(first.made, again.made)
    monkeypatch.undo()
    assert not np.array_equal(TaughtPairs(TEACHER, pixels()[::-1], 10, 32, tmp_path).made, first.made)
    with pytest.raises(ValueError, match="teacher"):
        TaughtPairs("dncnn.sigma25", pixels(), 10, 32, tmp_path)
