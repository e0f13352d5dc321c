"""How a low-resolution picture comes about, D = blur, then every s-th pixel, with its exact adjoint; and the way up."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

TAPS = {2: 12, 3: 17, 4: 24}
"""Side of the Gaussian for each scale: 17 at σ = 3 (Puy & Pérez 2019, section 5.6), and about as many σ elsewhere."""


class Degradation:
    """D: Gaussian blur of σ = scale, then one pixel for each cell of scale × scale, taken at the middle of the cell.

    The picture goes on mirrored beyond its border. For even scales the middle of a cell lies between pixels: the kernel
    has an even number of taps there, so that no scale shifts the picture. D is linear and keeps constants.

    Args:
        scale: 2, 3 or 4.
        sigma: Standard deviation of the Gaussian, pixels of the large picture; None: `scale`.

    Raises:
        ValueError: another scale, or σ not above 0.
    """

    def __init__(self, scale: int = 3, sigma: float | None = None) -> None:
        if scale not in TAPS:
            raise ValueError(f"scale: one of {tuple(TAPS)}, got {scale}")
        self.scale = scale
        self.sigma = float(scale) if sigma is None else sigma
        if not self.sigma > 0:
            raise ValueError(f"sigma: above 0, got {sigma}")
        taps = TAPS[scale]
        self.margin = (taps - scale) // 2  # how far the kernel of a cell reaches beyond it
        at = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
        weights = torch.exp(-0.5 * (at / self.sigma) ** 2)
        self.kernel = weights / weights.sum()

    def __call__(self, x: Tensor) -> Tensor:
        """D x: (B, C, s·h, s·w) -> (B, C, h, w).

        Raises:
            ValueError: a size that the scale does not divide.
        """
        if x.ndim != 4 or x.shape[2] % self.scale or x.shape[3] % self.scale:
            raise ValueError(f"x: expected (B, C, H, W), H and W multiples of {self.scale}, got {tuple(x.shape)}")
        return self._down(self._down(x, 2), 3)

    def adjoint(self, z: Tensor) -> Tensor:
        """Dᵀ z: (B, C, h, w) -> (B, C, s·h, s·w)."""
        return self._up(self._up(z, 2), 3)

    def norm_squared(self, height: int, width: int) -> float:
        """An upper bound of ‖D‖² for pictures of this size: Schur's test, as D ≥ 0 and its rows sum to 1."""
        ones = torch.ones(1, 1, height // self.scale, width // self.scale, dtype=torch.float64)
        return float(self.adjoint(ones).max())

    def _mirror(self, length: int, device: torch.device) -> Tensor:
        """Where the pixels -margin … length + margin - 1 are found: d c b a | a b c d | d c b a."""
        at = torch.arange(-self.margin, length + self.margin, device=device) % (2 * length)
        return torch.minimum(at, 2 * length - 1 - at)

    def _weight(self, like: Tensor, dim: int) -> Tensor:
        kernel = self.kernel.to(like)
        return kernel.view(1, 1, -1, 1) if dim == 2 else kernel.view(1, 1, 1, -1)

    def _stride(self, dim: int) -> tuple[int, int]:
        return (self.scale, 1) if dim == 2 else (1, self.scale)

    def _down(self, x: Tensor, dim: int) -> Tensor:
        wide = x.index_select(dim, self._mirror(x.shape[dim], x.device))
        planes = wide.reshape(-1, 1, *wide.shape[2:])
        small = F.conv2d(planes, self._weight(x, dim), stride=self._stride(dim))
        return small.view(*x.shape[:2], *small.shape[2:])

    def _up(self, z: Tensor, dim: int) -> Tensor:
        planes = z.reshape(-1, 1, *z.shape[2:])
        wide = F.conv_transpose2d(planes, self._weight(z, dim), stride=self._stride(dim))
        wide = wide.view(*z.shape[:2], *wide.shape[2:])
        shape = list(z.shape)
        shape[dim] *= self.scale
        return wide.new_zeros(shape).index_add(dim, self._mirror(shape[dim], z.device), wide)


def upsample(low: Tensor, scale: int) -> Tensor:
    """Bicubic interpolation, (B, C, h, w) -> (B, C, s·h, s·w); values may leave the range a little. X(0) of a solver.

    Raises:
        ValueError: not four dimensions, or a scale below 1.
    """
    if low.ndim != 4 or scale < 1:
        raise ValueError(f"low, scale: expected (B, C, h, w) and at least 1, got {tuple(low.shape)} and {scale}")
    return F.interpolate(low, scale_factor=scale, mode="bicubic", align_corners=False)
