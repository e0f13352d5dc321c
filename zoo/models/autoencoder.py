"""The autoencoder among the baselines of the latent convolutional models: a vector of 1024, trained with their loss."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from ..registry import register_arch
from .glo import VectorGenerator
from .latent import LatentModel
from .lcm import down


class Encoder(nn.Module):
    """Convolutions with stride 2 down to 4×4, and a linear layer: the mirror image of `VectorGenerator`.

    Args:
        channels: Of the input; 3 for a picture.
        dim: Length of the output.
        width: Channels at 4×4; half as many with every doubling of the size, at least 16.
        size: Height and width of the input, 4·2^k.
    """

    def __init__(self, channels: int, dim: int, width: int, size: int) -> None:
        super().__init__()
        halvings = (size // 4).bit_length() - 1
        widths = [max(16, width >> k) for k in reversed(range(halvings))]
        self.stages = nn.Sequential(*(down(a, b) for a, b in itertools.pairwise([channels, *widths])))
        self.linear = nn.Linear(widths[-1] * 16, dim)

    def forward(self, images: Tensor) -> Tensor:
        """(B, dim) of (B, channels, size, size)."""
        x = self.stages(images.contiguous(memory_format=torch.channels_last))
        return self.linear(x.flatten(1))


@register_arch("ae")
class AutoEncoder(LatentModel):
    """x ≈ g(e(x)). To restore, the latent is fitted as with every other prior, from the code of the evidence.

    Args:
        size: Height and width of the images.
        dim: Length of the code.
        width: Channels at the lowest resolution, 4×4.
    """

    def __init__(self, size: int = 128, dim: int = 1024, width: int = 512) -> None:
        super().__init__()
        self.size = size
        self.latent_shape = (dim,)
        self.encoder = Encoder(3, dim, width, size)
        self.generator = VectorGenerator(dim, width, size)
        self.fit = {"lr": 0.1, "spaces": ("z",)}

    def encode(self, images: Tensor) -> Tensor:
        """Codes (B, dim) of images (B, 3, size, size) in [0, 1]."""
        return self.encoder(2 * images - 1)

    def decode(self, latent: Tensor) -> Tensor:
        """Images of codes."""
        return self.generator(latent)

    def start(self, generator: torch.Generator) -> Tensor:
        """A small random code: the encoder's are not bounded, and 0 is a saddle."""
        return 0.01 * torch.randn(self.latent_shape, generator=generator)
