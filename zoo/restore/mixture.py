"""Principal components, and a mixture of Gaussians with full covariance fitted by expectation and maximisation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def principal_components(rows: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, components and standard deviations of data.

    Args:
        rows: (N, P), N > rank.
        rank: Number of components.

    Returns:
        (P,), (rank, P) with orthonormal rows, and (rank,) falling.

    Raises:
        ValueError: not more rows than components.
    """
    if len(rows) <= rank:
        raise ValueError(f"rank: {rank} components need more than {rank} latents, there are {len(rows)}")
    mean = rows.mean(0)
    centred = rows - mean
    if len(rows) < rows.shape[1]:  # the Gram matrix of the rows is the smaller one
        values, vectors = torch.linalg.eigh(centred.double() @ centred.double().T)
        values, vectors = values.flip(0)[:rank], vectors.flip(1)[:, :rank]
        components = (vectors.T @ centred.double()) / values.clamp(min=1e-30).sqrt()[:, None]
    else:
        values, vectors = torch.linalg.eigh(centred.double().T @ centred.double())
        values, components = values.flip(0)[:rank], vectors.flip(1)[:, :rank].T
    return mean, components.float(), (values.clamp(min=0) / (len(rows) - 1)).sqrt().float()


@dataclass(frozen=True)
class Mixture:
    """A mixture of K Gaussians in D dimensions."""

    weights: Tensor
    """(K,), sum 1."""
    centres: Tensor
    """(K, D)."""
    factors: Tensor
    """(K, D, D), lower Cholesky factors of the covariances."""

    def log_density(self, rows: Tensor) -> Tensor:
        """Log of weight times density of each component, (N, K)."""
        shifted = (rows[None] - self.centres[:, None]).mT  # (K, D, N)
        white = torch.linalg.solve_triangular(self.factors, shifted, upper=False)
        logdet = self.factors.diagonal(dim1=1, dim2=2).log().sum(1)
        constant = 0.5 * rows.shape[1] * math.log(2 * math.pi)
        return (self.weights.log() - logdet - constant)[None] - 0.5 * white.square().sum(1).T


def fit_mixture(rows: Tensor, components: int, *, iterations: int = 100, ridge: float = 1e-2, seed: int = 0) -> Mixture:
    """Fit by EM from random rows as centres.

    Args:
        rows: (N, D), each dimension of about unit variance.
        components: Number of Gaussians.
        iterations: The most; it ends earlier where the likelihood no longer grows.
        ridge: Added to the diagonal of the covariances.
        seed: Of the start.

    Raises:
        ValueError: fewer rows than components.
    """
    if len(rows) < components:
        raise ValueError(f"components: {components} need as many rows, there are {len(rows)}")
    rows = rows.double()
    generator = torch.Generator().manual_seed(seed)
    eye = torch.eye(rows.shape[1], dtype=rows.dtype)
    chosen = torch.randperm(len(rows), generator=generator)[:components]
    covariance = rows.T.cov().reshape(rows.shape[1], -1) + ridge * eye
    mixture = Mixture(
        torch.full((components,), 1 / components, dtype=rows.dtype),
        rows[chosen],
        torch.linalg.cholesky(covariance).expand(components, -1, -1),
    )
    before = -math.inf
    for _ in range(iterations):
        logs = mixture.log_density(rows)
        total = logs.logsumexp(1)
        share = (logs - total[:, None]).exp()  # (N, K)
        mass = share.sum(0).clamp(min=1e-6)
        centres = (share.T @ rows) / mass[:, None]
        shifted = rows[None] - centres[:, None]
        spread = torch.einsum("nk,knd,kne->kde", share, shifted, shifted) / mass[:, None, None]
        mixture = Mixture(mass / mass.sum(), centres, torch.linalg.cholesky(spread + ridge * eye))
        mean = float(total.mean())
        if mean - before < 1e-6 * max(1.0, abs(mean)):
            break
        before = mean
    return mixture
