"""A feed-forward start for restoration: from evidence of any kind to φ, in one pass (Athar et al. 2019, conclusion)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..registry import register_arch
from .autoencoder import Encoder
from .lcm import BOX


@register_arch("lcm_encoder")
class LCMEncoder(nn.Module):
    """φ = mean + Σ c_k v_k, with the coefficients c from a convolutional encoder, clamped to the box.

    The evidence comes as a picture of the full size and a map of what is known, so that one encoder serves all
    degradations: what is missing is filled in roughly beforehand.

    Args:
        phi: Number of weights of a latent net, N_φ.
        rank: Number of coefficients.
        width: Channels of the encoder at 4×4.
        size: Height and width of the images.
    """

    def __init__(self, phi: int = 24336, rank: int = 128, width: int = 256, size: int = 128) -> None:
        super().__init__()
        self.size = size
        self.latent_shape = (phi,)
        self.encoder = Encoder(4, rank, width, size)
        self.mean = nn.Parameter(torch.zeros(phi))
        # in units of the box, so that coefficients of about 1 reach across it
        self.basis = nn.Parameter(torch.randn(rank, phi) / rank**0.5)

    def forward(self, evidence: Tensor) -> Tensor:
        """φ (B, N_φ) in [-0.01, 0.01] of evidence (B, 4, size, size), as `Degradation.evidence` makes it.

        The first three channels are a picture in [0, 1], roughly filled in where nothing is known; the fourth says in
        [0, 1] how much of a pixel is known.
        """
        shifted = torch.cat([2 * evidence[:, :3] - 1, evidence[:, 3:]], 1)
        return (BOX * (self.mean + self.encoder(shifted).float() @ self.basis)).clamp(-BOX, BOX)

    def golden_input(self) -> Tensor:
        """Evidence from a formula."""
        axis = torch.arange(self.size, dtype=torch.float64) / self.size
        waves = [torch.sin(6.28 * (k * axis[:, None] + axis)) / 2 + 0.5 for k in (1, 2, 3)]
        return torch.stack([*waves, torch.ones(self.size, self.size)]).float()[None]
