"""What a prior sees of a picture: turned squares there and back, and faces in photographs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from zoo.restore import frame
from zoo.restore.face import Face, find_faces
from zoo.restore.frame import Frame, NoFaceError, cut, frame_of
from zoo.restore.problem import Kinds, Problem
from zoo.restore.turned import covered, cut_turned, put_back, turn

ALL = torch.ones(60, 80, dtype=torch.bool)


@pytest.fixture(autouse=True)
def unaligned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faces are taken as they are found; what becomes of them then is the business of test_align."""
    monkeypatch.setattr(frame, "framing_network", lambda: None)


def waves(height: int, width: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(height) / 20, torch.arange(width) / 20, indexing="ij")
    return torch.stack([0.5 + 0.3 * torch.sin(x + k) * torch.cos(y - k) for k in range(3)])


@settings(max_examples=40, deadline=None)
@given(
    st.tuples(st.integers(-20, 60), st.integers(-20, 60), st.integers(1, 50), st.integers(1, 50)),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_without_a_turn_it_is_the_crop(box: tuple[int, int, int, int], height: int, width: int) -> None:
    image = torch.rand(1, 2, height, width)
    torch.testing.assert_close(cut_turned(image, box, 1e-9), cut(image, Frame(box)), rtol=0, atol=1e-4)


def test_a_quarter_turn_is_exact() -> None:
    image = torch.rand(1, 3, 9, 9)
    # turned clockwise, its upper side is on the right, so that upright it is what was turned anticlockwise
    torch.testing.assert_close(cut_turned(image, (0, 0, 9, 9), 90.0), torch.rot90(image, 1, (2, 3)), rtol=0, atol=1e-4)
    assert turn(1.0, 0.0, 90.0) == pytest.approx((0.0, 1.0))


def test_against_pillow() -> None:
    pixels = (255 * waves(64, 64)).round().byte().permute(1, 2, 0).numpy()
    turned = np.asarray(Image.fromarray(pixels).rotate(25, Image.Resampling.BILINEAR)) / 255
    ours = cut_turned(torch.from_numpy(pixels / 255).permute(2, 0, 1)[None], (0, 0, 64, 64), 25.0)[0].permute(1, 2, 0)
    assert np.abs(ours.numpy() - turned)[16:48, 16:48].max() < 0.01


@given(st.floats(-180, 180), st.integers(10, 40))
def test_there_and_back(angle: float, side: int) -> None:
    image = waves(60, 80)[None]
    box = (35 - side // 2, 30 - side // 2, side, side)
    again = put_back(cut_turned(image, box, angle), box, angle, (60, 80))
    inside = covered(box, angle, (60, 80), inset=1.0)
    assert inside.sum() == pytest.approx((side - 2) ** 2, abs=4 * side)
    assert (again - image)[..., inside].abs().max() < 0.01
    assert not again[..., ~covered(box, angle, (60, 80), inset=-1.0)].any()


def test_the_prior_sees_it_upright_and_its_image_comes_back_turned() -> None:
    picture = waves(60, 80)
    known = ALL.clone()
    known[25:32, 38:46] = False
    problem = Problem(Kinds(holes=True), picture, known, Frame((20, 10, 40, 40), 20.0), (40, 40))
    upright = cut_turned(picture[None], (20, 10, 40, 40), 20.0)[0]
    assert (problem.evidence[0] - upright)[:, :12].abs().max() < 0.02
    made = problem.compose(upright)
    assert torch.equal(made[:, known], picture[:, known])
    assert (made - picture).abs().max() < 0.02
    grey = Problem(Kinds(grey=True), picture.mean(0, keepdim=True), ALL, Frame((20, 10, 40, 40), 20.0), (40, 40))
    made = grey.compose(upright)
    outside = ~covered((20, 10, 40, 40), 20.0, (60, 80))
    assert torch.equal(made[:, outside], picture.mean(0).expand(3, -1, -1)[:, outside])
    middle = covered((28, 18, 24, 24), 20.0, (60, 80))
    assert (made - picture)[:, middle].abs().max() < 0.02


def test_boxes() -> None:
    picture = waves(60, 80)
    assert frame_of([5, 6, 20], picture, ALL, False) == Frame((5, 6, 20, 20))
    assert frame_of([5, 6, 20, -30], picture, ALL, True) == Frame((5, 6, 20, 20), -30.0)
    assert frame_of("square", picture, ALL, True) == Frame((10, 0, 60, 60))
    for box in ([1, 2], [1, 2, 3, 4, 5], [1, 2, float("nan")], "nose"):
        with pytest.raises(ValueError, match="box"):
            frame_of(box, picture, ALL, True)
    # upright it would reach into the picture, turned it does not
    assert frame_of([-20, -20, 22], picture, ALL, True).box == (-20, -20, 22, 22)
    with pytest.raises(ValueError, match="outside"):
        frame_of([-20, -20, 22, 45], picture, ALL, True)
    missing = ALL.clone()
    missing[:30] = False
    with pytest.raises(ValueError, match="nothing of it is known"):
        frame_of([10, 0, 20, 15], picture, missing, True)


def test_which_face_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    large, small, unsure = Face(4, 4, 30, 0.0, 3), Face(50, 30, 20, 15.0, 2), Face(2, 40, 18, 0.0, 1)
    seen = [large, small, unsure]
    monkeypatch.setattr(frame, "find_faces", lambda pixels: list(seen))
    picture, scratched = waves(60, 80), ALL.clone()
    scratched[38:42, 55:70] = False
    square = Frame((10, 0, 60, 60))
    assert frame_of("auto", picture, ALL, True) == frame_of("face", picture, ALL, True) == Frame((4, 4, 30, 30))
    assert frame_of("auto", picture, ALL, False) == square, "the prior knows no faces"
    assert frame_of("auto", picture, scratched, True) == Frame((50, 30, 20, 20), 15.0), "the one with the hole"
    seen[:] = [large]
    assert frame_of("auto", picture, scratched, True) == square, "the hole is elsewhere"
    assert frame_of("face", picture, scratched, True) == Frame((4, 4, 30, 30))
    seen[:] = [unsure]
    assert frame_of("auto", picture, ALL, True) == square
    assert frame_of("face", picture, ALL, True) == Frame((2, 40, 18, 18))
    seen[:] = [Face(9, 1, 57, 0.0, 3)]
    assert frame_of("auto", picture, ALL, True) == square, "framed as it is, it is not resampled"
    most = torch.rand(60, 80, generator=torch.Generator().manual_seed(0)) > 0.95
    seen[:] = [large]
    assert frame_of("auto", picture, most, True).box[2] == 60, "too little of it is there"
    seen[:] = []
    assert frame_of("auto", picture, ALL, True) == square
    with pytest.raises(NoFaceError, match="none was found"):
        frame_of("face", picture, ALL, True)


@pytest.mark.parametrize("tilt", [0, 25, -20])
def test_faces_are_found_in_a_photograph(tilt: int) -> None:
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    photo = Image.fromarray(data.astronaut())
    face, *_ = find_faces(np.asarray(photo.rotate(-tilt, Image.Resampling.BICUBIC)))
    # between the eyes at about (210, 108) and (247, 108), and the mouth at about (228, 150)
    x, y = turn(228 - 256.0, 122 - 256.0, tilt)
    assert face.left + face.side / 2 == pytest.approx(256 + x, abs=15)
    assert face.top + face.side / 2 == pytest.approx(256 + y, abs=15)
    assert 80 < face.side < 160 and face.support >= 2
    assert face.angle == pytest.approx(tilt, abs=8)


def test_the_size_of_the_photograph_does_not_matter() -> None:
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    one, *_ = find_faces(data.astronaut())
    twice, *_ = find_faces(np.asarray(Image.fromarray(data.astronaut()).resize((1024, 1024))))
    assert np.allclose(np.array([twice.left, twice.top, twice.side]) / 2, (one.left, one.top, one.side), atol=12)
    assert find_faces(np.full((128, 128, 3), 90, np.uint8)) == []
