"""The network that frames faces, and the frames that it moves."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import zoo
from zoo.models.face_frame import FaceFrame, between, moved
from zoo.restore.turned import cut_turned

frames = st.tuples(st.floats(-50, 150), st.floats(-50, 150), st.floats(1, 300), st.floats(-4, 4))
offsets = st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(-1, 1), st.floats(-3, 3))


def row(values: tuple[float, ...]) -> Tensor:
    return torch.tensor([values], dtype=torch.float64)


@given(frames, offsets)
def test_between_is_the_inverse_of_moved(frame: tuple[float, ...], offset: tuple[float, ...]) -> None:
    torch.testing.assert_close(between(row(frame), moved(row(frame), row(offset))), row(offset), rtol=0, atol=1e-9)


def test_offsets_are_along_the_frame() -> None:
    quarter = row((10.0, 20.0, 8.0, math.pi / 2))
    # turned by a quarter clockwise, its right is down, and its down is left
    torch.testing.assert_close(moved(quarter, row((0.5, 0, 0, 0))), row((10.0, 24.0, 8.0, math.pi / 2)))
    torch.testing.assert_close(moved(quarter, row((0, 0.5, math.log(2), 0.1))), row((6.0, 20, 16, math.pi / 2 + 0.1)))


@pytest.mark.parametrize("angle", (0.0, 25.0, -70.0))
def test_a_view_is_the_middle_of_the_frame(angle: float) -> None:
    picture = torch.rand(1, 4, 90, 110)
    picture[:, 3] = 1
    network = FaceFrame(size=32, seen=0.5, widths=(4, 8), hidden=4)
    # 32 of 64 pixels, so that pixels of the view are pixels of the picture
    views = network.views(picture, torch.tensor([[50.0, 40.0, 64.0, math.radians(angle)]]))
    torch.testing.assert_close(views, cut_turned(picture, (34, 24, 32, 32), angle), rtol=0, atol=1e-4)


def test_many_views_of_one_picture() -> None:
    network = FaceFrame(size=8, widths=(4,), hidden=4)
    picture = torch.rand(1, 4, 30, 50)
    frames = torch.tensor([[20.0, 15.0, 12.0, 0.3], [30.0, 10.0, 20.0, -1.0], [5.0, 25.0, 9.0, 0.0]])
    torch.testing.assert_close(network.views(picture, frames), network.views(picture.expand(3, -1, -1, -1), frames))


def test_what_is_beyond_the_picture_or_missing_is_not_known() -> None:
    network = FaceFrame(size=16, widths=(4, 8), hidden=4).eval()
    picture = torch.rand(1, 4, 40, 40)
    picture[:, 3] = 1
    picture[:, 3, 20:24, 30:34] = 0
    views = network.views(picture, torch.tensor([[40.0, 20.0, 32.0, 0.0]]))
    assert set(views[:, 3].unique().tolist()) == {0.0, 1.0}
    assert not views[0, 3, :, 8:].any() and not views[0, 3, 9, 2]
    assert views[0, 3, :4, :7].all()
    other = views.clone()
    other[:, :3] = torch.where(views[:, 3:] > 0, views[:, :3], 7.0)
    assert torch.equal(network(views), network(other)), "what is there where nothing is known does not matter"


def test_a_batch_is_each_of_it() -> None:
    network = zoo.load("face_frame.faces128")
    views = torch.rand(5, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    views[:, 3] = (views[:, 3] > 0.3).float()
    together = network(views)
    assert together.shape == (5, 2, 4)
    torch.testing.assert_close(together, torch.cat([network(view[None]) for view in views]), rtol=1e-4, atol=1e-5)
