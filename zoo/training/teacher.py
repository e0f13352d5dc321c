"""What another method makes of pairs of photographs, for a network to imitate."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import registry
from ..datasets import kept
from ..loading import load
from ..models.wct import WCT
from .pictures import as_images, mirrored

TOGETHER = 8


class TaughtPairs:
    """Pairs of pictures, and the first in the style of the second as a trained model has it.

    They are made when they are first asked for and kept in a file, which the name of the teacher's weights, the
    pictures and all settings go into.

    Args:
        teacher: Registry name of a WCT.
        pixels: Pictures uint8 (n, s, s, 3).
        count: Number of pairs.
        size: Height and width of what is made.
        cache: Folder for the file.
        seed: Of the pairs.
    """

    def __init__(self, teacher: str, pixels: np.ndarray, count: int, size: int, cache: Path, seed: int = 0) -> None:
        self.teacher, self.pixels, self.size, self.cache = teacher, pixels, size, cache
        generator = torch.Generator().manual_seed(seed)
        self.pairs = torch.randint(len(pixels), (count, 2), generator=generator)
        self.made = self._read_or_make()

    def _read_or_make(self) -> np.ndarray:
        known = (self.teacher, registry.info(self.teacher).sha256, self.size, self.pairs.tolist())
        digest = hashlib.sha256(repr(known).encode() + self.pixels.tobytes()).hexdigest()

        def fill(array: np.ndarray) -> None:
            for start in range(0, len(self.pairs), TOGETHER):
                part = self.pairs[start : start + TOGETHER]
                array[start : start + len(part)] = self._make(part)

        return kept(self.cache / f"taught-{digest[:16]}.npy", (len(self.pairs), self.size, self.size, 3), fill)

    @torch.no_grad()
    def _make(self, pairs: Tensor) -> np.ndarray:
        teacher = load(self.teacher)
        if not isinstance(teacher, WCT):
            raise ValueError(f"teacher: {self.teacher} is no WCT")
        content, style = (
            as_images(self.pixels[pairs[:, side].numpy()], self.size, torch.device("cpu")) for side in (0, 1)
        )
        with torch.autocast("cpu", torch.bfloat16):
            made = teacher.stylise(content, [style], [1.0]).float().clamp(0, 1)
        return made.mul(255).round().byte().permute(0, 2, 3, 1).numpy()

    def draw(self, count: int, size: int, generator: torch.Generator, device: torch.device) -> tuple[Tensor, ...]:
        """Contents, styles and what was made of them, (count, 3, size, size) each, half of the triples mirrored."""
        chosen = torch.randint(len(self.pairs), (count,), generator=generator)
        pairs = self.pairs[chosen].numpy()
        parts = (self.pixels[pairs[:, 0]], self.pixels[pairs[:, 1]], self.made[chosen.numpy()])
        images = mirrored(torch.cat([as_images(part, size, device) for part in parts], 1), generator)
        return tuple(image.contiguous(memory_format=torch.channels_last) for image in images.split(3, 1))
