"""A feed-forward start for restoration: from evidence of any kind to φ, in one pass (Athar et al. 2019, conclusion)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..registry import register_arch
from .autoencoder import Encoder
from .lcm import BOX


class LatentEncoder(nn.Module):
    """Latents along mean + Σ c_k v_k, the coefficients c from a convolutional encoder; all of one length.

    Without a fixed length they grow in training until a box of allowed latents cuts nearly all of their numbers off,
    and with them the gradient.

    Args:
        count: Numbers in a latent.
        rank: Number of coefficients.
        width: Channels of the encoder at 4×4.
        size: Height and width of the images.
        length: Root mean square of a latent.
    """

    def __init__(self, count: int, rank: int, width: int, size: int, length: float) -> None:
        super().__init__()
        self.size = size
        self.length = length
        self.encoder = Encoder(4, rank, width, size)
        self.mean = nn.Parameter(torch.zeros(count))
        self.basis = nn.Parameter(torch.randn(rank, count) * (0.5 / rank**0.5))

    def coefficients(self, evidence: Tensor) -> Tensor:
        """c (B, rank), in float32."""
        shifted = torch.cat([2 * evidence[:, :3] - 1, evidence[:, 3:]], 1)
        return self.encoder(shifted).float()

    def forward(self, evidence: Tensor) -> Tensor:
        """Latents (B, count) of evidence (B, 4, size, size), as `Degradation.evidence` makes it.

        The first three channels are a picture in [0, 1], roughly filled in where nothing is known; the fourth says in
        [0, 1] how much of a pixel is known.
        """
        return self.along(self.coefficients(evidence))

    def along(self, coefficients: Tensor) -> Tensor:
        """Latents (B, count) of c (B, rank)."""
        along = self.mean + coefficients @ self.basis
        return self.length * F.rms_norm(along, along.shape[1:])

    def fits(self, other: LatentEncoder) -> bool:
        """Whether the other one is for the same latents and of the same width and size."""
        mine, theirs = self.encoder.stages.state_dict(), other.encoder.stages.state_dict()
        same = mine.keys() == theirs.keys() and all(theirs[key].shape == value.shape for key, value in mine.items())
        return same and other.mean.shape == self.mean.shape

    @torch.no_grad()
    def adopt(self, other: LatentEncoder, evidence: Tensor) -> None:
        """Become another encoder. If it has more coefficients, their principal components are kept; if it has fewer,
        the rest stay as they were, at a tenth of their size.

        Args:
            other: An encoder of the same latents, width and size.
            evidence: Of pictures whose coefficients say which components matter, (B, 4, size, size).

        Raises:
            ValueError: it differs in more than the number of coefficients, or too little evidence.
        """
        rank = len(self.basis)
        if not self.fits(other):
            raise ValueError(f"an encoder of {len(other.basis)} coefficients does not become this one of {rank}")
        if rank < len(other.basis) and len(evidence) < rank:
            raise ValueError(f"evidence: of at least {rank} pictures, to keep as many components, got {len(evidence)}")
        self.encoder.stages.load_state_dict(other.encoder.stages.state_dict())
        if len(other.basis) <= rank:
            self._extend(other)
            return
        found = torch.cat([other.coefficients(part) for part in evidence.split(50)])
        middle = found.mean(0)
        spread = torch.linalg.svd((found - middle).double() @ other.basis.double(), full_matrices=False)
        directions = spread.Vh[:rank]  # orthonormal, those of the largest variance first
        scale = spread.S[:rank] / max(1, len(found)) ** 0.5
        scale = scale.clamp_min(max(1e-6, 1e-3 * float(scale[0])))[:, None]
        change = (other.basis.double() @ directions.T / scale.T).T  # (rank, other's rank): c' = change (c - middle)
        linear = other.encoder.linear
        self.encoder.linear.weight.copy_(change @ linear.weight.double())
        self.encoder.linear.bias.copy_(change @ (linear.bias - middle).double())
        self.mean.copy_(other.mean + middle @ other.basis)
        self.basis.copy_(scale * directions)

    def _extend(self, other: LatentEncoder) -> None:
        known = len(other.basis)
        self.mean.copy_(other.mean)
        self.basis[:known] = other.basis
        for mine, theirs in zip(self.encoder.linear.parameters(), other.encoder.linear.parameters(), strict=True):
            mine[:known] = theirs
            mine[known:] *= 0.1


@register_arch("lcm_encoder")
class LCMEncoder(LatentEncoder):
    """φ of a latent convolutional model, in its box and as long as those that training starts from.

    The evidence comes as a picture of the full size and a map of what is known, so that one encoder serves all
    degradations: what is missing is filled in roughly beforehand.

    Args:
        phi: Number of weights of a latent net, N_φ.
        rank: Number of coefficients.
        width: Channels of the encoder at 4×4.
        size: Height and width of the images.
    """

    def __init__(self, phi: int = 24336, rank: int = 128, width: int = 256, size: int = 128) -> None:
        super().__init__(phi, rank, width, size, BOX / 3**0.5)
        self.latent_shape = (phi,)

    def along(self, coefficients: Tensor) -> Tensor:
        """φ (B, N_φ) in [-0.01, 0.01] of c (B, rank)."""
        return super().along(coefficients).clamp(-BOX, BOX)

    def golden_input(self) -> Tensor:
        """Evidence from a formula."""
        axis = torch.arange(self.size, dtype=torch.float64) / self.size
        waves = [torch.sin(6.28 * (k * axis[:, None] + axis)) / 2 + 0.5 for k in (1, 2, 3)]
        return torch.stack([*waves, torch.ones(self.size, self.size)]).float()[None]
