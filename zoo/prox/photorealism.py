"""Photorealism: the result is a local affine function of the content's colours (Puy & Pérez 2019, section 4.2.1)."""

from __future__ import annotations

from torch import Tensor

import cuda_src
from cuda_src.matting import EPS

from .base import Prox, check_fits, check_lam, check_picture

SOLVERS = ("chebyshev", "cg")


class Photorealism(Prox):
    """prox(x) = (I + 2 lam L)⁻¹ x = argmin_y ½‖y − x‖² + lam yᵀLy, each channel by itself.

    L is the matting Laplacian of the guide (Levin et al. 2008), built once, here. yᵀLy is small where y follows the
    guide's edges with one gain and offset in every 3×3 window, so straight lines stay straight.

    Args:
        guide: The content picture, (B or 1, 3, H, W) in [0, 1]. No gradient goes to it.
        lam: λ_L ≥ 0; the paper's is 50.
        solver: "chebyshev" (a polynomial of fixed order) or "cg" (conjugate gradients, closer to the solution).
        tol: Relative error that is asked for; None: the solver's own, see `cuda_src.matting_solve`.
        eps: Regularisation of the windows' covariances.

    Raises:
        TypeError, ValueError: an argument that is not as stated.
    """

    def __init__(
        self, guide: Tensor, lam: float = 50.0, solver: str = "chebyshev", *, tol: float | None = None, eps: float = EPS
    ) -> None:
        if solver not in SOLVERS:
            raise ValueError(f"solver: one of {SOLVERS}, got {solver!r}")
        if tol is not None and not 0 < tol < 1:
            raise ValueError(f"tol: in (0, 1), got {tol}")
        self.lam = check_lam(lam)
        self.solver = solver
        self.tol = tol
        self.bands = cuda_src.matting_laplacian(check_picture("guide", guide), eps)

    def __call__(self, x: Tensor) -> Tensor:
        """Filter x (B, C, H, W)."""
        self.bands = check_fits("the guide", self.bands, x)
        return cuda_src.matting_solve(self.bands, x, self.lam, method=self.solver, tol=self.tol)

    def penalty(self, x: Tensor) -> Tensor:
        """lam Σ_c x_cᵀ L x_c over the number of values of x (B, C, H, W), as a term of a loss (Luan et al. 2017).

        A mean, as other terms are, so that lam means the same for any size. Differentiable once.
        """
        self.bands = check_fits("the guide", self.bands, x)
        product = cuda_src.matting_apply(self.bands, x.detach())
        # xᵀ L x, whose gradient 2 L x needs no second product
        total = (2 * x * product - x.detach() * product).sum()
        return self.lam * total / x.numel()
