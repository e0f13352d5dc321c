"""Pictures of one size in memory-mapped arrays, to train on and to validate on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..datasets import ImageFiles, decoded, resize_shorter
from .objective import OnData

SHARE = 20  # one picture in so many is held out where the data do not say which


def load_split(data: Path, options: Mapping[str, Any], side: int, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation pictures, uint8 (N, side, side, 3) each, read-only.

    Args:
        data: Folder, .zip or .tar.
        options: Of a recipe's `[data]`: `train` and `val`, the folders in it (default "train/", "val/"; where there is
            no such `val`, every 20th picture is held out, and where there is no such `train`, all pictures are taken),
            and `limit`, the number of pictures to train on.
        side: Height and width; others are scaled and cut to it.
        cache: Folder for the decoded arrays.

    Raises:
        ValueError: fewer than two pictures.
    """
    files = ImageFiles(data)
    train = files.images(options.get("train", "train/")) or files.images()
    val = files.images(options.get("val", "val/"))
    if not val or set(val) & set(train):
        train, val = [name for i, name in enumerate(train) if i % SHARE], train[::SHARE]
    train = train[: options.get("limit")]
    if not train or not val:
        raise ValueError(f"data {data}: fewer than 2 pictures")
    return tuple(decoded(files, names, side, cache, resize_shorter) for names in (train, val))  # type: ignore[return-value]


class OnPictures(OnData):
    """An objective on pictures of one size, all of which fit into memory maps."""

    @property
    @abstractmethod
    def side(self) -> int:
        """Height and width of the pictures."""

    @cached_property
    def pictures(self) -> tuple[np.ndarray, np.ndarray]:
        """To train on, and held out."""
        return load_split(self.path, self.recipe.data, self.side, self.cache)

    def prepare(self) -> None:
        """Decode the pictures."""
        _ = self.pictures

    def some_pictures(self, count: int) -> Tensor:
        """At most so many pictures to train on, evenly spread, (B, 3, H, W) in [0, 1], on the CPU."""
        total = len(self.pictures[0])
        index = np.linspace(0, total - 1, min(count, total)).round().astype(int)
        return batch_of(self.pictures[0], index, torch.device("cpu"))


def batch_of(pixels: np.ndarray, index: np.ndarray | slice | list[int], device: torch.device) -> Tensor:
    """Pictures (B, 3, H, W) in [0, 1]."""
    # the arrays are read-only, and so is a slice of them; what an index picks is a copy already
    chosen = torch.from_numpy(np.require(pixels[index], requirements=["C", "W"])).to(device)
    return chosen.permute(0, 3, 1, 2).float().div_(255)


def as_images(pixels: np.ndarray, size: int, device: torch.device) -> Tensor:
    """uint8 squares (B, s, s, 3) as (B, 3, size, size) in [0, 1]."""
    images = batch_of(pixels, slice(None), device)
    if size != images.shape[-1]:
        images = F.interpolate(images, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return images.clamp(0, 1)


def mirrored(images: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, 3, H, W), each turned left to right with probability 1/2."""
    turned = torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5
    return torch.where(turned.to(images.device), images.flip(3), images)
