"""DnCNN (Zhang et al. 2017) and DnCNN-TV, denoisers of colour pictures with white Gaussian noise."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from ..layers import TVLayer2d
from ..registry import register_arch
from .vgg import fold_norm


class DnCNN(nn.Module):
    """DnCNN(I) = R(I) + I, or with TV layers prox(R(J) + J, lam_out), J = prox(I, lam_in) (paper 2022, eq. 13 and 14).

    R is a stack of 3x3 convolutions with ReLUs in between. The network trains with batch norm after all but the first
    and the last of them; `merge_norm` then gives the same function without.

    Args:
        channels: Channels of the picture.
        depth: Number of convolutions, at least 2: 17 for one noise level and 20 for a range in the original.
        width: Channels inside.
        tv: Add the TV layers, each with one trained lam for all channels.
        norm: Batch norm, for training.
        lam: lam_in and lam_out before training, in the units of the picture.

    Raises:
        ValueError: `depth` below 2.
    """

    def __init__(
        self,
        channels: int = 3,
        depth: int = 17,
        width: int = 64,
        *,
        tv: bool = False,
        norm: bool = False,
        lam: float = 0.005,
    ) -> None:
        super().__init__()
        if depth < 2:
            raise ValueError(f"depth: at least 2, got {depth}")
        self.channels, self.width, self.tv = channels, width, tv
        counts = [channels, *[width] * (depth - 1), channels]
        self.convs = nn.ModuleList()
        self.norms = nn.ModuleList()
        for index, (before, after) in enumerate(itertools.pairwise(counts)):
            inner = 0 < index < depth - 1
            conv = nn.Conv2d(before, after, 3, padding=1, bias=not (norm and inner))
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
            self.convs.append(conv)
            self.norms.append(nn.BatchNorm2d(after) if norm and inner else nn.Identity())
        with torch.no_grad():
            # start near the identity: the residual is small whatever the depth
            conv.weight.mul_(0.1)
        self.tv_in = TVLayer2d(channels, lam=lam, share_channels=True) if tv else nn.Identity()
        self.tv_out = TVLayer2d(channels, lam=lam, share_channels=True) if tv else nn.Identity()

    def forward(self, image: Tensor) -> Tensor:
        """Denoise.

        Args:
            image: (B, C, H, W), noise around a picture in [0, 1].

        Returns:
            Tensor like `image`, not clipped.
        """
        image = self.tv_in(image)
        x = image
        last = len(self.convs) - 1
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            x = norm(conv(x))
            if index < last:
                x = torch.relu(x)
        return self.tv_out(image + x.to(image.dtype))

    @torch.no_grad()
    def merge_norm(self) -> DnCNN:
        """A network without batch norm that computes what this one does in eval mode."""
        merged = DnCNN(self.channels, len(self.convs), self.width, tv=self.tv)
        state: dict[str, Tensor] = {k: v for k, v in self.state_dict().items() if not k.startswith("norms.")}
        for index, norm in enumerate(self.norms):
            if isinstance(norm, nn.BatchNorm2d):
                weight, bias = fold_norm(self.convs[index], norm)
                state |= {f"convs.{index}.weight": weight, f"convs.{index}.bias": bias}
        merged.load_state_dict(state)
        return merged


@register_arch("dncnn")
def dncnn(channels: int = 3, depth: int = 17, width: int = 64) -> DnCNN:
    """Plain DnCNN, without batch norm."""
    return DnCNN(channels, depth, width)


@register_arch("dncnn_tv")
def dncnn_tv(channels: int = 3, depth: int = 17, width: int = 64) -> DnCNN:
    """DnCNN with TV layers at input and output, without batch norm."""
    return DnCNN(channels, depth, width, tv=True)
