"""Training of the autoencoder, with the loss of the latent convolutional models."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import registry
from ..images import rows_of
from ..models.autoencoder import AutoEncoder
from ..restore.pyramid import reconstruction_loss
from .objective import Export, Moment
from .pictures import OnPictures, batch_of, mirrored
from .recipe import Recipe
from .sampling import positions

CHUNK = 50


class Autoencode(OnPictures):
    """MSE + Lap-L1 of g(e(x)) and x; pictures are mirrored at random."""

    model: AutoEncoder

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        model = registry.build("ae", recipe.model)
        assert isinstance(model, AutoEncoder)
        self.model = model

    @property
    def side(self) -> int:
        """Height and width of the pictures."""
        return self.model.size

    def batch(self, moment: Moment) -> Tensor:
        """Pictures (B, 3, H, W), half of them mirrored."""
        return mirrored_batch(self.pictures[0], moment, self.recipe)

    def loss(self, model: nn.Module, batch: Tensor, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean of MSE + Lap-L1; logs the MSE."""
        codes = self.model.encode(batch)
        losses, mse = reconstruction_loss(model(codes).float(), batch)
        return losses.mean(), {"mse": mse.detach().mean()}

    @torch.no_grad()
    def validate(self, model: nn.Module, device: torch.device, *, full: bool) -> dict[str, float]:
        """Reconstruction loss of training and of held-out pictures."""
        assert isinstance(model, AutoEncoder)
        metrics = {}
        for name, pixels in zip(("train", "val"), self.pictures, strict=True):
            count = min(len(pixels), 500 if full else 100)
            parts = np.array_split(np.linspace(0, len(pixels) - 1, count).round().astype(int), -(-count // CHUNK))
            losses = []
            for part in parts:
                target = batch_of(pixels, part, device)
                losses.append(torch.stack(reconstruction_loss(model(model.encode(target)).float(), target)).cpu())
            metrics[name], metrics[f"{name}_mse"] = torch.cat(losses, 1).mean(1).tolist()
        return metrics

    def picture(self, model: nn.Module, device: torch.device) -> Tensor:
        """Eight held-out pictures above what comes back."""
        assert isinstance(model, AutoEncoder)
        target = batch_of(self.pictures[1], np.arange(min(8, len(self.pictures[1]))), device)
        return rows_of(target, model(model.encode(target)))

    def export(self) -> Export:
        """The model."""
        return Export(copy.deepcopy(self.model).cpu().eval(), dict(self.recipe.model))

    def measure(self, module: nn.Module, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        """Reconstruction of the released model."""
        found = self.validate(module, device, full=True)
        return [
            {
                "dataset": self.path.stem,
                "metric": "reconstruction loss",
                "value": round(found[key], 5),
                "settings": f"MSE + Lap-L1; {pictures}",
            }
            for key, pictures in (("train", "training pictures"), ("val", "held-out pictures"))
        ]


def mirrored_batch(pixels: np.ndarray, moment: Moment, recipe: Recipe) -> Tensor:
    """The pictures of a step, (B, 3, H, W) in [0, 1], each mirrored with probability 1/2."""
    images = batch_of(pixels, positions(moment, len(pixels), recipe.batch, recipe.seed), moment.device)
    return mirrored(images, moment.generator).contiguous(memory_format=torch.channels_last)
