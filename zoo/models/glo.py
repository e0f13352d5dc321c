"""GLO (Bojanowski et al. 2018) as the baselines of the latent convolutional models: the latent is z itself."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..registry import register_arch
from .latent import LatentModel
from .lcm import SLOPE, Generator, latent_side, scaled, up


def into_ball_(latent: Tensor) -> Tensor:
    """Scale latents (B, ...) that are outside the ball of radius √(numbers in a latent) onto it, in place.

    To the gradient the scale is a constant.
    """
    with torch.no_grad():
        rms = latent.square().flatten(1).mean(1).sqrt().view(-1, *[1] * (latent.ndim - 1))
    return latent.div_(rms.clamp(min=1.0))


class VectorGenerator(nn.Module):
    """A linear layer to 4×4 maps, then transposed convolutions up to the image: the generator of DCGAN.

    Args:
        dim: Length of the input.
        width: Channels at 4×4; halved with every doubling of the size, down to 16.
        size: Height and width of the images.

    Raises:
        ValueError: a size that is not 4·2^k.
    """

    def __init__(self, dim: int, width: int, size: int) -> None:
        super().__init__()
        doublings = (size // 4).bit_length() - 1
        if size != 4 << doublings or doublings < 1:
            raise ValueError(f"size: 4·2^k, at least 8, got {size}")
        widths = [max(16, width >> k) for k in range(doublings)]
        self.linear = nn.Linear(dim, width * 16, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.stages = nn.Sequential(*(up(a, b) for a, b in itertools.pairwise(widths)))
        self.last = nn.ConvTranspose2d(widths[-1], 3, 4, 2, 1)

    def forward(self, vector: Tensor) -> Tensor:
        """Images (B, 3, size, size) in [0, 1] of vectors (B, dim)."""
        x = self.linear(vector).unflatten(1, (-1, 4, 4)).contiguous(memory_format=torch.channels_last)
        x = F.leaky_relu(self.norm(x), SLOPE)
        return torch.sigmoid(self.last(self.stages(x)).float())


@register_arch("glo")
class GLO(LatentModel):
    """GLO with a convolutional latent: the generator of LCM on maps that are free.

    For 128 px the latent is (24, 32, 32), 24,576 numbers, as many as LCM's. GLO keeps it in the
    unit ball; here it is larger by the root of its length, so that its numbers are about 1.

    Args:
        size: Height and width of the images.
        width: Of the generator, as a share of LCM's channels.
        channels: Of the latent.
    """

    def __init__(self, size: int = 128, width: float = 1.0, channels: int = 24) -> None:
        super().__init__()
        _, encode, decode, groups = scaled(size, width)
        self.size = size
        self.latent_shape = (channels, latent_side(size), latent_side(size))
        self.generator = Generator(channels, encode, decode, groups=groups)
        self.register_buffer("origin", torch.zeros(self.latent_shape))
        self.fit = {"lr": 0.1, "spaces": ("z",)}

    def decode(self, latent: Tensor) -> Tensor:
        """g(z)."""
        return self.generator(latent)

    def start(self, generator: torch.Generator) -> Tensor:
        """Gaussian noise of unit standard deviation."""
        return torch.randn(self.latent_shape, generator=generator)

    def project_(self, latent: Tensor) -> Tensor:
        """Into the ball of the radius that Gaussian noise has."""
        return into_ball_(latent)


@register_arch("glo_vector")
class GLOVector(LatentModel):
    """GLO with a latent vector, a linear layer and transposed convolutions (the paper's appendix B).

    Args:
        size: Height and width of the images, 4·2^k.
        dim: Length of the latent.
        width: Channels at the lowest resolution, 4×4.
    """

    def __init__(self, size: int = 128, dim: int = 2048, width: int = 512) -> None:
        super().__init__()
        self.size = size
        self.latent_shape = (dim,)
        self.generator = VectorGenerator(dim, width, size)
        self.register_buffer("origin", torch.zeros(self.latent_shape))
        self.fit = {"lr": 0.2, "spaces": ("z",)}

    def decode(self, latent: Tensor) -> Tensor:
        """g(z)."""
        return self.generator(latent)

    def start(self, generator: torch.Generator) -> Tensor:
        """Gaussian noise of unit standard deviation."""
        return torch.randn(self.latent_shape, generator=generator)

    def project_(self, latent: Tensor) -> Tensor:
        """Into the ball of the radius that Gaussian noise has."""
        return into_ball_(latent)
