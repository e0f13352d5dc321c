"""WGAN-GP (Gulrajani et al. 2017) with the generator of DCGAN and a latent of 256: a baseline of the paper."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..registry import register_arch
from .glo import VectorGenerator
from .latent import LatentModel
from .lcm import SLOPE


class Critic(nn.Module):
    """A number for each image, the larger the more it looks like a real one. No batch norm: the penalty is per image.

    Args:
        width: Channels at 4×4; half as many with every doubling of the size, at least 16.
        size: Height and width of the images, 4·2^k.
    """

    def __init__(self, width: int = 512, size: int = 128) -> None:
        super().__init__()
        halvings = (size // 4).bit_length() - 1
        widths = [max(16, width >> k) for k in reversed(range(halvings))]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in itertools.pairwise([3, *widths]))
        self.linear = nn.Linear(widths[-1] * 16, 1)

    def forward(self, images: Tensor) -> Tensor:
        """(B,) of (B, 3, size, size) in [0, 1]."""
        x = (2 * images - 1).contiguous(memory_format=torch.channels_last)
        for conv in self.convs:
            x = F.leaky_relu(conv(x), SLOPE)
        return self.linear(x.flatten(1))[:, 0]


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Mean of (‖∇D(x̂)‖ − 1)² at x̂ = mix·real + (1 − mix)·fake.

    Args:
        critic: (B, 3, H, W) to (B,).
        real, fake: (B, 3, H, W).
        mix: (B, 1, 1, 1) in [0, 1].
    """
    between = (mix * real + (1 - mix) * fake).detach().requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (slope.float().flatten(1).norm(dim=1) - 1).square().mean()


@register_arch("wgan_gp")
class WGAN(LatentModel):
    """The generator of a WGAN-GP; to restore, its latent is fitted, without a prior on the latent, as in the paper.

    Args:
        size: Height and width of the images.
        dim: Length of the latent, Gaussian.
        width: Channels at the lowest resolution, 4×4.
    """

    def __init__(self, size: int = 128, dim: int = 256, width: int = 512) -> None:
        super().__init__()
        self.size = size
        self.latent_shape = (dim,)
        self.generator = VectorGenerator(dim, width, size)
        self.fit = {"lr": 5e-2, "spaces": ("z",)}

    def decode(self, latent: Tensor) -> Tensor:
        """g(z)."""
        return self.generator(latent)

    def start(self, generator: torch.Generator) -> Tensor:
        """Gaussian."""
        return torch.randn(self.latent_shape, generator=generator)
