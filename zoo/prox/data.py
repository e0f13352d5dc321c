"""Data consistency: the result, degraded, is the low-resolution picture (Puy & Pérez 2019, section 4.2.3)."""

from __future__ import annotations

import math

from torch import Tensor

from .base import Prox, check_fits, check_lam, check_picture
from .degradation import Degradation

METHODS = ("gradient", "cg")


class DataConsistency(Prox):
    """prox(x) = argmin_y ½‖y − x‖² + lam ‖y_low − D y‖².

    "gradient": y ← y − τ [y − x + 2 lam Dᵀ(D y − y_low)] from y = x, with τ = 2 / (2 + 2 lam ‖D‖²), the best step for
    curvatures between 1 and 1 + 2 lam ‖D‖². "cg": conjugate gradients on (I + 2 lam DᵀD) y = x + 2 lam Dᵀ y_low.

    Args:
        low: y_low, (B or 1, C, h, w); C as in x.
        degradation: D; y has s·h × s·w pixels.
        lam: λ ≥ 0; the paper's is 50.
        steps: Of "gradient", or the most of "cg", which stops at a relative residual of 1e-6. None: as many as take the
            gradient to 1 % of its way, 29 for scale 3 at λ = 50; 200 of "cg".
        method: "gradient" or "cg".

    Raises:
        TypeError, ValueError: an argument that is not as stated.
    """

    def __init__(
        self,
        low: Tensor,
        degradation: Degradation,
        lam: float = 50.0,
        steps: int | None = None,
        method: str = "gradient",
    ) -> None:
        if method not in METHODS:
            raise ValueError(f"method: one of {METHODS}, got {method!r}")
        if steps is not None and steps < 1:
            raise ValueError(f"steps: at least 1, got {steps}")
        self.lam = check_lam(lam)
        self.low = check_picture("low", low, (1, 3))
        self.degradation = degradation
        self.method = method
        height, width = (side * degradation.scale for side in low.shape[2:])
        self.size = (height, width)
        self.curvature = 1 + 2 * self.lam * degradation.norm_squared(height, width)
        if steps is None and method == "gradient":
            steps = math.ceil(math.log(0.01) / math.log((self.curvature - 1) / (self.curvature + 1))) if self.lam else 1
        self.steps = 200 if steps is None else steps

    def __call__(self, x: Tensor) -> Tensor:
        """Bring x (B, C, s·h, s·w) closer to the data."""
        self.low = check_fits("low", self.low, x, self.size)
        if x.shape[1] != self.low.shape[1]:
            raise ValueError(f"x: {self.low.shape[1]} channels, as low has, got {tuple(x.shape)}")
        return self._by_gradient(x) if self.method == "gradient" else self._by_cg(x)

    def _by_gradient(self, x: Tensor) -> Tensor:
        step, low, y = 2 / (1 + self.curvature), self.low.to(x.dtype), x
        for _ in range(self.steps):
            y = y - step * (y - x + 2 * self.lam * self.degradation.adjoint(self.degradation(y) - low))
        return y

    def _by_cg(self, x: Tensor) -> Tensor:
        def dot(a: Tensor, b: Tensor) -> Tensor:
            return (a * b).sum((1, 2, 3), keepdim=True)

        def matrix(v: Tensor) -> Tensor:
            return v + 2 * self.lam * self.degradation.adjoint(self.degradation(v))

        y = x
        r = 2 * self.lam * self.degradation.adjoint(self.low.to(x.dtype) - self.degradation(x))
        p, rr = r, dot(r, r)
        goal = 1e-12 * dot(x + r, x + r)
        for _ in range(self.steps):
            live = rr > goal  # a picture that is done stays as it is, whatever its batch mates need
            if not bool(live.any()):
                break
            q = matrix(p)
            alpha = (rr / dot(p, q).clamp_min(1e-30)).where(live, 0.0)
            y, r = y + alpha * p, r - alpha * q
            after = dot(r, r).where(live, rr)
            p = (r + after / rr.clamp_min(1e-30) * p).where(live, p)
            rr = after
        return y
