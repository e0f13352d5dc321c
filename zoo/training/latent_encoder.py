"""Training of the feed-forward start: evidence of random degradations to latents of a frozen prior."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import checkpoints, registry
from ..images import rows_of
from ..loading import load
from ..models.latent import LatentModel
from ..models.lcm_encoder import LCMEncoder
from ..restore.degradation import JPEG, Chain, Degradation, Downsample, Grey, Identity, Mask, Noise
from ..restore.fit import frozen
from ..restore.masks import random_mask
from ..restore.pyramid import reconstruction_loss
from .amortised import COMPONENTS, predicting_network
from .autoencoder import mirrored_batch
from .objective import Export, Moment
from .pictures import OnPictures, batch_of
from .recipe import Recipe

CHUNK = 25


def random_degradation(size: int, count: int, generator: torch.Generator) -> Degradation:
    """A chain of degradations as a visitor may bring it: grey or not, smaller or not, holes or not, noise or JPEG.

    Args:
        size: Height and width of the images.
        count: Number of images; each gets a mask of its own.
        generator: On the CPU.
    """

    def chance(probability: float) -> bool:
        return bool(torch.rand((), generator=generator) < probability)

    parts: list[Degradation] = []
    side = size
    if chance(0.3):
        parts.append(Grey())
    if chance(0.3):
        factor = 2 ** int(torch.randint(1, 4, (), generator=generator))
        parts.append(Downsample(factor))
        side //= factor
    if chance(0.5) or not parts:
        holes = [random_mask(side, generator) for _ in range(count)]
        parts.append(Mask(1 - torch.stack(holes)[:, None].float()))
    if chance(0.2):
        parts.append(Noise(float(50 * torch.rand((), generator=generator))))
    elif chance(0.2) and side == size:
        parts.insert(len(parts) - isinstance(parts[-1], Mask), JPEG(int(torch.randint(5, 60, (), generator=generator))))
    return Chain(parts)


class LearnStart(OnPictures):
    """MSE + Lap-L1 of g(f_φ(s)) and the clean picture, φ from the encoder. `data.prior`: the prior, or its file."""

    model: LCMEncoder

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        model = registry.build("lcm_encoder", recipe.model)
        assert isinstance(model, LCMEncoder)
        self.model = model

    @cached_property
    def prior(self) -> LatentModel:
        """The trained model that the latents are for."""
        name = str(self.recipe.data["prior"])
        prior = checkpoints.load_checkpoint(name) if name.endswith(".safetensors") else load(name)
        if not isinstance(prior, LatentModel) or prior.latent_shape != self.model.latent_shape:
            raise ValueError(f"recipe {self.recipe.name}: {name} has no latents of the encoder's size")
        return prior.eval()

    def adopt_run(self, state: Mapping[str, Any], where: str) -> None:
        """Also of the run that trained the prior: the network that predicted its latents knows whole pictures."""
        other = predicting_network(state, self.model.length, where)
        if other is None:
            super().adopt_run(state, where)
            return
        self.model.adopt(other, Identity().evidence(self.some_pictures(COMPONENTS)))

    @property
    def side(self) -> int:
        """Height and width of the pictures."""
        return self.prior.size

    def prepare(self) -> None:
        """Decode the pictures, and begin in the middle of the prior's latents."""
        super().prepare()
        if not self.model.mean.any():
            with torch.no_grad():
                self.model.mean.copy_(self.prior.origin / self.model.length)

    def batch(self, moment: Moment) -> tuple[Tensor, Tensor]:
        """Evidence (B, 4, H, W) and clean pictures (B, 3, H, W)."""
        clean = mirrored_batch(self.pictures[0], moment, self.recipe)
        return self._degraded(clean, moment.generator), clean

    def _degraded(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        # a few kinds in each batch
        parts = clean.split(max(1, len(clean) // 4))
        made = []
        for part in parts:
            degradation = random_degradation(clean.shape[-1], len(part), generator)
            made.append(degradation.evidence(degradation.degrade(part, generator)))
        return torch.cat(made)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor], moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean of MSE + Lap-L1 of what the prior makes of the predicted latents."""
        evidence, clean = batch
        prior = self.prior.to(moment.device)
        with frozen(prior):
            images = prior(model(evidence))
        losses, mse = reconstruction_loss(images.float(), clean)
        return losses.mean(), {"mse": mse.detach().mean()}

    @torch.no_grad()
    def validate(self, model: nn.Module, device: torch.device, *, full: bool) -> dict[str, float]:
        """The same loss on held-out pictures, for whole pictures and for degraded ones."""
        prior, sums, count = self.prior.to(device), torch.zeros(2), 0
        generator = torch.Generator().manual_seed(0)
        index = np.arange(min(len(self.pictures[1]), 500 if full else 100))
        for part in np.array_split(index, -(-len(index) // CHUNK)):
            clean = batch_of(self.pictures[1], part, device)
            for row, evidence in enumerate((Identity().evidence(clean), self._degraded(clean, generator))):
                sums[row] += reconstruction_loss(prior(model(evidence)).float(), clean)[0].sum().cpu()
            count += len(clean)
        return {"whole": float(sums[0]) / count, "degraded": float(sums[1]) / count}

    def picture(self, model: nn.Module, device: torch.device) -> Tensor:
        """Eight held-out pictures, their evidence, and what the prior makes of the start."""
        clean = batch_of(self.pictures[1], np.arange(min(8, len(self.pictures[1]))), device)
        evidence = self._degraded(clean, torch.Generator().manual_seed(0))
        return rows_of(clean, evidence[:, :3], self.prior.to(device)(model(evidence)))

    def export(self) -> Export:
        """The encoder."""
        return Export(copy.deepcopy(self.model).cpu().eval(), dict(self.recipe.model))

    def measure(self, module: nn.Module, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        """The full validation's figures, of the released weights."""
        found = self.validate(module, device, full=True)
        return [
            {
                "dataset": self.path.stem,
                "metric": "reconstruction loss",
                "value": round(value, 5),
                "settings": f"MSE + Lap-L1 of {self.recipe.data['prior']} at the predicted start; {key} pictures",
            }
            for key, value in found.items()
        ]
