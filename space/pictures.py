"""From an uploaded file to the picture that `zoo` works on, and from a result to a lossless PNG."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import delete_folder, new_folder, result_path

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 24_000_000
"""Largest picture that is taken: 6000 x 4000."""
SSIM_WINDOW = 11
NAMES = "PNG, JPEG, WebP, TIFF, BMP and GIF"


class Forgotten(Exception):
    """The visitor has taken the picture away: whoever still works on it can stop."""


@dataclass(frozen=True)
class Noisy:
    """What is denoised, and how far it is from the picture it was made from."""

    image: Image
    clean: Image
    path: str
    """`image` as PNG."""
    sigma: float
    """Noise that was added, standard deviation on the 0..255 scale; 0 for none."""

    @cached_property
    def ssim(self) -> float | None:
        """Structural similarity to the clean picture; None where no noise was added, or the window does not fit."""
        from zoo.images import to_picture
        from zoo.metrics import ssim

        if self.sigma == 0 or min(self.image.size) < SSIM_WINDOW:
            return None
        return float(ssim(to_picture(self.image).tensor, to_picture(self.clean).tensor)[0])


@dataclass(frozen=True)
class Picture:
    """A visitor's picture and the folder of its results."""

    image: Image
    """Upright, in a mode that PNG can hold: L, LA, RGB, RGBA, I or I;16."""
    stem: str
    """The file's name without its ending, in characters that are safe in a file name."""
    sigma: float
    """Estimated noise level, standard deviation on the 0..255 scale."""
    folder: Path
    _noisy: dict[tuple[float, int], Noisy] = field(default_factory=dict, compare=False)
    """The last noisy version: moving λ asks for the same one again and again."""

    @property
    def longer_side(self) -> int:
        """The larger of height and width, in pixels."""
        return max(self.image.size)

    def save(self, image: Image, what: str) -> str:
        """Writes a result as PNG, named after the picture and `what`, and returns its path.

        Raises:
            Forgotten: `forget` was called.
        """
        from zoo.images import write_png

        if not self.folder.exists():
            raise Forgotten
        path = result_path(self.folder, f"{self.stem}-{what}.png")
        write_png(path, image)
        return str(path)

    def noisy(self, sigma: float, seed: int) -> Noisy:
        """The picture with Gaussian noise, or as it is for sigma 0.

        Args:
            sigma: Standard deviation on the 0..255 scale.
            seed: Of the noise.
        """
        from zoo.noise import add_noise

        known = self._noisy.get((sigma, seed))
        if known is not None and Path(known.path).exists():
            return known
        image = add_noise(self.image, sigma, seed) if sigma > 0 else self.image
        made = Noisy(image, self.image, self.save(image, "noisy" if sigma > 0 else "input"), sigma)
        self._noisy.clear()
        self._noisy[sigma, seed] = made
        return made


def open_picture(payload: Mapping[str, Any] | None) -> Picture:
    """Reads what an image component sends: the event must have `preprocess=False`.

    Gradio's own reading would turn the picture to 8 bits and lose its transparency, and fails on a wrong file with a
    traceback. It has checked already that the file is one that this visitor uploaded.

    Args:
        payload: Gradio's file record, with `path` and `orig_name`.

    Returns:
        The picture.

    Raises:
        ValueError: nothing was sent, or a file that is no picture, is damaged, is too large or has float pixels.
    """
    from PIL import Image

    record = payload or {}
    if not record.get("path"):
        raise ValueError("image: no picture was given; upload one or choose an example")
    path = Path(str(record["path"]))
    name = str(record.get("orig_name") or path.name)
    try:
        # the header tells the size before memory is spent on the pixels
        with Image.open(path) as header:
            width, height = header.size
    except Image.DecompressionBombError:
        raise ValueError(f"image: {name} has too many pixels; the limit is {MAX_PIXELS / 1e6:g} megapixels") from None
    except (OSError, SyntaxError, ValueError):
        raise ValueError(f"image: {name} is not a picture that can be read; {NAMES} can") from None
    if width * height > MAX_PIXELS:
        raise ValueError(
            f"image: {name} is {width} × {height}, {width * height / 1e6:.1f} megapixels; "
            f"the limit is {MAX_PIXELS / 1e6:g}, so make it smaller"
        )
    image, sigma = _read(path, name)
    return Picture(image, safe_stem(name), sigma, new_folder())


def safe_stem(name: str) -> str:
    """A file's name without its ending, reduced to characters that are safe in a file name anywhere."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", Path(name).stem)[:60].strip("-") or "picture"


def forget(picture: Picture | None) -> None:
    """Deletes the results of a picture; called when another takes its place and when the session ends."""
    if picture is not None:
        delete_folder(picture.folder)


def _read(path: Path, name: str) -> tuple[Image, float]:
    from zoo.images import read_image, to_picture
    from zoo.noise import estimate_sigma

    try:
        image = read_image(path)
    except ValueError:
        raise ValueError(f"image: {name} is damaged or cut short and cannot be read") from None
    if image.mode == "F":
        raise ValueError(f"image: {name} has floating-point pixels, which PNG cannot hold; 8 and 16 bits are accepted")
    # what comes back from the tensor has the orientation and the mode that results will have
    picture = to_picture(image)
    return picture.restore(picture.tensor), estimate_sigma(picture.tensor[0])
