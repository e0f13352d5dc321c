"""The paintings drawn by code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo.gallery import PAINTINGS, paint


@pytest.mark.parametrize("name", PAINTINGS)
def test_the_same_seed_paints_the_same_picture(name: str) -> None:
    first = paint(name, 40, 50)
    assert first.size == (50, 40) and first.mode == "RGB"
    pixels = np.asarray(first).astype(float)
    assert pixels.std() > 15, "not a flat picture"
    assert np.array_equal(pixels, np.asarray(paint(name, 40, 50)))
    assert np.abs(pixels - np.asarray(paint(name, 40, 50, seed=1))).mean() > 1


def colours(image: Image.Image) -> np.ndarray:
    """Shares of coarse colours."""
    histogram, _ = np.histogramdd(np.asarray(image).reshape(-1, 3), bins=3, range=[(0, 256)] * 3)
    return histogram.ravel() / histogram.sum()


def test_paintings_differ_from_each_other_and_keep_their_colours_at_any_size() -> None:
    small = {name: colours(paint(name, 40)) for name in PAINTINGS}
    large = {name: colours(paint(name, 80)) for name in PAINTINGS}
    for name in PAINTINGS:
        own = np.abs(small[name] - large[name]).sum()
        assert all(own < np.abs(small[name] - large[other]).sum() for other in PAINTINGS if other != name), name


@settings(max_examples=6, deadline=None)
@given(
    name=st.sampled_from(sorted(PAINTINGS)),
    size=st.tuples(st.integers(16, 40), st.integers(16, 60)),
    seed=st.integers(0),
)
def test_any_size_and_seed(name: str, size: tuple[int, int], seed: int) -> None:
    assert paint(name, *size, seed=seed).size == size[::-1]


def test_refusals() -> None:
    with pytest.raises(ValueError, match="name: one of night_sky"):
        paint("mona_lisa")
    with pytest.raises(ValueError, match="at least 16"):
        paint("dusk", 8)
