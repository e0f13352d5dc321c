"""Images in a folder, a .zip or a .tar, read in place; and their pixels decoded once into a memory-mapped array."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm")


class ImageFiles:
    """The files of a folder, .zip or (uncompressed) .tar, by their names inside it. Reading is safe from any thread.

    Args:
        path: Folder or archive.

    Raises:
        ValueError: `path` is none of these.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._zip: zipfile.ZipFile | None = None
        self._tar: tarfile.TarFile | None = None
        if self.path.is_dir():
            inside = (Path(root, name) for root, _, names in os.walk(self.path) for name in names)
            sizes = {file.relative_to(self.path).as_posix(): file.stat().st_size for file in inside}
        elif self.path.is_file() and zipfile.is_zipfile(self.path):
            self._zip = zipfile.ZipFile(self.path)
            sizes = {item.filename: item.file_size for item in self._zip.infolist() if not item.is_dir()}
        elif self.path.is_file() and tarfile.is_tarfile(self.path):
            self._tar = tarfile.open(self.path)  # noqa: SIM115 (stays open)
            sizes = {item.name.removeprefix("./"): item.size for item in self._tar.getmembers() if item.isfile()}
        else:
            raise ValueError(f"data {str(path)!r}: expected a folder, a .zip or a .tar")
        self._sizes = dict(sorted(sizes.items()))

    @property
    def names(self) -> list[str]:
        """All files, sorted."""
        return list(self._sizes)

    def images(self, under: str | Iterable[str] = "") -> list[str]:
        """Names of the images, sorted; only those whose name starts with (one of) `under`."""
        starts = (under,) if isinstance(under, str) else tuple(under)
        return [name for name in self._sizes if name.lower().endswith(SUFFIXES) and name.startswith(starts)]

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            KeyError: no such file.
        """
        if name not in self._sizes:
            raise KeyError(f"{self.path} holds no {name!r}")
        if self._zip is not None:
            with self._lock:
                return self._zip.read(name)
        if self._tar is not None:
            with self._lock:
                try:
                    member = self._tar.getmember(name)
                except KeyError:
                    member = self._tar.getmember("./" + name)
                file = self._tar.extractfile(member)
                return file.read() if file is not None else b""
        return (self.path / name).read_bytes()

    def decode(self, name: str) -> np.ndarray:
        """An image as uint8 (H, W, 3)."""
        with Image.open(io.BytesIO(self.read(name))) as image:
            return np.asarray(image.convert("RGB"))

    def fingerprint(self, names: Iterable[str]) -> str:
        """A hash of names and sizes, which changes when the files do."""
        listing = "\n".join(f"{name} {self._sizes[name]}" for name in names)
        return hashlib.sha256(listing.encode()).hexdigest()[:16]


def resize_shorter(image: np.ndarray, side: int) -> np.ndarray:
    """Scale an image (H, W, 3) so that its shorter side is `side`, and take the square in its centre."""
    height, width = image.shape[:2]
    if (height, width) == (side, side):
        return image
    scale = side / min(height, width)
    size = (max(side, round(width * scale)), max(side, round(height * scale)))
    scaled = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
    left, top = (scaled.width - side) // 2, (scaled.height - side) // 2
    return np.asarray(scaled.crop((left, top, left + side, top + side)))


def decoded(
    files: ImageFiles, names: list[str], side: int, cache: Path, prepare: Callable[[np.ndarray, int], np.ndarray]
) -> np.ndarray:
    """All images as one read-only memory-mapped array, uint8 (N, side, side, 3), decoded the first time only.

    Args:
        files: Where they are.
        names: Which ones, in the order of the result.
        side: Height and width in pixels.
        cache: Folder for the array.
        prepare: Brings an image (H, W, 3) to (side, side, 3), e.g. `resize_shorter`.
    """

    def fill(array: np.ndarray) -> None:
        def put(index: int) -> None:
            array[index] = prepare(files.decode(names[index]), side)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(put, range(len(names)), chunksize=256):
                pass

    path = cache / f"{files.fingerprint(names)}-{prepare.__name__}-{side}.npy"
    return kept(path, (len(names), side, side, 3), fill)


def kept(path: Path, shape: tuple[int, ...], fill: Callable[[np.ndarray], None]) -> np.ndarray:
    """A read-only memory-mapped array of uint8, made the first time only; a run that is killed leaves none.

    Args:
        path: The file. Its name has to tell apart all that `fill` depends on.
        shape: Of the array.
        fill: Writes into it.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        array = np.lib.format.open_memmap(part, "w+", np.uint8, shape)
        fill(array)
        array.flush()
        del array
        os.replace(part, path)
    return np.load(path, mmap_mode="r")
