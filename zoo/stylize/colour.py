"""Keeping the colours of the content (Gatys et al., Preserving color in neural style transfer, 2016, section 4)."""

from __future__ import annotations

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""Y of YIQ."""


def luminance(image: Tensor) -> Tensor:
    """Y of pictures (B, 3, H, W), as grey pictures (B, 3, H, W)."""
    weights = torch.tensor(LUMA, dtype=image.dtype, device=image.device).view(1, 3, 1, 1)
    return (weights * image).sum(1, keepdim=True).expand(-1, 3, -1, -1).contiguous()


def matched(style: Tensor, content: Tensor) -> Tensor:
    """A style's luminance with the mean and the deviation of the content's: L' = σ_C / σ_S · (L_S − μ_S) + μ_C.

    Args:
        style, content: Grey pictures (1, 3, h, w) and (1, 3, H, W) in [0, 1].

    Returns:
        (1, 3, h, w), clipped to [0, 1].
    """
    spread, mean = torch.std_mean(style, correction=0)
    target_spread, target_mean = torch.std_mean(content, correction=0)
    gain = target_spread / spread.clamp_min(1e-6)
    return ((style - mean) * gain + target_mean).clamp(0, 1)


def recoloured(result: Tensor, content: Tensor) -> Tensor:
    """The luminance of a result with the colours of the content.

    I and Q of YIQ are the content's own, up to rounding: Y goes only so far that no channel has to be clipped.

    Args:
        result: (1, 3, H, W), any picture; its luminance counts.
        content: (1, 3, H, W) in [0, 1].

    Returns:
        (1, 3, H, W) in [0, 1].
    """
    colour = content - luminance(content)  # the same for every Y
    lowest, highest = -colour.amin(1, keepdim=True), 1 - colour.amax(1, keepdim=True)
    y = torch.minimum(torch.maximum(luminance(result)[:, :1], lowest), highest)
    return (colour + y).clamp(0, 1)
