"""Gram matrices of a content picture, for solvers whose filters are differences of style and content."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from ..models.flexible_solver import FlexibleSolver, Style
from ..models.vgg import STYLE_LAYERS, VGGEncoder
from ..tiles import parts
from .loss import Grams
from .regional import masked_gram

TILE = 1024
"""Pictures with longer sides go through the encoder in parts: its maps of 4 megapixels would take 3 GB."""
HALO = 64
"""What it sees beyond a part, pixels."""
PIXEL = 16
"""Side in pixels of what a value at conv5_1 stands for."""


def styles_for(
    solver: FlexibleSolver, encoder: VGGEncoder, content: Tensor, styles: Sequence[tuple[Grams, Tensor | None]]
) -> list[Style]:
    """The styles as the solver takes them, with the content's own matrices if it needs them.

    Args:
        solver: The solver.
        encoder: The one that the solver was trained for.
        content: (1, 3, H, W) in [0, 1].
        styles: Gram matrices of each style, and where it applies, (1, 1, H, W) in [0, 1], None: everywhere.
    """
    masks = [mask for _, mask in styles]
    own = own_grams(encoder, content, masks) if solver.filters == "difference" else [None] * len(masks)
    return [
        Style(tuple(grams[layer] for layer in STYLE_LAYERS), mask, matrices)
        for (grams, mask), matrices in zip(styles, own, strict=True)
    ]


@torch.no_grad()
def own_grams(encoder: VGGEncoder, content: Tensor, masks: Sequence[Tensor | None]) -> list[tuple[Tensor, ...]]:
    """Gram matrices of regions of a content picture.

    Args:
        encoder: Perceptual encoder.
        content: (1, 3, H, W) in [0, 1], sides of at least 16 pixels.
        masks: (1, 1, H, W) in [0, 1] each, None: everything.

    Returns:
        For each mask the matrices (1, c, c) of the style layers; zero where the region is nowhere.
    """
    everywhere = torch.ones_like(content[:, :1])
    shares = [everywhere if mask is None else mask.to(content) for mask in masks]
    sums = [[content.new_zeros(1, 1, 1) for _ in STYLE_LAYERS] for _ in masks]
    boxes = product(*(parts(side, TILE, HALO, PIXEL) for side in content.shape[2:]))
    for (rows, inner_rows), (columns, inner_columns) in boxes:
        features = encoder(content[..., rows, columns], STYLE_LAYERS)
        for total, share in zip(sums, shares, strict=True):
            seen = share[..., rows, columns]
            part = torch.zeros_like(seen)  # what is seen beyond the part counts for nothing
            part[..., inner_rows, inner_columns] = seen[..., inner_rows, inner_columns]
            for level, layer in enumerate(STYLE_LAYERS):
                total[level] = total[level] + part.sum() * masked_gram(features[layer], part)
    return [
        tuple(level / share.sum().clamp_min(1e-8) for level in total) for total, share in zip(sums, shares, strict=True)
    ]
