"""What a prior of a fixed size sees of a picture: a square, upright or turned."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..models.face_frame import FaceFrame
from .align import NETWORK, aligned, framing_network, hidden_face, seen_faces
from .degradation import fill
from .face import Face, find_faces
from .turned import covered, cut_turned

Box = tuple[int, int, int, int]
"""Left, top, width, height in pixels of the evidence; it may reach beyond the picture."""
SURE = 2  # angles at which a face is seen, for it to be surely one where no hole says that there is something
MOST = 0.5  # share of a face that may be missing; where it is more, one that seems to be there may be none
EMPTY = 0.3  # share of the picture from which on what is smoothly filled looks like faces by itself
FRAMED, TILTED = 0.5, 15.0  # overlap and degrees at which a picture is one that was framed as the prior knows it


class NoFaceError(ValueError):
    """No face was found."""


@dataclass(frozen=True)
class Frame:
    """A rectangle."""

    box: Box
    """Before it is turned."""
    angle: float = 0.0
    """By which it is turned clockwise about its middle, degrees."""


def frame_of(box: str | Sequence[float], evidence: Tensor, known: Tensor, faces: bool) -> Frame:
    """The frame that a user asks for.

    Args:
        box: "square": the largest square of the picture, over the holes if that is possible. "face": the most prominent
            face, first of those that the holes touch. "auto": the same if the prior knows faces and there are no
            holes, or they touch a face and are a small part of it and of the picture; and the largest square else. Or
            left, top and side in pixels, and perhaps the angle in degrees by which it is turned clockwise.
        evidence: (C, h, w) in [0, 1].
        known: bool (h, w).
        faces: Whether the prior knows faces.

    Raises:
        ValueError: none of these, or a frame with nothing known in it; `NoFaceError` where "face" finds none.
    """
    height, width = known.shape
    if isinstance(box, str):
        if box not in ("square", "face", "auto"):
            raise ValueError(f"box: 'auto', 'square', 'face', or left, top and side, got {box!r}")
        face = _face(box, evidence, known, faces)
        if face is None:
            return Frame(square_around(known))
        left, top, side, angle = face.left, face.top, face.side, face.angle
    else:
        if len(box) not in (3, 4) or not all(math.isfinite(value) for value in box):
            raise ValueError(f"box: left, top and side, and perhaps an angle, got {box!r}")
        left, top, side, angle = (float(value) for value in (*box, 0.0)[:4])
    made = Frame((round(left), round(top), max(1, round(side)), max(1, round(side))), angle)
    seen = covered(made.box, angle, (height, width))
    if made.box[2] < 2 or not seen.any():
        raise ValueError(f"box: lies outside the picture of {width}×{height}, got {box!r}")
    if not (known & seen).any():
        raise ValueError("mask: covers all that the model sees, so nothing of it is known")
    return made


def cut(image: Tensor, frame: Frame) -> Tensor:
    """What a frame shows of an image (B, C, H, W), upright: (B, C, height, width), 0 beyond the image."""
    return cut_turned(image, frame.box, frame.angle)


def _face(box: str, evidence: Tensor, known: Tensor, faces: bool) -> Face | None:
    """The face that is asked for, framed as the face models expect it; None: the square.

    Raises:
        NoFaceError: "face", and none was found.
    """
    if box == "square" or (box == "auto" and (not faces or float(known.float().mean()) <= 1 - EMPTY)):
        return None
    network = framing_network()
    ways: list[Callable[[], Face | None]] = [lambda: _cascaded_face(box, evidence, known, network)]
    if network is not None:  # it takes a tenth of the time of a cascade
        ways.insert(0, lambda: _framed_face(evidence, known, network))
        if box == "face" and not known.all():
            ways.append(lambda: next(iter(seen_faces(evidence, known, network)), None))
    best = next((face for way in ways if (face := way()) is not None), None)
    if best is None and box == "face":
        raise NoFaceError(
            "face: none was found in the picture; give the box, or restore the whole picture. Without "
            f"{NETWORK} they are found by OpenCV or scikit-image, where these are installed"
        )
    return None if best is None or (box == "auto" and _framed(best, square_around(known))) else best


def _framed_face(evidence: Tensor, known: Tensor, network: FaceFrame) -> Face | None:
    """The face that the framing network sees, under the hole if there is one."""
    if known.all():
        return next(iter(seen_faces(evidence, known, network)), None)
    hidden = hidden_face(evidence, known, network)
    return hidden if hidden is not None and 0 < _missing(hidden, known) < MOST else None


def _cascaded_face(box: str, evidence: Tensor, known: Tensor, network: FaceFrame | None) -> Face | None:
    """The face that a cascade sees, first of those that holes touch; for "auto" surely one."""
    for face, missing in _found(evidence, known):
        if 0 < missing < MOST or box == "face" or (known.all() and face.support >= SURE):
            return face if network is None else aligned(face, evidence, known, network)[0]
    return None


def _found(evidence: Tensor, known: Tensor) -> list[tuple[Face, float]]:
    """Faces, and which share of each is missing; those that holes touch come first, then the most prominent."""
    found = _faces(fill(evidence[None], known[None, None].float())[0])
    shares = [_missing(face, known) for face in found]
    if not known.all() and not any(shares):
        # eyes under a hole are better seen as a dark bar than as smooth skin
        more = _faces(torch.where(known, evidence, evidence[:, known].mean()))
        found, shares = found + more, shares + [_missing(face, known) for face in more]
    return sorted(zip(found, shares, strict=True), key=lambda one: one[1] == 0)


def _faces(picture: Tensor) -> list[Face]:
    """Faces of a picture (C, h, w) in [0, 1]."""
    pixels = picture.expand(3, -1, -1).mul(255).round().byte().permute(1, 2, 0).numpy()
    return find_faces(np.ascontiguousarray(pixels))


def _framed(face: Face, square: Box) -> bool:
    """Whether a face and a square are about the same, by the area that both cover over that which either does."""
    overlap = 1.0
    for first, second in ((face.left, square[0]), (face.top, square[1])):
        overlap *= max(0.0, min(first + face.side, second + square[2]) - max(first, second))
    return abs(face.angle) < TILTED and overlap > FRAMED * (face.side**2 + square[2] ** 2 - overlap)


def _missing(face: Face, known: Tensor) -> float:
    """Which share of a face is missing, of what of it is in the picture."""
    square = (round(face.left), round(face.top), round(face.side), round(face.side))
    seen = known[covered(square, face.angle, (known.shape[0], known.shape[1]))]
    return 1 - float(seen.float().mean()) if len(seen) else 1.0


def square_around(known: Tensor) -> Box:
    """The largest square of a picture, as near to its middle as lets it cover the holes.

    Args:
        known: bool (h, w).
    """
    height, width = known.shape
    side = min(height, width)

    def place(length: int, missing: Tensor) -> int:
        middle = (length - side) // 2
        where = missing.nonzero()[:, 0]
        if not len(where) or length == side:
            return middle
        first, last = int(where[0]), int(where[-1]) + 1
        if last - first > side:
            return min(max(0, (first + last - side) // 2), length - side)
        return min(max(min(middle, first), last - side, 0), length - side)

    missing = ~known
    return place(width, missing.any(0)), place(height, missing.any(1)), side, side
