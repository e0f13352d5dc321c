"""VGG-19 up to conv5_1 as a perceptual encoder (Simonyan & Zisserman 2015; average pooling as in Gatys et al. 2016)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..registry import register_arch

# convolutions of each block; the block's channels are width * (1, 2, 4, 8, 8)
BLOCKS = (2, 2, 4, 4, 1)
LAYERS = tuple(f"conv{block + 1}_{index + 1}" for block, count in enumerate(BLOCKS) for index in range(count))
STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
CONTENT_LAYER = "conv4_2"
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def channels(width: int) -> dict[str, int]:
    """Channels of each layer for a width (64 in VGG-19)."""
    return {name: width * min(8, 2 ** (int(name[4]) - 1)) for name in LAYERS}


def fold_norm(conv: nn.Module, norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Weight and bias of the convolution that does what a convolution and batch norm in eval mode do.

    Raises:
        TypeError: other modules than `nn.Conv2d` and `nn.BatchNorm2d` with running statistics.
    """
    if not isinstance(conv, nn.Conv2d) or not isinstance(norm, nn.BatchNorm2d):
        raise TypeError(f"expected Conv2d and BatchNorm2d, got {type(conv).__name__} and {type(norm).__name__}")
    if norm.running_mean is None or norm.running_var is None:
        raise TypeError("norm: has no running statistics")
    gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = norm.bias - norm.running_mean * gain
    if conv.bias is not None:
        bias = bias + conv.bias * gain
    return conv.weight * gain[:, None, None, None], bias


class VGGEncoder(nn.Module):
    """The 13 convolutions conv1_1 .. conv5_1 of VGG-19, 3x3 with zero padding, each followed by a ReLU.

    Args:
        width: Channels of the first block: 64 for VGG-19, 32 for the half-width one.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.width = width
        self.channels = channels(width)
        self.convs = nn.ModuleDict()
        count = 3
        for name, out in self.channels.items():
            self.convs[name] = nn.Conv2d(count, out, 3, padding=1)
            count = out
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor, layers: Iterable[str] = LAYERS) -> dict[str, Tensor]:
        """Activations after the ReLU of the named layers.

        Args:
            images: (B, 3, H, W) in [0, 1], at least 16 pixels high and wide for conv5_1.
            layers: Names among `LAYERS`; nothing deeper than the deepest of them is computed.

        Returns:
            Name -> (B, C, H / 2^k, W / 2^k), k the number of the block, from 0.

        Raises:
            ValueError: an unknown layer, or images of another shape.
        """
        wanted = set(layers)
        if unknown := sorted(wanted - set(LAYERS)):
            raise ValueError(f"layers: unknown {unknown}; known are {list(LAYERS)}")
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images: expected (B, 3, H, W), got {tuple(images.shape)}")
        found: dict[str, Tensor] = {}
        x = (images - self.mean) / self.std
        for name, conv in self.convs.items():
            if wanted <= found.keys():
                break
            if name.endswith("_1") and name != "conv1_1":
                x = F.avg_pool2d(x, 2)
            x = F.relu(conv(x))
            if name in wanted:
                found[name] = x
        return found


class VGGClassifier(nn.Module):
    """The encoder as it is trained: batch norm after each convolution, and a linear classifier on pooled conv5_1.

    Args:
        width: Channels of the first block.
        classes: Number of classes.
        dropout: Share of the pooled features that training drops.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int = 32, classes: int = 200, dropout: float = 0.0) -> None:
        super().__init__()
        self.width = width
        self.convs = nn.ModuleDict()
        self.norms = nn.ModuleDict()
        count = 3
        for name, out in channels(width).items():
            conv = nn.Conv2d(count, out, 3, padding=1, bias=False)
            nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
            self.convs[name] = conv
            self.norms[name] = nn.BatchNorm2d(out)
            count = out
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(count, classes)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Scores (B, classes) of images (B, 3, H, W) in [0, 1]."""
        x = (images - self.mean) / self.std
        for name, conv in self.convs.items():
            if name.endswith("_1") and name != "conv1_1":
                x = F.avg_pool2d(x, 2)
            x = F.relu(self.norms[name](conv(x)), inplace=True)
        return self.head(self.dropout(x.mean((2, 3))))

    @torch.no_grad()
    def fold(self) -> VGGEncoder:
        """The encoder with batch norm's running statistics folded into its convolutions: the same activations."""
        encoder = VGGEncoder(self.width)
        for name in LAYERS:
            weight, bias = fold_norm(self.convs[name], self.norms[name])
            encoder.load_state_dict({f"convs.{name}.weight": weight, f"convs.{name}.bias": bias}, strict=False)
        return encoder


@torch.no_grad()
def normalise(encoder: VGGEncoder, batches: Sequence[Tensor]) -> dict[str, float]:
    """Rescale weights in place so that each layer's activations have root mean square 1: one number a layer.

    ReLU and average pooling commute with positive factors, so the layers see the same patterns as before. Not one
    number a channel: rarely active channels would then dominate the Gram matrices.

    Args:
        encoder: The encoder.
        batches: Images to measure on, each (B, 3, H, W) in [0, 1].

    Returns:
        The root mean square of each layer before.
    """
    total = dict.fromkeys(LAYERS, 0.0)
    count = dict.fromkeys(LAYERS, 0)
    for images in batches:
        for name, activation in encoder(images).items():
            total[name] += float(activation.double().square().sum())
            count[name] += activation.numel()
    rms = {name: (total[name] / count[name]) ** 0.5 for name in LAYERS}
    before = 1.0
    state = encoder.state_dict()
    for name in LAYERS:
        state[f"convs.{name}.weight"].mul_(before / rms[name])
        state[f"convs.{name}.bias"].div_(rms[name])
        before = rms[name]
    return rms


def convert_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's state from that of `torchvision.models.vgg19`; its deeper layers are left out.

    Raises:
        ValueError: a tensor is missing or has another shape than in VGG-19.
    """
    converted: dict[str, Tensor] = {}
    index = 0
    shapes = {key: value.shape for key, value in VGGEncoder(64).state_dict().items()}
    for name in LAYERS:
        if name.endswith("_1") and name != "conv1_1":
            index += 1  # the pooling
        for kind in ("weight", "bias"):
            key, target = f"features.{index}.{kind}", f"convs.{name}.{kind}"
            if key not in state or state[key].shape != shapes[target]:
                found = tuple(state[key].shape) if key in state else "nothing"
                raise ValueError(f"not a VGG-19: {key} should be {tuple(shapes[target])}, the file has {found}")
            converted[target] = state[key]
        index += 2
    return converted


@register_arch("vgg19_half")
def vgg19_half(width: int = 32) -> VGGEncoder:
    """The half-width encoder: 32, 64, 128, 256, 256 channels."""
    return VGGEncoder(width)


@register_arch("vgg19")
def vgg19() -> VGGEncoder:
    """The full-width encoder: 64, 128, 256, 512, 512 channels."""
    return VGGEncoder(64)
