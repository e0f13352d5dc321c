"""Training of the network that frames faces: aligned faces, seen through frames that are off, with holes in them."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import registry
from ..images import rows_of
from ..models.face_frame import FaceFrame, between, moved
from .autoencoder import mirrored_batch
from .objective import Export, Moment
from .pictures import OnPictures, batch_of
from .recipe import Recipe

ROUNDS = 3  # in which a frame is moved
CHUNK = 100


def _uniform(generator: torch.Generator, least: float, most: float, *shape: int) -> Tensor:
    return least + (most - least) * torch.rand(*shape, generator=generator)


def random_holes(count: int, size: int, generator: torch.Generator) -> Tensor:
    """What is known of pictures, (count, 1, size, size) in {0, 1}.

    Up to three ellipses are missing, and perhaps what is beyond a line, as beyond the side of a photograph.
    """
    axis = (torch.arange(size) + 0.5) / size - 0.5
    y, x = axis[:, None], axis[None, :]
    known = torch.ones(count, size, size, dtype=torch.bool)
    for _ in range(3):
        cx, cy = _uniform(generator, -0.45, 0.45, 2, count, 1, 1)
        angle = _uniform(generator, -math.pi, math.pi, count, 1, 1)
        long = _uniform(generator, 0.03, 0.55, count, 1, 1)
        wide = (long * _uniform(generator, 0.3, 1.0, count, 1, 1)).clamp(max=0.35)
        c, s = torch.cos(angle), torch.sin(angle)
        along, across = c * (x - cx) + s * (y - cy), c * (y - cy) - s * (x - cx)
        there = torch.rand(count, 1, 1, generator=generator) < 0.4
        known &= ~(((along / long) ** 2 + (across / wide) ** 2 < 1) & there)
    angle = _uniform(generator, -math.pi, math.pi, count, 1, 1)
    away = torch.cos(angle) * x + torch.sin(angle) * y
    known &= away < torch.where(
        torch.rand(count, 1, 1, generator=generator) < 0.3, _uniform(generator, 0.1, 0.5, count, 1, 1), 1.0
    )
    return known[:, None].float()


def as_taken(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (B, 3, H, W) as they may come: darker, in coloured light, without colour, blurred, with noise."""
    count, _, height, width = pictures.shape
    light = _uniform(generator, 0.5, 1.3, count, 1, 1, 1) * _uniform(generator, 0.85, 1.15, count, 3, 1, 1)
    pictures = (pictures * light.to(pictures)) ** _uniform(generator, 0.8, 1.25, count, 1, 1, 1).to(pictures)
    grey = (torch.rand(count, 1, 1, 1, generator=generator) < 0.2).to(pictures.device)
    pictures = torch.where(grey, pictures.mean(1, keepdim=True), pictures)
    small = int(_uniform(generator, 0.12, 0.6, 1) * min(height, width))

    def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)

    blurred = resized(resized(pictures, (small, small)), (height, width))
    soft = (torch.rand(count, 1, 1, 1, generator=generator) < 0.25).to(pictures.device)
    pictures = torch.where(soft, blurred, pictures)
    strength = _uniform(generator, -0.05, 0.08, count, 1, 1, 1).clamp(min=0)
    noise = strength * torch.randn(count, 3, height, width, generator=generator)
    return (pictures + noise.to(pictures)).clamp(0, 1)


class FrameFaces(OnPictures):
    """Negative log-likelihood of the offset to the frame that is the whole picture, from a frame that is off.

    `loss.off`: how far at most, as an offset is: sides, sides, logarithm, radians.
    """

    model: FaceFrame

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        model = registry.build("face_frame", recipe.model)
        assert isinstance(model, FaceFrame)
        self.model = model
        self.off = torch.tensor([float(value) for value in recipe.loss["off"]])
        if self.off.shape != (4,):
            raise ValueError(f"recipe {recipe.name}: loss.off needs 4 numbers, got {len(self.off)}")

    @property
    def side(self) -> int:
        """Height and width of the pictures."""
        return int(self.recipe.data.get("size", 128))

    def batch(self, moment: Moment) -> tuple[Tensor, Tensor]:
        """Views (B, 4, size, size) and offsets (B, 4)."""
        faces = as_taken(mirrored_batch(self.pictures[0], moment, self.recipe), moment.generator)
        pictures, frames = self._scenes(faces, moment.generator)
        views = self.model.views(pictures, frames)
        views[:, 3:] *= random_holes(len(views), self.model.size, moment.generator).to(views)
        return views, between(frames, self._whole(frames))

    def _whole(self, like: Tensor) -> Tensor:
        return like.new_tensor([self.side / 2, self.side / 2, self.side, 0.0]).expand(len(like), -1)

    def _scenes(self, faces: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Pictures (B, 4, H, W) whose margins are missing more or less, and frames (B, 4) that are off.

        Were the margins always the same, they would tell how far the frame is off.
        """
        count, side = len(faces), self.side
        edges = _uniform(generator, -0.1, 0.15, 4, count, 1, 1).clamp(min=0)
        axis = (torch.arange(side) + 0.5) / side
        y, x = axis[:, None], axis[None, :]
        inside = (x > edges[0]) & (x < 1 - edges[1]) & (y > edges[2]) & (y < 1 - edges[3])
        # most are off by less, so that the last rounds are learned as well as the first
        far = _uniform(generator, 0.0, 1.0, count, 1)
        offsets = far * self.off * _uniform(generator, -1.0, 1.0, count, 4)
        pictures = torch.cat([faces, inside[:, None].to(faces)], 1)
        return pictures, moved(self._whole(faces), offsets.to(faces))

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor], moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean over the four numbers; logs the mean errors of the place and of the turn in degrees."""
        views, wanted = batch
        offsets, spread = model(views).unbind(1)
        error = (offsets - wanted).abs()
        mean = error.detach().mean(0)
        logged = {"place": mean[:2].mean(), "growth": mean[2], "degrees": mean[3].rad2deg()}
        return (error * (-spread).exp() + spread).mean(), logged

    @torch.no_grad()
    def validate(self, model: nn.Module, device: torch.device, *, full: bool) -> dict[str, float]:
        """Mean errors on held-out faces with holes: before, and after so many rounds."""
        assert isinstance(model, FaceFrame)
        count = min(len(self.pictures[1]), 500 if full else 100)
        generator = torch.Generator().manual_seed(0)
        sums: dict[str, Tensor] = {}
        for part in np.array_split(np.arange(count), -(-count // CHUNK)):
            pictures, frames = self._scenes(batch_of(self.pictures[1], part, device), generator)
            pictures[:, 3:] *= random_holes(len(part), self.side, generator).to(device)
            for name in ("before", *(str(number + 1) for number in range(ROUNDS))):
                if name != "before":
                    frames, _ = model.moved(pictures, frames, 1)
                error = between(frames, self._whole(frames)).abs().sum(0).cpu()
                sums[name] = sums.get(name, torch.zeros(4)) + error / count
        found: dict[str, float] = {}
        for name, error in sums.items():
            found |= {f"place_{name}": float(error[:2].mean()), f"growth_{name}": float(error[2])}
            found[f"degrees_{name}"] = float(error[3].rad2deg())
        return found

    def picture(self, model: nn.Module, device: torch.device) -> Tensor:
        """What is seen of eight held-out faces before, and after the last round."""
        assert isinstance(model, FaceFrame)
        generator = torch.Generator().manual_seed(1)
        count = min(8, len(self.pictures[1]))
        pictures, frames = self._scenes(batch_of(self.pictures[1], np.arange(count), device), generator)
        pictures[:, 3:] *= random_holes(count, self.side, generator).to(device)
        rows = [model.views(pictures, each) for each in (frames, model.moved(pictures, frames, ROUNDS)[0])]
        return rows_of(*(row[:, :3] * row[:, 3:] for row in rows))

    def export(self) -> Export:
        """The network."""
        return Export(copy.deepcopy(self.model).cpu().eval(), dict(self.recipe.model))

    def measure(self, module: nn.Module, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        """The full validation's figures, of the released weights."""
        found = self.validate(module, device, full=True)
        kinds = {
            "place": "error of the place, sides",
            "growth": "error of the size, logarithm",
            "degrees": "error of the angle, degrees",
        }
        return [
            {
                "dataset": self.path.stem,
                "metric": f"mean {text}",
                "value": round(found[f"{key}_{ROUNDS}"], 4),
                "settings": f"held-out faces with holes, {ROUNDS} rounds; {found[f'{key}_before']:.3f} before",
            }
            for key, text in kinds.items()
        ]
