"""The loss of style transfer where each region of a picture has a style of its own (Luan et al., CVPR 2017, eq. 3).

    L_TV(X) = Σ_r s_r Σ_l β_l/α_r · ‖Gram_l,r(X) − Gram_l,r(S)‖²_F / c_l²  +  content  +  total variation

Gram_l,r is that of the activations in region r alone, Fᵀ diag(m_r) F / Σ m_r; s_r is the region's share of the picture.
With one region of everything it is the loss of `zoo.style.loss`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..models.vgg import CONTENT_LAYER, STYLE_LAYERS, VGGEncoder
from .loss import CONTENT_WEIGHT, TV_WEIGHT, Grams, Terms, alpha, total_variation


@dataclass(frozen=True)
class Area:
    """A style, and where in the picture it applies."""

    grams: Grams
    """Of the style, (1, c, c) each."""
    mask: Tensor
    """Share of each pixel, (1, 1, H, W) in [0, 1], not 0 everywhere."""


def masked_gram(features: Tensor, mask: Tensor) -> Tensor:
    """Gram matrix of the activations in a region, weighted by its share of each pixel.

    Args:
        features: (B, c, h, w).
        mask: (1, 1, H, W) in [0, 1], reduced to h × w by means.

    Returns:
        (B, c, c); zero where the region is nowhere.
    """
    weight = F.interpolate(mask.to(features), size=features.shape[-2:], mode="area").flatten(2)  # (1, 1, n)
    rows = features.flatten(2)
    return (rows * weight) @ rows.transpose(1, 2) / weight.sum().clamp_min(1e-8)


def masked_targets(encoder: VGGEncoder, style: Tensor, masks: Sequence[Tensor]) -> list[dict[str, Tensor]]:
    """Gram matrices of regions of a style picture; the encoder sees the whole picture once.

    Args:
        encoder: Perceptual encoder.
        style: (1, 3, h, w) in [0, 1].
        masks: (1, 1, h, w) each.

    Returns:
        For each mask style layer -> (1, c, c).
    """
    features = encoder(style, STYLE_LAYERS)
    return [{layer: masked_gram(features[layer], mask) for layer in STYLE_LAYERS} for mask in masks]


def regional_terms(
    encoder: VGGEncoder,
    x: Tensor,
    areas: Sequence[Area],
    content_features: Tensor,
    betas: Tensor | Sequence[float] | None = None,
    content_weight: float = CONTENT_WEIGHT,
    tv_weight: float = TV_WEIGHT,
    features: Mapping[str, Tensor] | None = None,
) -> Terms:
    """The loss in parts, as `zoo.style.loss.loss_terms`, of one picture (1, 3, H, W) with a style in each area."""
    x = x.clamp(0, 1)
    if features is None:
        features = encoder(x, {*STYLE_LAYERS, CONTENT_LAYER})
    style = x.new_zeros(1, len(STYLE_LAYERS))
    for area in areas:
        share = area.mask.to(x).mean()
        scale = alpha(area.grams).clamp(min=1e-20)
        far = [
            (masked_gram(features[layer], area.mask) - target).square().mean((1, 2)) / scale
            for layer, target in area.grams.items()
        ]
        style = style + share * torch.stack(far, 1)
    if betas is not None:
        style = style * torch.as_tensor(betas, dtype=style.dtype, device=style.device)
    distance = features[CONTENT_LAYER] - content_features
    return Terms(style, content_weight * distance.square().mean((1, 2, 3)), tv_weight * total_variation(x))
