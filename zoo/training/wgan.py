"""Training of WGAN-GP: a generator against a critic with a gradient penalty."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from .. import registry
from ..images import rows_of
from ..models.wgan import WGAN, Critic, gradient_penalty
from .autoencoder import mirrored_batch
from .objective import Export, Moment
from .pictures import OnPictures, batch_of
from .recipe import Recipe


class Pair(nn.Module):
    """Generator and critic, as one model to train."""

    def __init__(self, generator: WGAN, critic: Critic) -> None:
        super().__init__()
        self.generator, self.critic = generator, critic

    def forward(self, latent: Tensor) -> Tensor:
        """Images of latents."""
        return self.generator(latent)


class AdversarialTraining(OnPictures):
    """The critic's loss at every step, and the generator's at every `loss.critic_steps`-th.

    In the other steps the generator has no gradient, so the optimiser leaves it alone.
    """

    model: Pair

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        generator = registry.build("wgan_gp", recipe.model)
        assert isinstance(generator, WGAN)
        self.model = Pair(generator, Critic(int(recipe.loss.get("critic_width", 512)), generator.size))
        self.critic_steps = int(recipe.loss.get("critic_steps", 5))
        self.penalty = float(recipe.loss.get("penalty", 10.0))

    @property
    def side(self) -> int:
        """Height and width of the pictures."""
        return self.model.generator.size

    def batch(self, moment: Moment) -> tuple[Tensor, Tensor, Tensor]:
        """Pictures (B, 3, H, W), latents (B, dim), and where the penalty is taken (B, 1, 1, 1)."""
        if moment.world > 1:
            raise ValueError("this recipe is trained by one process; start without accelerate launch")
        real = mirrored_batch(self.pictures[0], moment, self.recipe)
        latent = torch.randn(len(real), *self.model.generator.latent_shape, generator=moment.generator)
        mix = torch.rand(len(real), 1, 1, 1, generator=moment.generator)
        return real, latent.to(moment.device), mix.to(moment.device)

    def loss(
        self, model: nn.Module, batch: tuple[Tensor, Tensor, Tensor], moment: Moment
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """E[D(fake)] − E[D(real)] + 10 · penalty, and in some steps − E[D(fake)] for the generator."""
        real, latent, mix = batch
        critic = self.model.critic
        fake = model(latent)
        distance = critic(real).float().mean() - critic(fake.detach()).float().mean()
        penalty = gradient_penalty(critic, real, fake, mix)
        loss = self.penalty * penalty - distance
        if moment.step % self.critic_steps == self.critic_steps - 1:
            # the generator's loss must not move the critic
            still = {name: parameter.detach() for name, parameter in critic.named_parameters()}
            loss = loss - functional_call(critic, still, (fake,)).float().mean()
        return loss, {"distance": distance.detach(), "penalty": penalty.detach()}

    def validate(self, model: nn.Module, device: torch.device, *, full: bool) -> dict[str, float]:
        """The critic's distance between held-out and generated pictures."""
        assert isinstance(model, Pair)
        count = min(len(self.pictures[1]), 500 if full else 100)
        real = batch_of(self.pictures[1], np.arange(count), device)
        latent = torch.randn(count, *model.generator.latent_shape, generator=torch.Generator().manual_seed(0))
        scores = [model.critic(part).float() for part in (real, model(latent.to(device)).float())]
        return {"distance": float(scores[0].mean() - scores[1].mean())}

    def picture(self, model: nn.Module, device: torch.device) -> Tensor:
        """Two rows of generated pictures."""
        latent = torch.randn(16, *self.model.generator.latent_shape, generator=torch.Generator().manual_seed(0))
        made = model(latent.to(device))
        return rows_of(made[:8], made[8:])

    def export(self) -> Export:
        """The generator."""
        return Export(copy.deepcopy(self.model.generator).cpu().eval(), dict(self.recipe.model))

    def measure(self, module: nn.Module, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        """The critic's distance."""
        value = round(validation["distance"], 3)
        settings = "between held-out and generated pictures, in the critic's units"
        return [{"dataset": self.path.stem, "metric": "critic's distance", "value": value, "settings": settings}]
