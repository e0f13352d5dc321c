"""Frames of faces brought to where the face models expect them: what a cascade finds is a few pixels off."""

from __future__ import annotations

import dataclasses
import itertools
import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .. import registry
from ..loading import load
from ..models.face_frame import FaceFrame, between
from .face import Face
from .turned import cut_turned

NETWORK = "face_frame.faces128"
ROUNDS = 4
AROUND = 1.0  # sides of a face, beyond each of its own, that are looked at
ENOUGH = 128  # pixels of a face's side
LEAST = 16  # the same, for it to be looked for
LARGEST = 2.0  # side of a face in that of its picture
FAR, GROWN = 0.35, 0.5  # sides that a face may move and the logarithm by which it may grow; else it was none, and stays

# A search about a hole starts with frames of these sides, in those of the hole, moved by these parts of their own.
SIDES = (1.15, 1.6, 2.2, 3.0)
PLACES = (-0.25, 0.0, 0.25)
WIDE = 0.6  # share of the picture's shorter side that a hole in a face may have
SURE = 0.011  # sides by which the network thinks itself off at most, where there is a face

# One in all of a picture starts with frames of these sides, in the picture's shorter one, so far apart in their own.
SHARES = (0.25, 0.4, 0.62, 0.95)
APART = 0.4
SURER = 0.0075  # as SURE, where no hole says where to look
ELONGATED = 4.0  # ratio of the sides from which on nothing is looked for


def framing_network() -> FaceFrame | None:
    """The released network; None if it is not there."""
    if NETWORK not in registry.list_models():
        return None
    network = load(NETWORK)
    assert isinstance(network, FaceFrame)
    return network


@torch.no_grad()
def aligned(face: Face, picture: Tensor, known: Tensor, network: FaceFrame) -> tuple[Face, float]:
    """A face in the framing of the face models, as nearly as a network tells.

    Args:
        face: As `find_faces` finds it.
        picture: (C, h, w) in [0, 1].
        known: bool (h, w); what is not known does not matter.
        network: As `framing_network` gives it.

    Returns:
        The face, and by how many of its sides the network thinks its place to be off: 0.006 where it sees it well,
        twice that and more where it has taken something else for a face.
    """
    if not 1 <= face.side <= LARGEST * max(known.shape):
        return face, math.inf
    wide = (1 + 2 * AROUND) * face.side
    box = face.left - AROUND * face.side, face.top - AROUND * face.side, wide, wide
    area = _Area(picture, known, box, face.side)
    found = area.frames([face])
    frame, spread = area.moved(found, network)
    right, down, growth, _ = between(found, frame)[0].tolist()
    if max(abs(right), abs(down)) > FAR or abs(growth) > GROWN:
        return face, math.inf
    return dataclasses.replace(area.face(frame[0]), support=face.support), float(spread[0])


@torch.no_grad()
def hidden_face(picture: Tensor, known: Tensor, network: FaceFrame) -> Face | None:
    """A face that a hole hides from the cascades: of many searches about the hole, the end that is the surest.

    Args:
        picture, known, network: As in `aligned`.

    Returns:
        None: there is no hole, too large a one, or none of the ends is sure.
    """
    rows, columns = (~known).any(1).nonzero()[:, 0], (~known).any(0).nonzero()[:, 0]
    if not len(rows):
        return None
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    wide = max(bottom - top, right - left)
    if wide > WIDE * min(known.shape):
        return None
    starts = []
    for side, across, along in itertools.product(SIDES, PLACES, PLACES):
        x, y = (left + right) / 2 + across * side * wide, (top + bottom) / 2 + along * side * wide
        starts.append(_about(x, y, side * wide))
    reach = (1 + 2 * PLACES[-1]) * SIDES[-1] * wide
    box = (left + right - reach) / 2, (top + bottom - reach) / 2, reach, reach
    area = _Area(picture, known, box, SIDES[1] * wide)
    found, off = aligned(area.surest(starts, network), picture, known, network)
    return found if off < SURE and found.side >= LEAST else None


@torch.no_grad()
def seen_faces(picture: Tensor, known: Tensor, network: FaceFrame) -> list[Face]:
    """Faces anywhere in a picture: of the searches at each size, the end that is the surest.

    Args:
        picture, known, network: As in `aligned`.

    Returns:
        The largest first.
    """
    if max(known.shape) > ELONGATED * min(known.shape):
        return []
    scale = min(1.0, ENOUGH / (SHARES[0] * min(known.shape)))
    if scale < 1:
        size = (max(1, round(scale * known.shape[0])), max(1, round(scale * known.shape[1])))
        here = known[None].to(picture)
        both = F.interpolate(torch.cat([picture * here, here])[None], size, mode="area")[0]
        picture, known = both[:-1] / both[-1:].clamp(min=1e-3), both[-1] > 0.99
    height, width = known.shape
    found = []
    for share in SHARES:
        side = share * min(height, width)
        if side < LEAST:
            continue
        area = _Area(picture, known, (0, 0, width, height), side)
        starts = [_about(x, y, side) for x in _places(width, side) for y in _places(height, side)]
        face, off = aligned(area.surest(starts, network), picture, known, network)
        if off < SURER:
            found.append(Face(face.left / scale, face.top / scale, face.side / scale, face.angle, 0))
    return sorted(found, key=lambda face: face.side, reverse=True)


def _about(x: float, y: float, side: float) -> Face:
    return Face(x - side / 2, y - side / 2, side, 0.0, 0)


def _places(length: float, side: float) -> list[float]:
    """Middles of squares along a side of a picture."""
    first = min(APART * side, length / 2)
    count = 1 + math.ceil((length - 2 * first) / (APART * side))
    return [first + (length - 2 * first) * number / max(1, count - 1) for number in range(count)]


class _Area:
    """A part of a picture in which frames are moved, small enough for faces of a given side.

    Args:
        picture, known: As in `aligned`.
        box: Left, top, width and height in pixels; it may reach beyond the picture.
        side: Of the faces in it, pixels.
    """

    def __init__(self, picture: Tensor, known: Tensor, box: tuple[float, ...], side: float) -> None:
        self.left, self.top = round(box[0]), round(box[1])
        width, height = (max(2, round(value)) for value in box[2:])
        here = known[None].to(picture)
        both = torch.cat([picture.expand(3, -1, -1) * here, here])[None]
        seen = cut_turned(both, (self.left, self.top, width, height), 0.0)
        self.scale = min(1.0, ENOUGH / side)
        if self.scale < 1:
            size = (max(2, round(self.scale * height)), max(2, round(self.scale * width)))
            seen = F.interpolate(seen, size, mode="bilinear", antialias=True, align_corners=False)
        self.seen = torch.cat([seen[:, :3] / seen[:, 3:].clamp(min=1e-3), seen[:, 3:]], 1)

    def frames(self, faces: list[Face]) -> Tensor:
        """(B, 4) of faces."""
        rows = []
        for face in faces:
            x, y = face.left + face.side / 2 - self.left, face.top + face.side / 2 - self.top
            rows.append([self.scale * x, self.scale * y, self.scale * face.side, math.radians(face.angle)])
        return self.seen.new_tensor(rows)

    def face(self, frame: Tensor) -> Face:
        """Of a frame (4,)."""
        x, y, side, angle = frame.tolist()
        x, y, side = x / self.scale + self.left, y / self.scale + self.top, side / self.scale
        return Face(x - side / 2, y - side / 2, side, math.degrees(angle), 0)

    def surest(self, starts: list[Face], network: FaceFrame) -> Face:
        """The end that the network is surest of, of searches from some starts."""
        frames, off = self.moved(self.frames(starts), network)
        return self.face(frames[off.nan_to_num(math.inf).argmin()])

    def moved(self, frames: Tensor, network: FaceFrame) -> tuple[Tensor, Tensor]:
        """Frames (B, 4) after all rounds, and as for `aligned` how far off their places may be (B,)."""
        frames, spread = network.moved(self.seen, frames, ROUNDS)
        return frames, spread[:, :2].exp().mean(1)
