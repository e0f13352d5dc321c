"""Where the face is in a photograph, in the framing that the face models know."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from .turned import turn

# What the cascades call a face is, in the pictures of 128 px that the models were trained on, a square of 1.01 times
# their side, 0.09 of it above their upper edge: the median over 58 of 60 validation pictures.
SCALE = 1.01
ABOVE = 0.09
SMALLEST = 32  # pixels
ANGLES = (-30.0, -20.0, -10.0, 0.0, 10.0, 20.0, 30.0)
"""By which the photograph is turned, degrees."""
UPRIGHT = 8.0  # degrees: what is tilted less is taken for upright, the angles being no finer


@dataclass(frozen=True)
class Face:
    """A square in the framing of the face models."""

    left: float
    top: float
    side: float
    """Pixels, before the square is turned; it may reach beyond the photograph."""
    angle: float
    """By which it is turned clockwise about its middle, degrees."""
    support: int
    """At how many of `ANGLES` it was seen."""


@lru_cache(maxsize=1)
def _cascade_file() -> Path | None:
    """scikit-image's frontal face cascade, without importing the package; None if it is not there."""
    spec = importlib.util.find_spec("skimage")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "data" / "lbpcascade_frontalface_opencv.xml"
    return path if path.is_file() else None


def _opencv_boxes(pixels: np.ndarray) -> list[tuple[float, float, float]] | None:
    """Squares that OpenCV's Haar cascade finds; None where OpenCV has none, as version 5."""
    if importlib.util.find_spec("cv2") is None:
        return None
    import cv2

    file = Path(getattr(getattr(cv2, "data", None), "haarcascades", "")) / "haarcascade_frontalface_default.xml"
    if not hasattr(cv2, "CascadeClassifier") or not file.is_file():
        return None
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    found = cv2.CascadeClassifier(str(file)).detectMultiScale(grey, 1.1, 4, minSize=(SMALLEST, SMALLEST))
    return [(float(x), float(y), float(w)) for x, y, w, _ in found]


def _skimage_boxes(pixels: np.ndarray) -> list[tuple[float, float, float]] | None:
    """Squares that the local-binary-pattern cascade of scikit-image finds; None where it is not installed."""
    file = _cascade_file()
    if file is None:
        return None
    from skimage.feature import Cascade

    side = min(pixels.shape[:2])
    found = Cascade(str(file)).detect_multi_scale(
        img=pixels, scale_factor=1.1, step_ratio=1.5, min_size=(SMALLEST, SMALLEST), max_size=(side, side)
    )
    return [(float(box["c"]), float(box["r"]), float(box["width"])) for box in found]


def find_faces(pixels: np.ndarray, longest: int = 256) -> list[Face]:
    """The faces of a photograph, as squares in the framing of the face models.

    Cascades know upright faces, so they look at the photograph turned by several angles. What is found at one of them
    only may be none: of 24 photographs two had such a thing, and none had anything that was found twice, while of 24
    faces put into them, tilted by up to 35°, 16 were found twice or more and 3 once.

    Args:
        pixels: uint8 (H, W, 3).
        longest: The photograph is searched at this size of its longer side, if it is larger.

    Returns:
        The most prominent first; none where nothing looks like one, or nothing is installed that finds faces.
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    scale = min(1.0, longest / max(height, width))
    small = pixels
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    # a face that fills its picture is found only with something around it
    margin = min(small.shape[:2]) // 4
    padded = Image.fromarray(np.pad(small, ((margin, margin), (margin, margin), (0, 0)), mode="reflect"))
    found: list[tuple[float, float, float, float]] = []  # middle, from that of the photograph, side and angle
    for angle in ANGLES:
        # anticlockwise: what is tilted clockwise by the angle is upright then
        turned = np.asarray(padded.rotate(angle, Image.Resampling.BILINEAR))
        boxes = _opencv_boxes(turned)
        if boxes is None:
            boxes = _skimage_boxes(turned)
        for left, top, side in boxes or []:
            middle = left + side / 2 - padded.width / 2, top + side / 2 - padded.height / 2
            right, down = turn(*middle, angle)
            if abs(right) < small.shape[1] / 2 and abs(down) < small.shape[0] / 2:  # and not in the margin
                found.append((float(right), float(down), side, angle))
    h, w = small.shape[:2]
    return [
        Face((one.left + w / 2) / scale, (one.top + h / 2) / scale, one.side / scale, one.angle, one.support)
        for one in _grouped(found)
    ]


def _grouped(found: list[tuple[float, float, float, float]]) -> list[Face]:
    """Faces from what was found at some angle, those that are larger and more supported first."""
    faces: list[Face] = []
    rest = np.array(found).reshape(-1, 4)
    while len(rest):
        apart = np.abs(rest[:, None, :2] - rest[None, :, :2]).max(2)
        sizes = np.abs(np.log(rest[:, None, 2] / rest[None, :, 2]))
        alike = (apart < 0.25 * rest[:, None, 2]) & (sizes < 0.4)
        group = alike[int(np.argmax(rest[:, 2] * alike.sum(1)))]
        members = rest[group]
        rest = rest[~group]
        angle = float(members[:, 3].mean())
        angle = 0.0 if abs(angle) < UPRIGHT else angle
        # those that saw it most nearly upright know best where it is
        best = members[np.abs(members[:, 3] - angle) <= max(UPRIGHT, np.abs(members[:, 3] - angle).min())]
        x, y, side, _ = best.mean(0)
        framed = side / SCALE
        right, down = turn((framed - side) / 2, (framed - side) / 2 + ABOVE * framed, angle)
        left, top = x + right - framed / 2, y + down - framed / 2
        faces.append(Face(float(left), float(top), float(framed), angle, len({*members[:, 3]})))
    return sorted(faces, key=lambda face: face.side * face.support, reverse=True)
