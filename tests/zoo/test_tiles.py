"""Tiles: nothing of the cuts is left in the result."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from zoo.models.dncnn import DnCNN
from zoo.tiles import edges, run_tiled


@given(st.integers(1, 5000), st.integers(1, 600))
def test_edges_cover_a_side_with_the_fewest_pieces(length, tile):
    cuts = edges(length, tile)
    sizes = [b - a for a, b in itertools.pairwise(cuts)]
    assert cuts[0] == 0 and cuts[-1] == length
    assert max(sizes) <= tile and min(sizes) >= 1 and max(sizes) - min(sizes) <= 1
    assert len(sizes) == -(-length // tile)


@pytest.mark.parametrize("shape", ((1, 3, 70, 91), (2, 3, 1, 130), (1, 3, 40, 40)))
def test_tiles_equal_the_whole_when_the_halo_is_the_receptive_field(shape):
    torch.manual_seed(0)
    model = DnCNN(depth=4, width=8).eval()
    image = torch.rand(shape)
    whole = model(image).detach()
    states = list(run_tiled(model, image, tile=32, halo=4))
    torch.testing.assert_close(states[-1][0], whole, rtol=0, atol=1e-6)
    assert [fraction for _, fraction in states] == [(i + 1) / len(states) for i in range(len(states))]
    assert len(states) == -(-shape[2] // 32) * -(-shape[3] // 32)


def test_too_small_a_halo_shows():
    model = nn.Conv2d(1, 1, 7, padding=3)
    image = torch.rand(1, 1, 40, 40)
    result = list(run_tiled(model, image, tile=20, halo=0))[-1][0]
    assert (result - model(image)).abs().max() > 1e-3


def test_tv_layers_leave_no_seam():
    torch.manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(0, 1, 96), torch.linspace(0, 1, 96), indexing="ij")
    image = torch.stack([x, y, (x - y).abs()])[None] + 25 / 255 * torch.randn(1, 3, 96, 96)
    model = DnCNN(depth=4, width=8, tv=True, lam=0.02).eval()
    tiled = list(run_tiled(model, image, tile=48, halo=32))[-1][0]
    difference = (tiled - model(image)).abs()
    assert difference.max() < 2e-3  # half a level of 255


def test_bad_sizes():
    with pytest.raises(ValueError, match="tile"):
        next(run_tiled(nn.Identity(), torch.zeros(1, 1, 4, 4), tile=0))
