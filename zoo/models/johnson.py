"""One style in one pass (Johnson et al., Perceptual losses for real-time style transfer, ECCV 2016).

With instance normalisation (Ulyanov et al., Improved texture networks, CVPR 2017) and, against checkerboard patterns,
nearest upsampling before a convolution instead of transposed convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..registry import register_arch
from .decoder import check_content


class Conv(nn.Module):
    """Convolution with reflection padding, and instance normalisation unless told otherwise."""

    def __init__(self, inside: int, outside: int, size: int, stride: int = 1, norm: bool = True) -> None:
        super().__init__()
        self.reach = size // 2
        self.conv = nn.Conv2d(inside, outside, size, stride, bias=not norm)
        self.norm = nn.InstanceNorm2d(outside, affine=True) if norm else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, h, w) -> (B, outside, ⌈h/stride⌉, ⌈w/stride⌉)."""
        mode = "reflect" if min(x.shape[-2:]) > self.reach else "replicate"
        with torch.autocast(x.device.type, enabled=False):  # which on a CPU would go to float32 and back for this
            padded = F.pad(x, [self.reach] * 4, mode=mode)
        y = self.conv(padded)
        # a map of one pixel has no variance to normalise by
        return y if self.norm is None or y.shape[-2:].numel() == 1 else self.norm(y)


class Residual(nn.Module):
    """x + Conv(ReLU(Conv(x))), no ReLU after the sum (Gross & Wilber 2016, as in the paper)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Conv(channels, channels, 3)
        self.second = Conv(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """The shape stays."""
        return x + self.second(F.relu(self.first(x)))


@register_arch("johnson")
class Johnson(nn.Module):
    """Down by 4, residual blocks, up by 4; the paper's network has the width 32 and 5 blocks.

    Args:
        style: Name of the painting of `zoo.gallery` that it was trained for; what it computes does not depend on it.
        width: Channels at full resolution.
        blocks: Residual blocks.

    Raises:
        ValueError: a number below 1.
    """

    encoder: str | None = None

    def __init__(self, style: str, width: int = 16, blocks: int = 5) -> None:
        super().__init__()
        if min(width, blocks) < 1:
            raise ValueError(f"width, blocks: at least 1, got {(width, blocks)}")
        self.style = style
        self.down = nn.ModuleList([Conv(3, width, 9), Conv(width, 2 * width, 3, 2), Conv(2 * width, 4 * width, 3, 2)])
        self.blocks = nn.Sequential(*(Residual(4 * width) for _ in range(blocks)))
        self.up = nn.ModuleList([Conv(4 * width, 2 * width, 3), Conv(2 * width, width, 3)])
        self.last = Conv(width, 3, 9, norm=False)

    def forward(self, content: Tensor) -> Tensor:
        """The content (B, 3, H, W) in [0, 1], any size from 1 pixel, in the style; in [0, 1].

        Raises:
            ValueError: another shape.
        """
        if content.ndim != 4 or content.shape[1] != 3:
            raise ValueError(f"content: expected (B, 3, H, W), got {tuple(content.shape)}")
        sizes = []
        x = content - 0.5
        for conv in self.down:
            sizes.append(x.shape[-2:])
            x = F.relu(conv(x))
        x = self.blocks(x)
        for conv, size in zip(self.up, (sizes[2], sizes[1]), strict=True):
            x = F.relu(conv(F.interpolate(x, size=size, mode="nearest")))
        # slightly wider than [0, 1], so that black and white can be reached
        return (0.5 + 0.55 * torch.tanh(self.last(x))).clamp(0, 1)

    def stylise(
        self, content: Tensor, styles: Sequence[Tensor], weights: Sequence[float], intensity: float = 1.0
    ) -> Tensor:
        """The content in the one style that was trained; `styles` and `weights` do not matter.

        Args:
            content: (B, 3, H, W) in [0, 1], at least 16 pixels a side.
            styles, weights: As in `zoo.models.stylizer.Stylizer`.
            intensity: From 0, the content itself, to 1, by mixing pixels; above 1 it counts as 1.

        Returns:
            (B, 3, H, W) in [0, 1].

        Raises:
            ValueError: arguments that are not as stated.
        """
        check_content(content, intensity)
        # under autocast the network answers in half precision
        return torch.lerp(content, self(content).to(content), min(intensity, 1.0))
