"""Unconditional samples of a latent convolutional model: principal components, and a Gaussian mixture on them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..registry import register_arch


@register_arch("lcm_sampler")
class LCMSampler(nn.Module):
    """c = mean + a·V, a from a mixture of Gaussians with full covariance (Athar et al. 2019, appendix I).

    The paper takes the principal components of the latents φ. Here they are those of the coefficients c from which the
    feed-forward start makes φ, so that the 24,336 numbers of each component are stored once, in the start.

    Args:
        count: Number of coefficients.
        rank: Principal components, of standard deviation 1 each.
        components: Gaussians in the mixture.
    """

    mean: Tensor
    basis: Tensor
    weights: Tensor
    centres: Tensor
    factors: Tensor

    def __init__(self, count: int = 128, rank: int = 112, components: int = 3) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(count))
        self.register_buffer("basis", torch.zeros(rank, count))  # rows scaled by their standard deviation
        self.register_buffer("weights", torch.full((components,), 1 / components))
        self.register_buffer("centres", torch.zeros(components, rank))
        self.register_buffer("factors", torch.eye(rank).repeat(components, 1, 1))  # Cholesky factors

    def sample(self, count: int, generator: torch.Generator, temperature: float = 1.0) -> Tensor:
        """c, (count, coefficients).

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
        """c of PCA codes a (B, rank)."""
        return self.mean + codes @ self.basis

    def golden_input(self) -> Tensor:
        """Codes from a formula."""
        return torch.sin(torch.arange(2 * self.centres.shape[1], dtype=torch.float32)).view(2, -1)
