"""The loss of style transfer, L_TV of Puy & Perez (A flexible convolutional solver, CVPR 2019, eq. 1, 2 and sec. 5.1).

L_TV(X) = Σ_l β_l/α · ‖Gram_l(X) − Gram_l(S)‖²_F / c_l²  +  0.02 · ‖F − C‖²_F / (n c) at conv4_2  +  0.3 · TV(X)

with α = Σ_l ‖Gram_l(S)‖²_F / c_l², so that the style term is 1 where X has no style at all (Gram matrices of zero).
All functions take batches, and what they give for one picture does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.vgg import CONTENT_LAYER, STYLE_LAYERS, VGGEncoder
from ..precision import at_least_single

CONTENT_WEIGHT = 0.02
TV_WEIGHT = 0.3

Grams = Mapping[str, Tensor]
"""Style layer -> (B, c, c)."""


@dataclass(frozen=True)
class Terms:
    """The loss of each picture in parts, weights included; they add up to `total`."""

    style: Tensor
    """(B, number of style layers), β_l/α times eq. (2)."""
    content: Tensor
    """(B,)"""
    tv: Tensor
    """(B,)"""

    @property
    def total(self) -> Tensor:
        """(B,)"""
        return self.style.sum(1) + self.content + self.tv


def gram(features: Tensor) -> Tensor:
    """Gram matrices FᵀF / n, in float32 also under autocast.

    Args:
        features: (B, c, h, w); n = h·w.

    Returns:
        (B, c, c).
    """
    rows = features.flatten(2)  # (B, c, n), the transpose of the paper's F
    with torch.autocast(features.device.type, enabled=False):
        rows = at_least_single(rows)
        return rows @ rows.transpose(1, 2) / rows.shape[2]


def style_targets(encoder: VGGEncoder, style: Tensor, layers: Sequence[str] = STYLE_LAYERS) -> dict[str, Tensor]:
    """Gram matrices of style pictures.

    Args:
        encoder: Perceptual encoder.
        style: (B, 3, H, W) in [0, 1].
        layers: The style layers.

    Returns:
        Layer -> (B, c, c), in the order of `layers`.
    """
    features = encoder(style, layers)
    return {layer: gram(features[layer]) for layer in layers}


def content_target(encoder: VGGEncoder, content: Tensor, layer: str = CONTENT_LAYER) -> Tensor:
    """Features (B, c, h, w) of content pictures (B, 3, H, W) in [0, 1] at the content layer."""
    return encoder(content, [layer])[layer]


def alpha(grams: Grams) -> Tensor:
    """α = Σ_l ‖Gram_l‖²_F / c_l² of each style, (B,): it makes styles transfer to similar degrees (sec. 5.1)."""
    return torch.stack([matrix.square().mean((1, 2)) for matrix in grams.values()]).sum(0)


def total_variation(image: Tensor) -> Tensor:
    """Mean over the values of a picture of |horizontal| + |vertical| differences, (B,), of (B, C, H, W).

    A mean, so that its weight means the same for any size.
    """
    across = image.diff(dim=3).abs().sum((1, 2, 3))
    down = image.diff(dim=2).abs().sum((1, 2, 3))
    return (across + down) / image[0].numel()


def loss_terms(
    encoder: VGGEncoder,
    x: Tensor,
    grams: Grams,
    content_features: Tensor,
    betas: Tensor | Sequence[float] | None = None,
    content_weight: float = CONTENT_WEIGHT,
    tv_weight: float = TV_WEIGHT,
    features: Mapping[str, Tensor] | None = None,
) -> Terms:
    """`total_loss` in parts; see there.

    `features`: what the encoder makes of x, clipped, at the style layers and conv4_2, where that is known already.
    """
    x = x.clamp(0, 1)
    if features is None:
        features = encoder(x, {*grams, CONTENT_LAYER})
    scale = alpha(grams).clamp(min=1e-20)
    distances = [(gram(features[layer]) - target).square().mean((1, 2)) / scale for layer, target in grams.items()]
    style = torch.stack(distances, 1)  # (B, layers)
    if betas is not None:
        style = style * torch.as_tensor(betas, dtype=style.dtype, device=style.device)
    # float32 also under autocast
    distance = (features[CONTENT_LAYER] - content_features).to(style.dtype)
    return Terms(style, content_weight * distance.square().mean((1, 2, 3)), tv_weight * total_variation(x))


def total_loss(
    encoder: VGGEncoder,
    x: Tensor,
    grams: Grams,
    content_features: Tensor,
    betas: Tensor | Sequence[float] | None = None,
    content_weight: float = CONTENT_WEIGHT,
    tv_weight: float = TV_WEIGHT,
) -> Tensor:
    """L_TV of each picture, differentiable.

    Args:
        encoder: Perceptual encoder; it must be the one that made `grams` and `content_features`.
        x: Stylised pictures (B, 3, H, W); clipped to [0, 1] first, so where a pixel is outside its gradient is 0.
        grams: Of `style_targets`, for B styles or one.
        content_features: Of `content_target`, for B pictures or one, of the size of x.
        betas: β of each style layer in the order of `grams`, (layers,) or (B, layers); None: all 1.
        content_weight: λ_c at conv4_2.
        tv_weight: λ_TV, of `total_variation`.

    Returns:
        (B,).
    """
    return loss_terms(encoder, x, grams, content_features, betas, content_weight, tv_weight).total
