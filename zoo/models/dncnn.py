"""DnCNN (Zhang et al. 2017) and DnCNN-TV, denoisers of colour pictures with white Gaussian noise."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..layers import TVLayer2d
from ..layers.tv import inverse_softplus
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

    @property
    def has_norm(self) -> bool:
        """Whether it has batch norm, as for training."""
        return any(isinstance(norm, nn.BatchNorm2d) for norm in self.norms)

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

    @torch.no_grad()
    def scaled(self, factor: float) -> DnCNN:
        """A network for noise `factor` times as strong: m + factor · (f(m + (I − m) / factor) − m), m mid-grey.

        It sees the picture with its contrast divided by the factor, so that the noise is as this one knows it. Exact
        but for the border of the first convolution; strengths of TV layers grow with the factor.

        Args:
            factor: Positive.

        Raises:
            ValueError: a factor that is not positive, or a network with batch norm, which is to be merged before.
        """
        if not factor > 0:
            raise ValueError(f"factor: positive, got {factor}")
        if self.has_norm:
            raise ValueError("factor: the network has batch norm; merge it first")
        other = copy.deepcopy(self)
        first, last = other.convs[0], other.convs[-1]
        assert isinstance(first, nn.Conv2d) and isinstance(last, nn.Conv2d)
        assert first.bias is not None and last.bias is not None
        first.bias += (0.5 - 0.5 / factor) * first.weight.sum((1, 2, 3))
        first.weight /= factor
        last.weight *= factor
        last.bias *= factor
        for layer in (other.tv_in, other.tv_out):
            if isinstance(layer, TVLayer2d):
                # factor · prox(I / factor, lam) = prox(I, factor · lam)
                layer.raw_lam.fill_(inverse_softplus(factor * float(layer.lam)))
        return other

    @torch.no_grad()
    def deepened(self, depth: int) -> DnCNN:
        """The same function by more convolutions: new ones before the last pass on what a ReLU gives (Net2Net).

        Args:
            depth: At least the present one.

        Raises:
            ValueError: `depth` below the present one, or a network with batch norm, which is to be merged before.
        """
        if depth < len(self.convs):
            raise ValueError(f"depth: at least {len(self.convs)}, got {depth}")
        if self.has_norm:
            raise ValueError("depth: the network has batch norm; merge it first")
        other = DnCNN(self.channels, depth, self.width, tv=self.tv)
        state = self.state_dict()
        last = len(self.convs) - 1
        moved = {key: key.replace(f"convs.{last}.", f"convs.{depth - 1}.") for key in state}
        other.load_state_dict({moved[key]: value for key, value in state.items()}, strict=False)
        for conv in other.convs[last : depth - 1]:
            assert isinstance(conv, nn.Conv2d) and conv.bias is not None
            nn.init.dirac_(conv.weight)
            nn.init.zeros_(conv.bias)
        return other

    @torch.no_grad()
    def take_merged(self, merged: DnCNN, batches: Sequence[Tensor]) -> None:
        """Take the weights of a network without batch norm, so that this one computes the same: undoes `merge_norm`.

        Batch norm with mean m, variance v, weight sqrt(v + eps) and bias m + b adds b, whatever m and v. They are those
        of the batches, so that in training mode, with the statistics of a batch, it adds about b too.

        Args:
            merged: Without batch norm. If it has no TV layers and this one does, these stay as they are.
            batches: Noisy pictures to measure on, each (B, C, H, W) of one size.

        Raises:
            ValueError: another depth or width, a network with batch norm, or with TV layers that this one lacks.
        """
        before, now = ((len(one.convs), one.width, one.channels) for one in (merged, self))
        if before != now:
            raise ValueError("its depth, width and channels are {}, {}, {}, not {}, {}, {}".format(*before, *now))
        if merged.has_norm:
            raise ValueError("it has batch norm")
        if merged.tv and not self.tv:
            raise ValueError("it has TV layers, and this one has none")
        state = merged.state_dict()
        own = self.state_dict()
        self.load_state_dict({key: value for key, value in state.items() if key in own}, strict=False)
        inner = {index: norm for index, norm in enumerate(self.norms) if isinstance(norm, nn.BatchNorm2d)}
        biases = {index: state[f"convs.{index}.bias"] for index in inner}
        seen: dict[int, list[Tensor]] = {index: [] for index in inner}
        hooks = []
        for index, norm in inner.items():
            norm.reset_running_stats()
            _act_as_bias(norm, biases[index])

            def add(_: nn.Module, __: object, x: Tensor, sums: list[Tensor] = seen[index]) -> None:
                x = x.double()
                sums.append(torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))]))

            hooks.append(self.convs[index].register_forward_hook(add))
        training = self.training
        self.eval()
        for batch in batches:
            self(batch)
        self.train(training)
        for hook in hooks:
            hook.remove()
        for index, norm in inner.items():
            mean, square = torch.stack(seen[index]).mean(0)
            norm.load_state_dict({"running_mean": mean, "running_var": (square - mean**2).clamp(min=0)}, strict=False)
            _act_as_bias(norm, biases[index])


def _act_as_bias(norm: nn.BatchNorm2d, bias: Tensor) -> None:
    """Set weight and bias of batch norm so that with its running statistics it does nothing but add `bias`."""
    assert norm.running_mean is not None and norm.running_var is not None
    norm.weight.copy_(torch.sqrt(norm.running_var + norm.eps))
    norm.bias.copy_(norm.running_mean + bias)


@register_arch("dncnn")
def dncnn(channels: int = 3, depth: int = 17, width: int = 64) -> DnCNN:
    """Plain DnCNN, without batch norm."""
    return DnCNN(channels, depth, width)


@register_arch("dncnn_tv")
def dncnn_tv(channels: int = 3, depth: int = 17, width: int = 64) -> DnCNN:
    """DnCNN with TV layers at input and output, without batch norm."""
    return DnCNN(channels, depth, width, tv=True)
