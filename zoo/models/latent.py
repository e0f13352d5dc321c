"""What all image priors with a latent space share: an image is a function of a latent that is fitted to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

JITTER = 0.1  # how much of a random latent is added to the origin


class LatentModel(nn.Module, ABC):
    """Base of the priors: x = decode(latent), one latent per image.

    A batch of latents is a tensor (B, *latent_shape). The images of a batch do not depend on each other in eval mode.
    """

    latent_shape: tuple[int, ...]
    """Of one image's latent."""
    size: int
    """Height and width of the images."""
    fit: dict[str, Any]
    """How a latent is fitted to an image: `lr`, Adam's step size; `spaces`, in which it can be, the model's own first;
    `lr_<space>`, the step size in another; `pull_<space>`, the weight of a Gaussian prior about the start, 0 where it
    is not given."""

    origin: Tensor
    """A latent in the middle of those of the training images, where the model keeps one; 0 before training."""

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Images (B, 3, size, size) in [0, 1] of latents (B, *latent_shape)."""

    @abstractmethod
    def start(self, generator: torch.Generator) -> Tensor:
        """A random latent (*latent_shape) as training starts from, on the CPU."""

    def begin(self, generator: torch.Generator) -> Tensor:
        """A latent (*latent_shape) to fit from where nothing is known: near `origin` where there is one."""
        start = self.start(generator)
        origin = getattr(self, "origin", None)
        if origin is None or not origin.any():
            return start
        return self.project_((origin.float().cpu() + JITTER * start)[None])[0]

    def project_(self, latent: Tensor) -> Tensor:
        """Move latents to the nearest allowed ones, in place; called after every step."""
        return latent

    def forward(self, latent: Tensor) -> Tensor:
        """The same as `decode`."""
        return self.decode(latent)

    def golden_input(self) -> Tensor:
        """A latent from a formula, for golden outputs."""
        count = int(torch.tensor(self.latent_shape).prod())
        waves = torch.sin(torch.arange(count, dtype=torch.float64) * 0.7) * 0.01
        return self.project_(waves.float().reshape(1, *self.latent_shape))
