"""Unconditional samples of a latent convolutional model: PCA of the trained φ, and a Gaussian mixture on it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..registry import register_arch


@register_arch("lcm_sampler")
class LCMSampler(nn.Module):
    """φ = mean + c·V, c from a mixture of Gaussians with full covariance (Athar et al. 2019, appendix I).

    Args:
        phi: Number of weights of a latent net, N_φ.
        rank: Principal components, of standard deviation 1 each.
        components: Gaussians in the mixture.
    """

    mean: Tensor
    basis: Tensor
    weights: Tensor
    centres: Tensor
    factors: Tensor

    def __init__(self, phi: int = 24336, rank: int = 112, components: int = 3) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(phi))
        self.register_buffer("basis", torch.zeros(rank, phi))  # rows scaled by their standard deviation
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("centres", torch.zeros(components, rank))
        self.register_buffer("factors", torch.eye(rank).repeat(components, 1, 1))  # Cholesky factors

    def sample(self, count: int, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
        """φ (count, N_φ), not clamped.

        Args:
            count: Number of samples.
            generator: On the CPU.
            temperature: Scale of the deviation from the centres; below 1 samples are more alike and better.
        """
        chosen = torch.multinomial(self.weights.float().cpu(), count, replacement=True, generator=generator)
        noise = torch.randn(count, self.centres.shape[1], generator=generator).to(self.centres)
        chosen = chosen.to(self.centres.device)
        codes = self.centres[chosen] + temperature * torch.einsum("bij,bj->bi", self.factors[chosen], noise)
        return self(codes)

    def forward(self, codes: Tensor) -> Tensor:
        """φ (B, N_φ) of PCA codes (B, rank)."""
        return self.mean + codes @ self.basis

    def golden_input(self) -> Tensor:
        """Codes from a formula."""
        return torch.sin(torch.arange(2 * self.centres.shape[1], dtype=torch.float32)).view(2, -1)
