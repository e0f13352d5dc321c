"""Where the face is in a photograph, in the framing that the face models know."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from pathlib import Path

import numpy as np

# What the cascades call a face is, in the pictures of 128 px that the models were trained on, a square of 1.01 times
# their side, 0.09 of it above their upper edge: the median over 58 of 60 validation pictures.
SCALE = 1.01
ABOVE = 0.09
SMALLEST = 32  # pixels


class NoFaceError(ValueError):
    """No face was found, or nothing is installed that finds faces."""


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
        img=pixels, scale_factor=1.1, step_ratio=1, min_size=(SMALLEST, SMALLEST), max_size=(side, side)
    )
    return [(float(box["c"]), float(box["r"]), float(box["width"])) for box in found]


def find_face(pixels: np.ndarray, longest: int = 256) -> tuple[float, float, float]:
    """The most prominent face of a photograph, as a square in the framing of the face models.

    Args:
        pixels: uint8 (H, W, 3).
        longest: The photograph is searched at this size of its longer side, if it is larger.

    Returns:
        Left, top and side of the square, in pixels of the photograph; it may reach beyond it.

    Raises:
        NoFaceError: none was found, or nothing is installed that finds faces.
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
    padded = np.pad(small, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    boxes = _opencv_boxes(padded)
    if boxes is None:
        boxes = _skimage_boxes(padded)
    if boxes is None:
        raise NoFaceError("face: nothing is installed that finds faces; pip install scikit-image, or give the box")
    inside = [
        (left, top, side)
        for left, top, side in boxes
        if 0 <= left + side / 2 - margin < small.shape[1] and 0 <= top + side / 2 - margin < small.shape[0]
    ]
    if not inside:
        raise NoFaceError("face: none was found in the picture; give the box, or restore the whole picture")
    left, top, side = _most_prominent(inside)
    side /= SCALE
    return (left - margin) / scale, (top - margin + ABOVE * side) / scale, side / scale


def _most_prominent(boxes: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """The box that is largest and most supported by others like it, averaged with these."""
    rows = np.array(boxes)
    centres = rows[:, :2] + rows[:, 2:] / 2
    apart = np.abs(centres[:, None] - centres[None]).max(2)
    alike = (apart < 0.25 * rows[:, None, 2]) & (np.abs(np.log(rows[:, None, 2] / rows[None, :, 2])) < 0.4)
    best = int(np.argmax(rows[:, 2] * alike.sum(1)))
    left, top, side = rows[alike[best]].mean(0)
    return float(left), float(top), float(side)
