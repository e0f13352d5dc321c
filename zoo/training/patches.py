"""Patches of pictures for restoration, and the test pictures that must not be among them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..datasets import ImageFiles

SIGNATURE = 16  # pixels a side
# Correlation of signatures from which two pictures are one. Copies of a test picture, recompressed or rescaled, reach
# 0.99; the most alike of different pictures stay below 0.97.
SAME = 0.98


@dataclass(frozen=True)
class Pictures:
    """Decoded pictures in memory."""

    names: list[str]
    """`file: name inside it`."""
    pixels: list[np.ndarray]
    """uint8 (H, W, 3) each."""


def find_sources(data: Path, names: Sequence[str]) -> list[Path]:
    """The folders or archives among a data set's `names`, e.g. "bsds500" for `data/bsds500`, `.zip` or `.tar`.

    Args:
        data: Folder with the data sets, or itself a folder or archive of pictures.
        names: What to look for; all that is found is returned.
    """
    if not data.is_dir():
        return [data] if data.stem in names else []
    candidates = (data / (name + suffix) for name in names for suffix in ("", ".zip", ".tar"))
    return [path for path in candidates if path.exists()]


def load_pictures(sources: Iterable[Path]) -> Pictures:
    """Decode all pictures of some folders or archives.

    Raises:
        ValueError: a source is neither folder nor archive.
    """
    names: list[str] = []
    pixels: list[np.ndarray] = []
    for source in sources:
        files = ImageFiles(source)
        inside = files.images()
        with ThreadPoolExecutor(2) as pool:
            pixels += pool.map(files.decode, inside)
        names += [f"{source.name}: {name}" for name in inside]
    return Pictures(names, pixels)


def signatures(pixels: Sequence[np.ndarray]) -> np.ndarray:
    """What a picture looks like from afar: grey, 16 x 16, zero mean, unit norm; (N, 256)."""
    rows = np.empty((len(pixels), SIGNATURE**2), np.float32)
    for row, image in zip(rows, pixels, strict=True):
        small = Image.fromarray(image).convert("L").resize((SIGNATURE, SIGNATURE), Image.Resampling.BOX)
        row[:] = np.asarray(small, np.float32).ravel()
    rows -= rows.mean(1, keepdims=True)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)


def overlaps(pixels: Sequence[np.ndarray], tests: Sequence[np.ndarray]) -> np.ndarray:
    """Which pictures are also among `tests`, by content: also mirrored, turned, rescaled or recompressed.

    Returns:
        bool (len(pixels),).
    """
    if not len(pixels) or not len(tests):
        return np.zeros(len(pixels), bool)
    own = signatures(pixels)
    grids = signatures(tests).reshape(-1, SIGNATURE, SIGNATURE)
    turned = [np.rot90(side, turns, (1, 2)) for side in (grids, grids[:, :, ::-1]) for turns in range(4)]
    likeness = own @ np.concatenate(turned).reshape(-1, SIGNATURE**2).T
    return likeness.max(1) >= SAME


def without(pictures: Pictures, tests: Pictures) -> tuple[Pictures, list[str]]:
    """The pictures that are not among the test pictures, and the names of those that were taken out."""
    same = overlaps(pictures.pixels, tests.pixels)
    kept = [index for index in range(len(same)) if not same[index]]
    rest = Pictures([pictures.names[i] for i in kept], [pictures.pixels[i] for i in kept])
    return rest, [name for name, out in zip(pictures.names, same, strict=True) if out]


def random_patches(pictures: Sequence[np.ndarray], count: int, size: int, generator: torch.Generator) -> Tensor:
    """Patches at random places, mirrored and turned at random, each pixel of the collection about equally likely.

    Args:
        pictures: uint8 (H, W, 3), both sides at least `size`.
        count: Number of patches.
        size: Height and width.
        generator: On the CPU.

    Returns:
        uint8 (count, 3, size, size).
    """
    areas = torch.tensor([float(image.shape[0] * image.shape[1]) for image in pictures])
    chosen = torch.multinomial(areas, count, replacement=True, generator=generator).tolist()
    places = torch.rand(count, 2, generator=generator).tolist()
    turns = torch.randint(8, (count,), generator=generator).tolist()
    patches = np.empty((count, size, size, 3), np.uint8)
    for patch, index, (v, u), turn in zip(patches, chosen, places, turns, strict=True):
        image = pictures[index]
        top, left = int(v * (image.shape[0] - size + 1)), int(u * (image.shape[1] - size + 1))
        cut = image[top : top + size, left : left + size]
        patch[:] = np.rot90(cut[:, ::-1] if turn >= 4 else cut, turn % 4)
    return torch.from_numpy(patches).permute(0, 3, 1, 2)
