"""The pictures that stand in for photographs where activations are measured."""

from __future__ import annotations

import torch

from zoo import vgg19


def test_dead_leaves() -> None:
    picture = vgg19.dead_leaves(0, size=64)
    assert picture.shape == (1, 3, 64, 64) and picture.min() >= 0 and picture.max() <= 1
    assert torch.equal(picture, vgg19.dead_leaves(0, size=64))
    assert not torch.equal(picture, vgg19.dead_leaves(1, size=64))
    # edges, not noise: most neighbours are equal
    assert (picture.diff(dim=-1) == 0).float().mean() > 0.7
