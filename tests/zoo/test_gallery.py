"""The paintings drawn by code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo.gallery import PAINTINGS, paint
from zoo.gallery.canvas import Canvas
from zoo.gallery.shapes import voronoi


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


def test_nearest_seeds_do_not_depend_on_how_far_is_looked() -> None:
    canvas = Canvas(20, 45, 0)
    seeds = [
        (float(x), float(y)) for x, y in canvas.random.uniform(0, 1, (9, 2)) * (1.5, 1.0)
    ]  # none in the right third
    owner, gap = voronoi(canvas, seeds, reach=0.05)
    distances = np.sort([np.hypot(canvas.grid[0] - x, canvas.grid[1] - y) for x, y in seeds], axis=0)
    nearest = np.argmin([np.hypot(canvas.grid[0] - x, canvas.grid[1] - y) for x, y in seeds], axis=0)
    assert np.array_equal(owner, nearest)
    np.testing.assert_allclose(gap, distances[1] - distances[0], atol=1e-12)


def test_a_spot_is_round_and_where_it_should_be() -> None:
    canvas = Canvas(30, 40, 0)
    for x, y in ((0.5, 0.4), (-0.2, 0.1), (1.32, 0.99)):
        part, cover = canvas.spot(x, y, 0.1)
        whole = np.zeros((canvas.height, canvas.width))
        whole[part] = cover
        far = np.hypot(canvas.grid[0] - x, canvas.grid[1] - y)
        assert np.all(whole[far < 0.098] == 1) and np.all(whole[far > 0.102] == 0)
