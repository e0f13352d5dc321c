"""Gram matrices of a content picture."""

from itertools import pairwise

import pytest
import torch
from skimage.data import astronaut

from zoo.loading import load
from zoo.models.flexible_solver import FlexibleSolver
from zoo.models.vgg import STYLE_LAYERS, VGGEncoder
from zoo.style import own
from zoo.style.loss import style_targets
from zoo.style.own import own_grams, styles_for
from zoo.tiles import parts


@pytest.fixture(scope="module")
def encoder() -> VGGEncoder:
    torch.manual_seed(0)
    return VGGEncoder(2).eval().requires_grad_(False)


def picture(h: int, w: int) -> torch.Tensor:
    return torch.rand(1, 3, h, w, generator=torch.Generator().manual_seed(0))


def test_of_the_whole_and_of_parts(encoder):
    x = picture(48, 70)
    (whole,) = own_grams(encoder, x, [None])
    for matrix, expected in zip(whole, style_targets(encoder, x).values(), strict=True):
        torch.testing.assert_close(matrix, expected)
    left = torch.zeros(1, 1, 48, 70)
    left[..., :32] = 1
    some, rest, nowhere = own_grams(encoder, x, [left, 1 - left, 0 * left])
    # at conv1_1, where masks lose nothing, regions make up the whole
    torch.testing.assert_close((32 * some[0] + 38 * rest[0]) / 70, whole[0])
    assert all(matrix.count_nonzero() == 0 for matrix in nowhere)


def test_large_pictures_go_in_parts(monkeypatch):
    encoder = load("vgg19_half.tiny_imagenet")
    x = torch.from_numpy(astronaut()[:320, :500]).permute(2, 0, 1)[None] / 255
    whole = own_grams(encoder, x, [None])[0]
    monkeypatch.setattr(own, "TILE", 170)
    seen = []
    encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[-2:]))
    cut = own_grams(encoder, x, [torch.ones(1, 1, 320, 500)])[0]
    assert len(seen) == 6 and max(max(shape) for shape in seen) <= 170 + own.PIXEL + 2 * own.HALO
    for part, level in zip(cut, whole, strict=True):
        assert (part - level).norm() < 0.02 * level.norm()


@pytest.mark.parametrize("length", [1, 16, 17, 40, 1023, 1024, 1025, 4000])
def test_parts_are_neither_too_large_nor_too_small(length):
    found = parts(length, own.TILE, own.HALO, own.PIXEL)
    inner = [(seen.start + part.start, seen.start + part.stop) for seen, part in found]
    assert inner[0][0] == 0 and inner[-1][1] == length
    assert all(end == begin for (_, end), (begin, _) in pairwise(inner))
    assert all(min(length, 16) <= seen.stop - seen.start <= 1024 + 16 + 2 * own.HALO for seen, _ in found)
    assert all(seen.stop <= length and begin % 16 == 0 for (seen, _), (begin, _) in zip(found, inner, strict=True))


def test_only_those_who_need_them(encoder):
    x = picture(32, 32)
    styles = [(style_targets(encoder, picture(20, 40)), None)]
    assert styles_for(FlexibleSolver(1, 2, encoder_width=2), encoder, x, styles)[0].own is None
    solver = FlexibleSolver(1, 2, encoder_width=2, matrices="relative", filters="difference")
    (style,) = styles_for(solver, encoder, x, styles)
    assert style.own is not None and len(style.own) == len(STYLE_LAYERS)
    solver(x, [style])
