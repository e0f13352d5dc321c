"""Training SRCNN: luminance patches, made small and enlarged again, against what they were."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..datasets import ImageFiles
from ..evaluation.held_out import spread
from ..evaluation.textures import split_textures
from ..metrics import psnr
from ..models.srcnn import SRCNN
from ..prox import upsample
from ..stylize.colour import luminance
from ..superres.shrink import degradation
from .objective import Export, Moment, OnData
from .patches import find_sources, load_pictures, random_patches
from .recipe import Recipe

TEXTURES = "textures"
HELD_OUT = 40  # of another data set, where there are no textures


class SuperResolve(OnData):
    """Mean squared error of the luminance, away from the borders, where a patch's surroundings would be missing.

    Data: a folder with the sets that the recipe names under `train`; of `textures`, those of `zoo.evaluation.textures`
    are held out. Any other folder or archive is taken as one set of pictures.
    """

    model: SRCNN

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        self.model = SRCNN(**recipe.model)
        self.degrade = degradation(self.model.degradation, self.model.factor)

    @cached_property
    def pictures(self) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Pictures to train on and pictures held out, uint8 (H, W, 3) each."""
        sources = find_sources(self.path, self.recipe.data.get("train", [])) or [self.path]
        textures = [source for source in sources if source.stem == TEXTURES]
        others = load_pictures([source for source in sources if source not in textures]).pixels
        if textures:
            files = ImageFiles(textures[0])
            names, held_names = split_textures(textures[0])
            every, held = others + [files.decode(name) for name in names], [files.decode(name) for name in held_names]
        else:
            chosen = set(spread(len(others), HELD_OUT))
            every = [pixels for index, pixels in enumerate(others) if index not in chosen]
            held = [others[index] for index in sorted(chosen)]
        size = int(max(value for _, value in self.recipe.schedule["size"].points))
        large = [pixels for pixels in every if min(pixels.shape[:2]) >= size]
        if not large or not held:
            raise ValueError(f"data {self.path}: fewer than 2 pictures with both sides of at least {size}")
        return large, held

    def prepare(self) -> None:
        """Decode the pictures."""
        _ = self.pictures

    def batch(self, moment: Moment) -> tuple[Tensor, Tensor]:
        """Luminance (B, 1, s, s) in [0, 1], and the same made small and enlarged again."""
        pixels = random_patches(self.pictures[0], self.recipe.batch, int(moment.values["size"]), moment.generator)
        truth = luminance(pixels.to(moment.device).float().div_(255))[:, :1]
        return truth, self.enlarged(truth)

    def enlarged(self, truth: Tensor) -> Tensor:
        """(B, 1, H, W), both sides multiples of the factor, through the degradation and back by interpolation."""
        with torch.autocast(truth.device.type, enabled=False):
            return upsample(self.degrade(truth), self.model.factor)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor], moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared error; logs the PSNR gained over interpolation, in dB."""
        truth, blurred = batch
        edge = min(self.model.reach, (truth.shape[-1] - 1) // 2)
        inner = (..., slice(edge, -edge), slice(edge, -edge))
        error = F.mse_loss(model(blurred).float()[inner], truth[inner])
        before = F.mse_loss(blurred[inner], truth[inner])
        return error, {"gain": 10 * torch.log10(before / error.detach().clamp_min(1e-12))}

    def validate(self, model: nn.Module, device: torch.device, *, full: bool) -> dict[str, float]:
        """Mean PSNR in dB on the pictures held out, of the model and of interpolation, in float32."""
        factor = self.model.factor
        limit = None if full else 96
        found = []
        for pixels in self.pictures[1]:
            height, width = (min(side, limit or side) // factor * factor for side in pixels.shape[:2])
            image = torch.from_numpy(pixels[:height, :width].copy()).permute(2, 0, 1)[None].float().div(255)
            truth = luminance(image)[:, :1].to(device)
            blurred = self.enlarged(truth)
            with torch.autocast(device.type, enabled=False):
                found.append([float(psnr(made, truth)) for made in (model(blurred), blurred)])
        made, before = np.mean(found, 0)
        return {"psnr": float(made), "bicubic": float(before)}

    def picture(self, model: nn.Module, device: torch.device) -> Tensor:
        """Interpolation, result and truth of three textures that are held out."""
        side = 96 // self.model.factor * self.model.factor
        rows = []
        for pixels in [image for image in self.pictures[1] if min(image.shape[:2]) >= side][:3]:
            image = torch.from_numpy(pixels[:side, :side].copy()).permute(2, 0, 1)[None].float().div(255)
            truth = luminance(image)[:, :1].to(device)
            blurred = self.enlarged(truth)
            rows.append(torch.cat([blurred[0], model(blurred)[0].float(), truth[0]], 2).clamp(0, 1))
        whole = torch.cat(rows, 1) if rows else torch.zeros(1, side, 3 * side)
        return whole.expand(3, -1, -1).cpu()

    def export(self) -> Export:
        """The network as it is."""
        return Export(copy.deepcopy(self.model).cpu().eval(), dict(self.recipe.model))

    def measure(self, module: nn.Module, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        """Mean PSNR on the pictures held out, and that of bicubic interpolation for comparison."""
        with torch.no_grad():
            result = self.validate(module, device, full=True)
        common = {
            "dataset": f"{len(self.pictures[1])} held-out textures",
            "settings": f"luminance on 8 bits, x{self.model.factor}, {self.model.degradation} degradation",
        }
        return [
            {**common, "metric": "PSNR", "value": round(result["psnr"], 3)},
            {**common, "metric": "PSNR of bicubic interpolation", "value": round(result["bicubic"], 3)},
        ]
