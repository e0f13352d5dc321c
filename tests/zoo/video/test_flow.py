"""Warping against closed forms, occlusions of a moving square, flow of a known shift."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.video import dis_flow, motion_boundary, occluded, trusted, warp


def flow_of(height: int, width: int, right: float, down: float) -> torch.Tensor:
    return torch.tensor([right, down], dtype=torch.float64).view(1, 2, 1, 1).expand(1, 2, height, width).contiguous()


def coordinates(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    y, x = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    return y, x


@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    shift=st.tuples(st.integers(-4, 4), st.integers(-4, 4)),
    seed=st.integers(0, 99),
)
def test_warp_by_whole_pixels_repeats_the_border(size, shift, seed):
    picture = torch.rand(1, 2, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rows = (torch.arange(size[0]) + shift[1]).clamp(0, size[0] - 1)
    columns = (torch.arange(size[1]) + shift[0]).clamp(0, size[1] - 1)
    expected = picture[:, :, rows][..., columns]
    assert torch.allclose(warp(picture, flow_of(*size, *shift)), expected, atol=1e-12)


def test_warp_by_an_affine_field():
    """A ramp sampled anywhere is what the ramp says there, as bilinear interpolation is exact for it."""
    y, x = coordinates(13, 17)
    flow = torch.stack((0.3 + 0.05 * x - 0.1 * y, -0.4 + 0.08 * x + 0.02 * y))[None]
    got = warp((2 * x - 3 * y + 1)[None, None], flow)
    at_x, at_y = x + flow[0, 0], y + flow[0, 1]
    inside = (at_x >= 0) & (at_x <= 16) & (at_y >= 0) & (at_y <= 12)
    assert inside.sum() > 100
    assert torch.allclose(got[0, 0][inside], (2 * at_x - 3 * at_y + 1)[inside], atol=1e-10)


def test_warp_is_differentiable_and_takes_one_flow_for_a_batch():
    picture = torch.rand(2, 1, 3, 4, dtype=torch.float64).requires_grad_()
    flow = flow_of(3, 4, 0.3, -0.6).requires_grad_()
    assert torch.autograd.gradcheck(warp, (picture, flow))


def square(left: int) -> torch.Tensor:
    """A textured square of 24 pixels with its left edge at `left`, on a textured ground that rests. (1, 3, 64, 96)."""
    g = torch.Generator().manual_seed(0)
    ground, patch = (torch.rand(1, 3, n, m, generator=g) for n, m in ((16, 24), (12, 12)))
    scene = 0.4 * torch.nn.functional.interpolate(ground, size=(64, 96), mode="bilinear")
    scene[..., 20:44, left : left + 24] = 0.5 + 0.5 * torch.nn.functional.interpolate(
        patch, size=(24, 24), mode="bilinear"
    )
    return scene


def square_flow(left: int, motion: float) -> torch.Tensor:
    flow = torch.zeros(1, 2, 64, 96)
    flow[:, 0, 20:44, left : left + 24] = motion
    return flow


def test_occlusions_of_a_moving_square():
    """The square moves 8 to the right: the ground that it leaves is new in the second frame, and nothing else."""
    back, there = square_flow(38, -8.0), square_flow(30, 8.0)  # from the second frame, from the first
    hidden = occluded(back, there)[0, 0]
    uncovered = torch.zeros(64, 96, dtype=torch.bool)
    uncovered[20:44, 30:38] = True
    assert torch.equal(hidden, uncovered)
    boundary = motion_boundary(back)[0, 0]
    edge = torch.zeros(64, 96, dtype=torch.bool)
    edge[20:44, 38:62] = True
    ring = torch.nn.functional.max_pool2d(edge[None].float(), 3, 1, 1)[0] != 0
    assert not boundary[~ring].any() and not boundary[21:43, 39:61].any()  # one pixel to each side, not inside
    assert boundary[25:40, [37, 38, 61, 62]].all()
    mask = trusted(back, there)
    assert torch.equal(mask[0, 0] == 0, hidden | boundary)
    moved = warp(square(30), back)
    assert ((moved - square(38)).abs() * mask).max() < 1e-5
    assert ((moved - square(38)).abs() * hidden).max() > 0.1


def test_what_comes_from_outside_is_occluded():
    flow, back = flow_of(8, 10, 3, 0), flow_of(8, 10, -3, 0)
    hidden = occluded(flow, back)[0, 0]
    assert hidden[:, -3:].all() and not hidden[:, :-3].any()
    assert not motion_boundary(flow).any()


def test_flow_of_a_shift_and_of_a_square():
    g = torch.Generator().manual_seed(1)
    wide = torch.nn.functional.interpolate(torch.rand(1, 3, 20, 30, generator=g), size=(100, 150), mode="bicubic")
    wide = wide.clamp(0, 1)
    first, second = wide[..., 8:-8, 8:-8], wide[..., 6:-10, 13:-3]  # what is at p is found 5 to the left and 2 down
    flow = dis_flow(torch.cat((first, second)), torch.cat((second, first)))
    assert flow.shape == (2, 2, 84, 134) and flow.dtype == torch.float32
    expected = torch.tensor([[-5.0, 2.0], [5.0, -2.0]])
    assert torch.allclose(flow[:, :, 12:-12, 12:-12].flatten(2).median(2).values, expected, atol=0.2)
    one, two = (torch.nn.functional.interpolate(square(left), scale_factor=3, mode="bilinear") for left in (30, 34))
    mask = trusted(dis_flow(two, one), dis_flow(one, two))
    assert mask[0, 0, 66:126, 92:100].mean() < 0.1  # uncovered
    assert mask[0, 0, :, 216:].mean() > 0.98 and mask[0, 0, 72:120, 115:160].mean() > 0.95  # at rest, and in motion
    moved = warp(one, dis_flow(two, one))
    assert ((moved - two).abs() * mask).mean() < 0.1 * (one - two).abs().mean()


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (40, 11)])
def test_flow_of_tiny_pictures(size):
    picture = torch.rand(1, 1, *size)
    assert torch.allclose(dis_flow(picture, picture), torch.zeros(1, 2, *size), atol=0.1)


def test_errors_name_the_argument():
    picture, flow = torch.zeros(1, 3, 4, 5), torch.zeros(1, 2, 4, 5)
    for call, words in (
        (lambda: warp(picture, picture), "flow"),
        (lambda: warp(picture[..., :-1], flow), "picture"),
        (lambda: occluded(flow, flow[..., :-1]), "back"),
        (lambda: motion_boundary(picture), "flow"),
        (lambda: dis_flow(picture, picture[..., :-1]), "second"),
        (lambda: dis_flow(flow, flow), "first"),
        (lambda: dis_flow(picture, picture, "best"), "preset"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
