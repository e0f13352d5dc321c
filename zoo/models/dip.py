"""Deep image prior (Ulyanov, Vedaldi & Lempitsky, CVPR 2018): an untrained hourglass, fitted to one picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..registry import register_arch

SLOPE = 0.2
NOISE = 0.1  # the input is uniform in [0, 0.1]


def _conv(inside: int, outside: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, stride, size // 2, padding_mode="reflect"),
        nn.BatchNorm2d(outside),
        nn.LeakyReLU(SLOPE),
    )


class Hourglass(nn.Module):
    """The paper's "skip" network: levels of stride-2 convolutions down and bilinear doublings up, thin skips between.

    Batch norm always takes the statistics of the one picture.

    Args:
        width: Channels everywhere; 128 in the paper.
        levels: Number of halvings.
        skip: Channels of a skip connection.
        inputs: Channels of the input noise.
    """

    def __init__(self, width: int = 128, levels: int = 5, skip: int = 4, inputs: int = 32) -> None:
        super().__init__()
        self.inputs, self.levels = inputs, levels
        before = [inputs] + [width] * (levels - 1)
        self.downs = nn.ModuleList(nn.Sequential(_conv(c, width, 3, 2), _conv(width, width, 3)) for c in before)
        self.skips = nn.ModuleList(_conv(c, skip, 1) for c in before)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width + skip) for _ in before)
        self.ups = nn.ModuleList(nn.Sequential(_conv(width + skip, width, 3), _conv(width, width, 1)) for _ in before)
        self.last = nn.Conv2d(width, 3, 1)

    def forward(self, noise: Tensor) -> Tensor:
        """A picture (1, 3, H, W) in [0, 1] of noise (1, inputs, H, W), both sides at least 2^levels."""
        x, skipped = noise.contiguous(memory_format=torch.channels_last), []
        for stage, skip in zip(self.downs, self.skips, strict=True):
            skipped.append(skip(x))
            x = stage(x)
        for stage, norm, side in reversed(list(zip(self.ups, self.norms, skipped, strict=True))):
            x = F.interpolate(x, size=side.shape[-2:], mode="bilinear", align_corners=False)
            x = stage(norm(torch.cat([x, side], 1)))
        return torch.sigmoid(self.last(x).float())


@register_arch("dip")
class DIP(nn.Module):
    """The recipe of a deep image prior; the network itself is made anew for every picture, by `network`.

    Args:
        width: Channels of the hourglass; 128 in the paper.
        levels: Its number of halvings.
        jitter: Standard deviation of the noise that is added to the input at every step.
        lr: Of Adam.
    """

    def __init__(self, width: int = 128, levels: int = 5, jitter: float = 1 / 30, lr: float = 0.01) -> None:
        super().__init__()
        self.width, self.levels, self.jitter, self.lr = width, levels, jitter, lr

    def network(self, height: int, width: int, seed: int) -> tuple[Hourglass, Tensor]:
        """A fresh network in training mode and its input noise (1, 32, height, width).

        A picture that is smaller than the network's lowest resolution allows gets fewer levels.

        Raises:
            ValueError: a side below 8 pixels.
        """
        if min(height, width) < 8:
            raise ValueError(f"image: height and width must be at least 8 for a deep image prior, got {height}×{width}")
        # reflection needs 2 pixels at the lowest level
        levels = min(self.levels, int(math.log2(min(height, width))) - 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = Hourglass(self.width, levels).to(memory_format=torch.channels_last)
            noise = torch.rand(1, net.inputs, height, width) * NOISE
        return net, noise
