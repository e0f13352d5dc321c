"""Adaptive instance normalisation (Huang & Belongie, Arbitrary style transfer in real-time, ICCV 2017), at conv4_1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..precision import at_least_single
from ..registry import register_arch
from .decoder import Decoder, Encoded, check_content, check_styles, fit, reflected

LAYER = "conv4_1"
LEVEL = 4
EPS = 1e-5


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over the pixels, (B, c, 1, 1) each, in float32 also under autocast.

    A little is added to the variance, so that the deviation of a channel that is the same everywhere has a gradient.
    """
    features = at_least_single(features)
    variance, mean = torch.var_mean(features, dim=(2, 3), keepdim=True, correction=0)
    return mean, (variance + EPS).sqrt()


def adain(content: Tensor, style: tuple[Tensor, Tensor]) -> Tensor:
    """σ(y) (x − μ(x)) / σ(x) + μ(y): the content's features with the moments of the style's (equation 8)."""
    mean, deviation = moments(content)
    return style[1] * (content - mean) / deviation + style[0]


@register_arch("adain")
class AdaIN(Encoded):
    """T = g((1 − α) f(c) + α Σ_k w_k AdaIN(f(c), f(s_k))) (equations 14 and 15), f the encoder up to conv4_1.

    Args:
        encoder: Registry name of the encoder that the decoder g was trained for.
        encoder_width: Channels of its first layer.
        repeats: Of the decoder, see `Decoder`.
    """

    def __init__(self, encoder: str = "vgg19_half.tiny_imagenet", encoder_width: int = 32, repeats: int = 3) -> None:
        super().__init__(encoder, encoder_width)
        self.decoder = Decoder(encoder_width, LEVEL, repeats)

    def stylise(
        self, content: Tensor, styles: Sequence[Tensor], weights: Sequence[float], intensity: float = 1.0
    ) -> Tensor:
        """The content in a mixture of styles; see `zoo.models.stylizer.Stylizer`.

        Args:
            content: (B, 3, H, W) in [0, 1], at least 16 pixels a side.
            styles: (B or 1, 3, h, w) each, in [0, 1], at least 16 pixels a side.
            weights: w_k ≥ 0, their sum is 1.
            intensity: α; what is above 1 counts as 1.

        Returns:
            (B, 3, H, W), not clipped.

        Raises:
            ValueError: arguments that are not as stated.
        """
        check_content(content, intensity)
        check_styles(styles, weights)
        encoder = self.perceptual(content)
        f = reflected(encoder, fit(content, 2 ** (LEVEL - 1)), [LAYER])[LAYER]  # (B, c, H/8, W/8)
        f = at_least_single(f)  # as the moments are, also under autocast
        t = torch.zeros_like(f)
        for style, weight in zip(styles, weights, strict=True):
            t = t + weight * adain(f, moments(reflected(encoder, style, [LAYER])[LAYER]))
        alpha = min(intensity, 1.0)
        image = self.decoder(torch.lerp(f, t, alpha))[-1]
        return image[..., : content.shape[2], : content.shape[3]]

    def forward(self, content: Tensor, style: Tensor, intensity: float = 1.0) -> Tensor:
        """The content (B, 3, H, W) in the style of a picture, clipped to [0, 1]; see `stylise`."""
        return self.stylise(content, [style], [1.0], intensity).clamp(0, 1)
