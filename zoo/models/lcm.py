"""Latent convolutional models (Athar, Burnaev & Lempitsky, ICLR 2019): an image is g(f_φ(s)).

s is fixed noise, f_φ a small convolutional network of the image's own (the latent is its weights φ), and g a generator
that all images share. The maps z = f_φ(s) for all φ in a box form the convolutional manifold (equation 1).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..registry import register_arch
from .latent import LatentModel
from .small_maps import Double, Grouped, Halve

SLOPE = 0.2  # of every leaky ReLU
BOX = 0.01  # B of equation 1: φ is in [-B, B]
NOISE = 0.1  # s is uniform in [0, 0.1]


def phi_count(widths: Sequence[int]) -> int:
    """Number of weights of a latent net with these channels, N_φ; 24,336 for (2, 8, 16, 32, 64)."""
    return sum(9 * a * b for a, b in itertools.pairwise(widths))


def latent_nets(phi: Tensor, s: Tensor, widths: Sequence[int]) -> Tensor:
    """z = f_φ(s) for a batch of latent nets at once: grouped convolutions, one group an image.

    Each net is 3×3 convolutions without padding and bias; all but the last are followed by batch norm, with the
    statistics of this image alone and without affine parameters, and all by a leaky ReLU.

    Args:
        phi: Weights, (B, N_φ), layer by layer, each as (out, in, 3, 3).
        s: Noise (C_s, H, W).
        widths: Channels from s to z.

    Returns:
        z, (B, C_z, H − 2n, W − 2n) for n layers.

    Raises:
        ValueError: `phi` is of another size.
    """
    if phi.ndim != 2 or phi.shape[1] != phi_count(widths):
        raise ValueError(f"phi: expected (B, {phi_count(widths)}), got {tuple(phi.shape)}")
    count, start = len(phi), 0
    x = s[None]  # the first layer is the same input for all: an ordinary convolution with B times the channels
    for layer, (inside, outside) in enumerate(itertools.pairwise(widths)):
        end = start + 9 * inside * outside
        weight = phi[:, start:end].reshape(count * outside, inside, 3, 3)
        x = F.conv2d(x, weight.to(x.dtype), groups=1 if layer == 0 else count)  # (1, B·out, h, w)
        if layer < len(widths) - 2:
            x = F.instance_norm(x)
        x = F.leaky_relu(x, SLOPE)
        start = end
    return x.reshape(count, widths[-1], *x.shape[-2:])


def _norm_act(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.LeakyReLU(SLOPE, inplace=True)]


def down(inside: int, outside: int) -> nn.Sequential:
    """Halves height and width: convolution 4×4 with stride 2, batch norm, leaky ReLU."""
    return nn.Sequential(Halve(inside, outside), *_norm_act(outside))


def up(inside: int, outside: int) -> nn.Sequential:
    """Doubles height and width: transposed convolution 4×4 with stride 2, batch norm, leaky ReLU."""
    return nn.Sequential(Double(inside, outside), *_norm_act(outside))


class Generator(nn.Module):
    """g_θ, an hourglass with two skip connections: z to the image.

    At full width for 128 px (38 M parameters): z (64, 32, 32) → 256 (16²) → 512 (8²) → 1024 (4²), three dilated
    grouped convolutions there, and up again to 128 (64²); then bilinear to 128² and three convolutions.

    Args:
        channels: Of z.
        encode: Channels after each halving.
        decode: Channels after each doubling by a transposed convolution; one more doubling is bilinear. The first two
            also take what the skip connections bring.
        middle: Number of dilated convolutions at the lowest resolution.
        groups: Of these.
    """

    def __init__(
        self, channels: int, encode: Sequence[int], decode: Sequence[int], middle: int = 3, groups: int = 512
    ) -> None:
        super().__init__()
        if len(encode) < 2 or len(decode) < 2:
            raise ValueError(f"encode, decode: at least 2 widths each, got {list(encode)}, {list(decode)}")
        self.encode = nn.ModuleList(down(a, b) for a, b in itertools.pairwise([channels, *encode]))
        lowest = encode[-1]
        layers: list[nn.Module] = []
        for _ in range(middle):
            layers.append(Grouped(lowest, groups))
            layers += _norm_act(lowest)
        self.middle = nn.Sequential(*layers)
        inputs = [2 * lowest, decode[0] + encode[-2], *decode[1:-1]]
        self.decode = nn.ModuleList(up(a, b) for a, b in zip(inputs, decode, strict=True))
        last = decode[-1]
        self.head = nn.Sequential(
            nn.Conv2d(last, last // 2, 3, padding=1, bias=False),
            *_norm_act(last // 2),
            nn.Conv2d(last // 2, last // 4, 3, padding=1, bias=False),
            *_norm_act(last // 4),
            nn.Conv2d(last // 4, 3, 3, padding=1),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Images in [0, 1] of z (B, C, h, w)."""
        x = z.contiguous(memory_format=torch.channels_last)
        maps = []
        for stage in self.encode:
            x = stage(x)
            maps.append(x)
        x = torch.cat([self.middle(x), x], 1)
        for index, stage in enumerate(self.decode):
            x = stage(x)
            if index == 0:
                x = torch.cat([x, maps[-2]], 1)
        x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        return torch.sigmoid(self.head(x).float())


# size of the images -> channels of the latent net, and of the generator's halvings and doublings at full width.
# For 128 px those of the paper's code; for 256 and 1024 px what the paper gives (map sizes, number of layers of f, and
# a latent of 61k and 135k; about 30 M and 40 M parameters of g) leaves the widths open. 64 px is not in the paper.
SIZES: dict[int, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]] = {
    64: ((2, 8, 16, 32, 64), (256, 512), (512, 256, 128)),
    128: ((2, 8, 16, 32, 64), (256, 512, 1024), (512, 512, 256, 128)),
    256: ((2, 8, 16, 32, 64, 64), (128, 256, 512, 512), (512, 512, 512, 256, 128)),
    1024: ((2, 8, 16, 32, 64, 64, 64, 64), (256, 512, 1024), (512, 512, 256, 128)),
}


def scaled(size: int, width: float) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]:
    """Channels for a size and a width: of the latent net, of both halves of the generator, and the groups between.

    Raises:
        ValueError: a size that no generator is known for, or a width that leaves no channels.
    """
    if size not in SIZES:
        raise ValueError(f"size: one of {sorted(SIZES)}, got {size}")
    latent, encode, decode = SIZES[size]
    encode, decode = (tuple(round(width * c) for c in half) for half in (encode, decode))
    if min(encode + decode) < 4 or encode[-1] % 2:
        raise ValueError(f"width: {width} leaves {encode} and {decode} channels")
    return latent, encode, decode, encode[-1] // 2


def latent_side(size: int) -> int:
    """Height and width of z."""
    return size // 4


@register_arch("lcm")
class LCM(LatentModel):
    """A latent convolutional model: latents are φ, (B, N_φ), in [-0.01, 0.01].

    Args:
        size: Height and width of the images: 64, 128, 256 or 1024.
        width: Of the generator, as a share of the paper's channels.
        seed: Of the noise s.
    """

    s: Tensor

    def __init__(self, size: int = 128, width: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self.widths, encode, decode, groups = scaled(size, width)
        self.size = size
        self.latent_shape = (phi_count(self.widths),)
        side = latent_side(size) + 2 * (len(self.widths) - 1)  # 40 for 128 px
        noise = torch.rand(self.widths[0], side, side, generator=torch.Generator().manual_seed(seed)) * NOISE
        self.register_buffer("s", noise.half().float())  # as float16, so that it survives being stored so
        self.generator = Generator(self.widths[-1], encode, decode, groups=groups)
        self.register_buffer("origin", torch.zeros(self.latent_shape))
        self.fit = {"lr": 5e-4, "lr_z": 5e-3, "spaces": ("phi", "z"), "pull_phi": 5e-3}

    def latent(self, phi: Tensor) -> Tensor:
        """z = f_φ(s): (B, N_φ) to (B, 64, size / 4, size / 4)."""
        return latent_nets(phi, self.s, self.widths)

    def decode(self, latent: Tensor) -> Tensor:
        """g(f_φ(s)) of φ."""
        return self.generator(self.latent(latent))

    def start(self, generator: torch.Generator) -> Tensor:
        """φ uniform in the box."""
        return (2 * torch.rand(self.latent_shape, generator=generator) - 1) * BOX

    def project_(self, latent: Tensor) -> Tensor:
        """Clamps φ to the box."""
        return latent.clamp_(-BOX, BOX)
