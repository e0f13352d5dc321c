"""Convolutions of the smallest maps with the most channels, as the generators have them, by products of matrices.

A few rows times a large matrix, or many small matrices at once: written as that, they take half the time of the general
convolution or less, in bfloat16 on a processor. In float32, and for larger maps, the general one is the faster.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Map = Callable[[Tensor], Tensor]
SMALL = 16  # pixels of a map
MANY = 6  # pictures from which on the matrices of groups are worth making


def _as_product(x: Tensor, pixels: int) -> bool:
    if x.device.type != "cpu" or pixels > SMALL:
        return False
    autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    return autocast or x.dtype == torch.bfloat16


class Halve(nn.Conv2d):
    """Convolution 4×4 with stride 2, padding 1 and no bias."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(inside, outside, 4, 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, h, w) to (B, outside, h / 2, w / 2), rounded down."""
        B, _, h, w = x.shape
        if h % 2 or w % 2 or not _as_product(x, h * w // 4):
            return super().forward(x)
        rows = _Linear.apply(x, patches, overlap).reshape(B * (h // 2) * (w // 2), 16 * self.in_channels)
        y = F.linear(rows, self.weight.permute(0, 2, 3, 1).reshape(self.out_channels, 16 * self.in_channels))
        return y.view(B, h // 2, w // 2, self.out_channels).permute(0, 3, 1, 2)


class Double(nn.ConvTranspose2d):
    """Its transpose."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__(inside, outside, 4, 2, 1, bias=False)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """(B, inside, h, w) to (B, outside, 2h, 2w)."""
        B, C, h, w = x.shape
        if output_size is not None or not _as_product(x, h * w):
            return super().forward(x, output_size)
        rows = x.permute(0, 2, 3, 1).reshape(B * h * w, C)
        columns = rows @ self.weight.permute(0, 2, 3, 1).reshape(C, 16 * self.out_channels)
        return _Linear.apply(columns.view(B, h, w, 4, 4, self.out_channels), overlap, patches)


class Grouped(nn.Conv2d):
    """Convolution 3×3 in groups of a few channels, dilated by 2 and padded to keep the size, without bias."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__(channels, channels, 3, padding=2, dilation=2, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) to the same."""
        B, C, h, w = x.shape
        G, c, P = self.groups, C // self.groups, h * w
        if B < MANY or not _as_product(x, P):
            return super().forward(x)
        # of each group one matrix, from all its channels at all pixels to all its channels at all pixels
        taps = self.weight.reshape(-1, 9) @ _reach(h, w).to(self.weight.dtype)
        matrices = taps.view(G, c, c, P, P).permute(0, 3, 2, 4, 1).reshape(G, P * c, P * c)
        rows = x.permute(0, 2, 3, 1).reshape(B, P, G, c).permute(2, 0, 1, 3).reshape(G, B, P * c)
        y = torch.bmm(rows, matrices).view(G, B, P, c).permute(1, 2, 0, 3)
        return y.reshape(B, h, w, C).permute(0, 3, 1, 2)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # it is kept, for those who want gradients too
def _reach(h: int, w: int) -> Tensor:
    """Which pixel each tap of a convolution 3×3, dilated by 2, brings to which: (9, h w h w), 0 or 1, (from, to)."""
    reach = torch.zeros(3, 3, h, w, h, w)
    for a, b, i, j in itertools.product(range(3), range(3), range(h), range(w)):
        y, x = i + 2 * a - 2, j + 2 * b - 2
        if 0 <= y < h and 0 <= x < w:
            reach[a, b, y, x, i, j] = 1
    return reach.view(9, -1)


def patches(x: Tensor) -> Tensor:
    """What a convolution 4×4 with stride 2 sees of x (B, C, 2h, 2w), padded by 1: (B, h, w, 4, 4, C)."""
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).contiguous()
    B, height, width, C = padded.shape
    row = width * C
    size = (B, height // 2 - 1, width // 2 - 1, 4, 4, C)
    return padded.as_strided(size, (height * row, 2 * row, 2 * C, row, C, 1)).contiguous()


def overlap(columns: Tensor) -> Tensor:
    """The transpose of `patches`: (B, h, w, 4, 4, C), each added where it came from, to (B, C, 2h, 2w)."""
    B, h, w, _, _, C = columns.shape
    halves = columns.reshape(B, h, w, 2, 2, 2, 2, C)  # each side of a patch in two halves of two pixels
    padded = columns.new_zeros(B, h + 1, 2, w + 1, 2, C)
    for a in range(2):
        for b in range(2):
            padded[:, a : a + h, :, b : b + w] += halves[:, :, :, a, :, b].permute(0, 1, 3, 2, 4, 5)
    return padded.view(B, 2 * h + 2, 2 * w + 2, C)[:, 1:-1, 1:-1].contiguous().permute(0, 3, 1, 2)


class _Linear(torch.autograd.Function):
    """A linear map, whose gradient is its transpose, whose gradient is the map again."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, apply: Map, transpose: Map) -> Tensor:
        ctx.maps = transpose, apply
        return apply(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return _Linear.apply(grad, *ctx.maps), None, None
