"""VGG mirrored: a picture from the activations of one of the encoder's style layers, for AdaIN and WCT."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .vgg import BLOCKS, MEAN, STD, STYLE_LAYERS, VGGEncoder, channels


class Decoder(nn.Module):
    """Inverse of the encoder from any of its style layers, by blocks that are chained.

    Block l turns activations like those of conv{l}_1 into such of conv{l-1}_1, block 1 into a picture: the encoder's
    convolutions in reverse order, with nearest upsampling for its pooling and reflection padding.

    Args:
        width: Channels of the encoder's first layer.
        deepest: The block to begin with, 1 .. 5.
        repeats: At most so many convolutions between two style layers, beside the one that changes the channels; the
            encoder itself has up to 3.

    Raises:
        ValueError: a number out of range.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, width: int = 32, deepest: int = 5, repeats: int = 3) -> None:
        super().__init__()
        if width < 1 or not 1 <= deepest <= len(BLOCKS) or repeats < 0:
            raise ValueError(
                f"width, deepest, repeats: at least 1, 1..{len(BLOCKS)}, at least 0; got {(width, deepest, repeats)}"
            )
        self.deepest = deepest
        self.sizes = sizes = [3, *(channels(width)[layer] for layer in STYLE_LAYERS)]
        self.blocks = nn.ModuleList()  # blocks[l - 1] is block l
        for level in range(1, deepest + 1):
            inside, outside = sizes[level], sizes[level - 1]
            if level == 1:  # not linear, because the ReLU to be undone is not
                convs = [nn.Conv2d(inside, inside, 3), nn.Conv2d(inside, outside, 3)]
            else:
                count = min(repeats, BLOCKS[level - 2] - 1)
                convs = [nn.Conv2d(inside, outside, 3), *(nn.Conv2d(outside, outside, 3) for _ in range(count))]
            self.blocks.append(nn.ModuleList(convs))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        with torch.no_grad():  # the picture starts near grey
            self.get_parameter("blocks.0.1.weight").mul_(0.3)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, features: Tensor, level: int | None = None) -> list[Tensor]:
        """Decode from a level.

        Args:
            features: (B, c_l, h, w), like the encoder's at conv{level}_1; from 1 pixel.
            level: l; None: the deepest.

        Returns:
            Activations like those of conv{l-1}_1, ..., conv1_1, and the picture (B, 3, 2^(l-1) h, 2^(l-1) w), not
            clipped.

        Raises:
            ValueError: a level that there is no block for, or another number of channels.
        """
        level = self.deepest if level is None else level
        if not 1 <= level <= self.deepest:
            raise ValueError(f"level: 1..{self.deepest}, got {level}")
        expected = self.sizes[level]
        if features.ndim != 4 or features.shape[1] != expected:
            raise ValueError(f"features: expected (B, {expected}, h, w), got {tuple(features.shape)}")
        found: list[Tensor] = []
        x = features
        for number in range(level, 0, -1):
            block = self.blocks[number - 1]
            assert isinstance(block, nn.ModuleList)
            x = F.relu(block[0](pad(x)), inplace=True)
            if number == 1:
                found.append(self.mean + self.std * block[1](pad(x)))
                break
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            for conv in block[1:]:
                x = F.relu(conv(pad(x)), inplace=True)
            found.append(x)
        return found


def pad(x: Tensor) -> Tensor:
    """One pixel of reflection on each side; of repetition where there is nothing to reflect."""
    with torch.autocast(x.device.type, enabled=False):  # which on a CPU would go to float32 and back for this
        return F.pad(x, (1, 1, 1, 1), mode="reflect" if min(x.shape[-2:]) > 1 else "replicate")


def reflected(encoder: VGGEncoder, images: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
    """The encoder's activations with reflection in place of its zero padding, as both papers have it.

    Zeros beyond the border are a pattern of their own, which whitening and moments would spread into the picture.

    Args:
        encoder: The encoder.
        images: (B, 3, H, W) in [0, 1], at least 16 pixels a side for conv5_1.
        layers: Names of its layers; nothing deeper is computed.

    Returns:
        Layer -> activations, of the shapes that the encoder itself gives.
    """
    wanted = set(layers)
    found: dict[str, Tensor] = {}
    x = (images - encoder.mean) / encoder.std
    for name, conv in encoder.convs.items():
        if wanted <= found.keys():
            break
        if name.endswith("_1") and name != "conv1_1":
            x = F.avg_pool2d(x, 2)
        assert isinstance(conv, nn.Conv2d)
        x = F.relu(F.conv2d(pad(x), conv.weight, conv.bias), inplace=True)
        if name in wanted:
            found[name] = x
    return found


def fit(images: Tensor, multiple: int) -> Tensor:
    """Pictures (B, 3, H, W) with rows and columns repeated below and to the right, up to multiples of `multiple`."""
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % multiple, 0, -height % multiple), mode="replicate")


class Encoded(nn.Module):
    """A network that needs its encoder at run time and does not hold its weights: they are the encoder's own entry's.

    Args:
        encoder: Registry name of the encoder.
        encoder_width: Channels of its first layer.
    """

    encoder: str | None

    def __init__(self, encoder: str, encoder_width: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.encoder_width = encoder_width
        self._attached: list[VGGEncoder] = []  # in a list, so that its weights are not among this module's

    def attach(self, encoder: VGGEncoder) -> None:
        """Give it the encoder, instead of having it loaded by name.

        Raises:
            ValueError: one of another width.
        """
        if encoder.width != self.encoder_width:
            raise ValueError(f"encoder: {self.encoder} has the width {self.encoder_width}, not {encoder.width}")
        self._attached = [encoder]

    def perceptual(self, like: Tensor) -> VGGEncoder:
        """The encoder, loaded when first asked for, where `like` is."""
        if not self._attached:
            from ..loading import load

            assert self.encoder is not None
            loaded = load(self.encoder)
            assert isinstance(loaded, VGGEncoder)
            self.attach(loaded.requires_grad_(False))
        return self._attached[0].to(like)

    def golden_input(self) -> tuple[Tensor, Tensor]:
        """A content and a style from formulas."""
        axis = torch.arange(48) / 48
        content = torch.stack([0.5 + 0.4 * torch.sin(9 * axis[:, None] + (5 + k) * axis) for k in range(3)])[None]
        style = torch.stack([0.5 + 0.5 * torch.cos(40 * axis[:, None] * axis + 3 * k) for k in range(3)])[None]
        return content, style


def check_content(content: Tensor, intensity: float) -> None:
    """What all engines ask of their arguments; see `zoo.models.stylizer.Stylizer`.

    Raises:
        ValueError: a shape or a number that is not as stated there.
    """
    _check_picture("content", content)
    if not intensity >= 0:
        raise ValueError(f"intensity: at least 0, got {intensity}")


def check_styles(styles: Sequence[Tensor], weights: Sequence[float]) -> None:
    """What engines for any style ask of it; see `zoo.models.stylizer.Stylizer`.

    Raises:
        ValueError: shapes, numbers or values that are not as stated there.
    """
    for style in styles:
        _check_picture("styles", style)
    if not styles or len(styles) != len(weights):
        raise ValueError(f"weights: one for each of the {len(styles)} styles, at least one; got {len(weights)}")
    if min(weights) < 0 or abs(sum(weights) - 1) > 1e-4:
        raise ValueError(f"weights: at least 0 with the sum 1, got {list(weights)}")


def _check_picture(name: str, image: Tensor) -> None:
    if image.ndim != 4 or image.shape[1] != 3 or min(image.shape[-2:]) < 16:
        raise ValueError(f"{name}: expected (B, 3, H, W) of at least 16 pixels a side, got {tuple(image.shape)}")
