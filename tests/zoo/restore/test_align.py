"""Frames of faces brought to where the face models expect them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from torch import Tensor

import zoo
from zoo.models.face_frame import FaceFrame, between
from zoo.restore import align, frame
from zoo.restore.align import aligned, framing_network, hidden_face, seen_faces
from zoo.restore.face import Face
from zoo.restore.frame import NoFaceError, frame_of

data = pytest.importorskip("skimage.data")
HOLES = {"nose": (205, 90, 245, 130), "mouth": (200, 110, 250, 160), "eyes": (190, 80, 270, 115)}


class Reader(FaceFrame):
    """Reads off a picture, whose colours say where they are, how far a frame is from the wanted one."""

    def __init__(self, wanted: Face, height: int, width: int, scale: float = 1.0) -> None:
        super().__init__(size=16, widths=(4, 4), hidden=4)
        self.wanted, self.extent, self.scale = wanted, (width, height), scale

    def forward(self, views: Tensor) -> Tensor:
        width, height = self.extent
        x, y = width * views[:, 0], height * views[:, 1]
        step = self.seen / self.size
        right = (x[..., -1] - x[..., 0]).mean(-1) / (15 * step), (y[..., -1] - y[..., 0]).mean(-1) / (15 * step)
        frames = torch.stack([x.mean((1, 2)), y.mean((1, 2)), torch.hypot(*right), torch.atan2(right[1], right[0])], -1)
        face = self.wanted
        row = [face.left + face.side / 2, face.top + face.side / 2, face.side, math.radians(face.angle)]
        offsets = between(frames, torch.tensor([row]).expand(len(frames), -1))
        return torch.stack([self.scale * offsets, torch.full_like(offsets, -6.0)], 1)


def places(height: int, width: int) -> Tensor:
    """(3, height, width): to the right, down, and nothing."""
    x, y = (torch.arange(width) + 0.5) / width, (torch.arange(height) + 0.5) / height
    return torch.stack([x.expand(height, -1), y[:, None].expand(-1, width), torch.zeros(height, width)])


@settings(max_examples=25, deadline=None)
@given(
    st.floats(20, 300),
    st.floats(-0.1, 0.1),
    st.floats(-0.1, 0.1),
    st.floats(-0.2, 0.2),
    st.floats(-30, 30),
    st.floats(-9, 9),
)
def test_the_way_into_the_network_and_back(
    side: float, right: float, down: float, growth: float, angle: float, turn: float
) -> None:
    start = Face(350 - side / 2, 300 - side / 2, side, angle, 3)
    grown = side * math.exp(growth)
    x, y = 350 + right * side, 300 + down * side
    wanted = Face(x - grown / 2, y - grown / 2, grown, angle + turn, 3)
    found, off = aligned(start, places(600, 700), torch.ones(600, 700, dtype=torch.bool), Reader(wanted, 600, 700))
    assert off == pytest.approx(math.exp(-6))
    for name in ("left", "top", "side"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), abs=0.01 * side)
    assert found.angle == pytest.approx(wanted.angle, abs=0.5) and found.support == 3


def test_what_moves_too_far_stays() -> None:
    start, picture, known = Face(100, 100, 40, 5.0, 2), places(300, 300), torch.ones(300, 300, dtype=torch.bool)
    for wanted in (Face(120, 100, 40, 5.0, 2), Face(90, 90, 60 * 1.2, 5.0, 2)):
        assert aligned(start, picture, known, Reader(wanted, 300, 300)) == (start, math.inf)


def framed(face: Face, picture: Tensor, known: Tensor, network: FaceFrame) -> Face:
    return aligned(face, picture, known, network)[0]


def photograph(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(pixels[..., :3])).permute(2, 0, 1).float() / 255


def with_hole(size: tuple[int, int], ellipse: tuple[float, ...] | None) -> Tensor:
    mask = Image.new("L", size, 255)
    if ellipse is not None:
        ImageDraw.Draw(mask).ellipse(ellipse, fill=0)
    return torch.from_numpy(np.array(mask)) > 128


def apart(first: Face, second: Face) -> tuple[float, float, float]:
    """Middles in sides, sizes as a logarithm, angles in degrees."""
    x, y = (getattr(first, name) + first.side / 2 - getattr(second, name) - second.side / 2 for name in ("left", "top"))
    return math.hypot(x, y) / first.side, abs(math.log(first.side / second.side)), abs(first.angle - second.angle)


@pytest.fixture(scope="module")
def network() -> FaceFrame:
    found = framing_network()
    assert found is not None and found is not zoo.load("dncnn.sigma25")
    return found


def test_a_photograph_of_a_person(network: FaceFrame) -> None:
    picture = photograph(data.astronaut())
    whole = with_hole((512, 512), None)
    best = framed(Face(170, 68, 108, 4.0, 3), picture, whole, network)
    for start in (Face(158, 60, 120, 0.0, 3), Face(180, 78, 96, 10.0, 3), Face(175, 60, 108, -6.0, 3)):
        for name, ellipse in (("none", None), ("nose", HOLES["nose"]), ("mouth", HOLES["mouth"])):
            place, size, angle = apart(best, framed(start, picture, with_hole((512, 512), ellipse), network))
            most = (0.02, 0.03, 2.0) if ellipse is None else (0.04, 0.08, 4.0)
            assert place < most[0] and size < most[1] and angle < most[2], (start, name, place, size, angle)


def test_a_turned_and_a_smaller_photograph(network: FaceFrame) -> None:
    pixels = data.astronaut()
    whole = with_hole((512, 512), None)
    best = framed(Face(170, 68, 108, 4.0, 3), photograph(pixels), whole, network)
    half = np.array(Image.fromarray(pixels).resize((256, 256), Image.Resampling.BOX))
    small = framed(Face(88, 36, 52, 0.0, 3), photograph(half), with_hole((256, 256), None), network)
    twice = Face(2 * small.left, 2 * small.top, 2 * small.side, small.angle, 3)
    assert apart(best, twice) < (0.02, 1.0, 360.0) and apart(best, twice)[1] < 0.03
    turned = np.array(Image.fromarray(pixels).rotate(-15, Image.Resampling.BICUBIC, center=(224, 122)))
    found = framed(Face(165, 70, 112, 15.0, 3), photograph(turned), whole, network)
    assert found.angle == pytest.approx(best.angle + 15, abs=2)


def test_faces_under_holes(network: FaceFrame) -> None:
    picture = photograph(data.astronaut())
    best = framed(Face(170, 68, 108, 4.0, 3), picture, with_hole((512, 512), None), network)
    for ellipse in HOLES.values():
        found = hidden_face(picture, with_hole((512, 512), ellipse), network)
        assert found is not None
        place, size, angle = apart(best, found)
        assert place < 0.05 and size < 0.1 and angle < 5
    for hole in ((60, 380, 130, 450), (20, 100, 100, 160)):  # the glove, the flag
        assert hidden_face(picture, with_hole((512, 512), hole), network) is None
    for name, hole in (
        ("coffee", (200, 150, 300, 220)),
        ("rocket", (300, 200, 360, 260)),
        ("chelsea", (300, 150, 400, 220)),
    ):
        pixels = getattr(data, name)()
        known = with_hole((pixels.shape[1], pixels.shape[0]), hole)
        assert hidden_face(photograph(pixels), known, network) is None, name
    assert hidden_face(picture, with_hole((512, 512), None), network) is None
    assert hidden_face(picture, with_hole((512, 512), (20, 20, 500, 500)), network) is None, "too much is missing"


def test_faces_without_a_hole(network: FaceFrame) -> None:
    pixels = data.astronaut()
    best = framed(Face(170, 68, 108, 4.0, 3), photograph(pixels), with_hole((512, 512), None), network)
    large = np.array(Image.fromarray(pixels).resize((1800, 1800)))
    for name, scale in (("as it is", 1.0), ("large", 1800 / 512)):
        picture = photograph(pixels if scale == 1 else large)
        first = seen_faces(picture, torch.ones(picture.shape[1:], dtype=torch.bool), network)[0]
        first = Face(first.left / scale, first.top / scale, first.side / scale, first.angle, 0)
        place, size, angle = apart(best, first)
        assert place < 0.03 and size < 0.05 and angle < 2, name
    for name in ("coffee", "rocket", "chelsea"):
        picture = photograph(getattr(data, name)())
        assert not seen_faces(picture, torch.ones(picture.shape[1:], dtype=torch.bool), network), name
    grey = photograph(pixels).mean(0, keepdim=True)
    assert frame_of("auto", grey, torch.ones(512, 512, dtype=torch.bool), True).box[2] < 130


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.booleans())
def test_pictures_of_any_size(height: int, width: int, hole: bool) -> None:
    picture = torch.rand(3, height, width, generator=torch.Generator().manual_seed(height + 100 * width))
    known = torch.ones(height, width, dtype=torch.bool)
    known[height // 2, width // 2] = not hole or height * width == 1
    assert frame_of("auto", picture, known, True).box[2] == min(height, width)


def test_which_way_a_face_is_found(network: FaceFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    picture, cascades = photograph(data.astronaut()), []

    def none_seen(pixels: np.ndarray) -> list[Face]:
        cascades.append(pixels.shape)
        return []

    monkeypatch.setattr(frame, "find_faces", none_seen)
    eyes, flag, whole = (with_hole((512, 512), hole) for hole in (HOLES["eyes"], (20, 100, 100, 160), None))
    for box, known in (("auto", eyes), ("face", eyes), ("auto", whole), ("face", whole)):
        assert 90 < frame_of(box, picture, known, True).box[2] < 125
    assert not cascades, "the network alone"
    assert frame_of("auto", picture, flag, True).box[2] == 512 and cascades, "the hole is in no face"
    assert 90 < frame_of("face", picture, flag, True).box[2] < 125
    with pytest.raises(NoFaceError):
        frame_of("face", photograph(data.coffee()), torch.ones(400, 600, dtype=torch.bool), True)


def test_without_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(align.registry, "list_models", lambda: [])
    assert framing_network() is None
    picture, known = photograph(data.astronaut()), with_hole((512, 512), HOLES["nose"])
    left, top, side, _ = frame_of("auto", picture, known, True).box
    assert abs(left - 170) < 25 and abs(top - 70) < 25 and 80 < side < 140
