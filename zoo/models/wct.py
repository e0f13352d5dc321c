"""Whitening and colouring transform (Li et al., Universal style transfer via feature transforms, NIPS 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..precision import at_least_single
from ..registry import register_arch
from .decoder import Decoder, Encoded, check_content, check_styles, fit, reflected
from .vgg import STYLE_LAYERS

LEVELS = len(STYLE_LAYERS)
FLOOR = 1e-5
"""Of the largest eigenvalue of a covariance: directions with less variance are not amplified up to 1, which keeps the
noise in them small. It is also the least variance at all, the encoder's activations being of root mean square 1."""
RIDGE = 0.1
"""Of the mean eigenvalue, times c/n where that is below 1: what is added to the eigenvalues, of contents and styles.
A covariance of c channels that n pixels say little about is mostly noise, and equalising that leaves no picture."""


@dataclass(frozen=True)
class Statistics:
    """What a level knows of a style."""

    mean: Tensor
    """(B, c, 1)."""
    root: Tensor
    """(B, c, c), the square root of the covariance."""


def covariance(features: Tensor, ridge: float) -> tuple[Tensor, Tensor, Tensor]:
    """Centred features (B, c, n), their mean (B, c, 1) and covariance (B, c, c) of features (B, c, h, w).

    In float32 also under autocast, in float64 for float64. `ridge` is added to the eigenvalues, see `RIDGE`.
    """
    rows = features.flatten(2)
    c, n = rows.shape[1:]
    with torch.autocast(features.device.type, enabled=False):
        rows = at_least_single(rows)
        mean = rows.mean(2, keepdim=True)
        rows = rows - mean
        matrix = rows @ rows.mT / n
        more = ridge * min(1.0, c / n) * matrix.diagonal(dim1=1, dim2=2).mean(1)
        return rows, mean, matrix + more[:, None, None] * torch.eye(c).to(matrix)


def power(matrix: Tensor, exponent: float) -> Tensor:
    """A power of symmetric positive semidefinite matrices (B, c, c), in float64; small eigenvalues are raised."""
    values, vectors = torch.linalg.eigh(matrix.double())
    least = (FLOOR * values[:, -1:]).clamp_min(FLOOR)
    # to a negative power, what is below the floor grows no more; to a positive one, it counts as it is
    values = torch.maximum(values, least) if exponent < 0 else values.clamp_min(0)
    return vectors * values.pow(exponent)[:, None] @ vectors.mT


def statistics(features: Tensor, ridge: float = RIDGE) -> Statistics:
    """Mean and square root of the covariance of a style's features (B, c, h, w)."""
    _, mean, matrix = covariance(features, ridge)
    return Statistics(mean, power(matrix, 0.5))


def whiten_colour(
    features: Tensor, styles: Sequence[Statistics], weights: Sequence[float], ridge: float = RIDGE
) -> Tensor:
    """Features whose covariance is the style's: E_s D_s^½ E_sᵀ E_c D_c^−½ E_cᵀ (f − μ_c) + μ_s (equations 1 and 2).

    Args:
        features: (B, c, h, w), from 1 pixel.
        styles: Of `statistics` at the same level, for B styles or one.
        weights: The results for the styles are mixed in these shares.
        ridge: See `RIDGE`; 0: exactly the style's covariance, where the content's has full rank.

    Returns:
        (B, c, h, w).
    """
    rows, _, matrix = covariance(features, ridge)
    whitening = power(matrix, -0.5)
    colouring = torch.stack([weight * style.root for style, weight in zip(styles, weights, strict=True)]).sum(0)
    mean = torch.stack([weight * style.mean for style, weight in zip(styles, weights, strict=True)]).sum(0)
    with torch.autocast(features.device.type, enabled=False):
        coloured = (colouring @ whitening).to(rows) @ rows + mean.to(rows)
    return coloured.view_as(features).to(features)


@register_arch("wct")
class WCT(Encoded):
    """Five passes, from conv5_1 to conv1_1: encode, whiten and colour, decode (section 3.3). One decoder serves all.

    Args:
        encoder: Registry name of the encoder that the decoder was trained for.
        encoder_width: Channels of its first layer.
        repeats: See `Decoder`.
        carry: Carry past each level what the decoder does not reproduce of its input, x − g(f(x)). With a perfect
            decoder that is nothing, and this the paper's; a small one would lose the picture at conv5_1.
    """

    def __init__(
        self,
        encoder: str = "vgg19_half.tiny_imagenet",
        encoder_width: int = 32,
        repeats: int = 1,
        carry: bool = True,
    ) -> None:
        super().__init__(encoder, encoder_width)
        self.carry = carry
        self.decoder = Decoder(encoder_width, LEVELS, repeats)

    def stylise(
        self, content: Tensor, styles: Sequence[Tensor], weights: Sequence[float], intensity: float = 1.0
    ) -> Tensor:
        """The content in a mixture of styles; see `zoo.models.stylizer.Stylizer`.

        Args:
            content: (B, 3, H, W) in [0, 1], at least 16 pixels a side.
            styles: (B or 1, 3, h, w) each, in [0, 1], at least 16 pixels a side.
            weights: Of the styles, ≥ 0, their sum is 1.
            intensity: α of equation 3, the share of the transformed features at each level; above 1 it counts as 1.

        Returns:
            (B, 3, H, W), not clipped.

        Raises:
            ValueError: arguments that are not as stated.
        """
        check_content(content, intensity)
        check_styles(styles, weights)
        encoder = self.perceptual(content)
        known = [
            {layer: statistics(features) for layer, features in reflected(encoder, style, STYLE_LAYERS).items()}
            for style in styles
        ]
        alpha = min(intensity, 1.0)
        x = fit(content, 2 ** (LEVELS - 1))
        for level in range(LEVELS, 0, -1):
            layer = STYLE_LAYERS[level - 1]
            x = x.clamp(0, 1)
            f = reflected(encoder, x, [layer])[layer]
            coloured = whiten_colour(f, [style[layer] for style in known], weights)
            made = self.decoder(torch.lerp(f, coloured, alpha), level)[-1]
            x = made + (x - self.decoder(f, level)[-1]) if self.carry else made
        return x[..., : content.shape[2], : content.shape[3]]

    def forward(self, content: Tensor, style: Tensor, intensity: float = 1.0) -> Tensor:
        """The content (B, 3, H, W) in the style of a picture, clipped to [0, 1]; see `stylise`."""
        return self.stylise(content, [style], [1.0], intensity).clamp(0, 1)
