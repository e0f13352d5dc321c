"""Temporal consistency: stay close to the last result, moved along (Puy & Pérez 2019, section 4.2.2)."""

from __future__ import annotations

from torch import Tensor

from .base import Prox, check_fits, check_lam, check_picture


class TemporalConsistency(Prox):
    """prox(x) = [x + 2 lam M² ⊙ w] / [1 + 2 lam M²] = argmin_y ½‖y − x‖² + lam ‖M ⊙ (y − w)‖².

    Args:
        warped: w, the last stylised frame warped to this one, (B or 1, 3, H, W); see `zoo.video.warp`.
        mask: M in [0, 1], (B or 1, 1, H, W): 1 where w is to be trusted, 0 where this frame shows something new; see
            `zoo.video.trusted`.
        lam: λ ≥ 0; the paper's is 0.37.

    Raises:
        TypeError, ValueError: an argument that is not as stated.
    """

    def __init__(self, warped: Tensor, mask: Tensor, lam: float = 0.37) -> None:
        self.lam = check_lam(lam)
        self.warped = check_picture("warped", warped)
        self.mask = check_picture("mask", mask, (1,))
        if self.mask.shape[2:] != self.warped.shape[2:]:
            raise ValueError(
                f"mask: expected the size of warped, {tuple(warped.shape[2:])}, got {tuple(mask.shape[2:])}"
            )
        if not bool(((self.mask >= 0) & (self.mask <= 1)).all()):
            raise ValueError("mask: values in [0, 1]")

    def __call__(self, x: Tensor) -> Tensor:
        """Pull x (B, 3, H, W) towards w."""
        self.warped, self.mask = check_fits("warped", self.warped, x), check_fits("mask", self.mask, x)
        weight = 2 * self.lam * self.mask.to(x.dtype).square()
        return (x + weight * self.warped.to(x.dtype)) / (1 + weight)

    def penalty(self, x: Tensor) -> Tensor:
        """lam ‖M ⊙ (x − w)‖² over the number of values of x (B, 3, H, W), as a term of a loss (Ruder et al. 2016)."""
        warped, mask = check_fits("warped", self.warped, x), check_fits("mask", self.mask, x)
        return self.lam * (mask.to(x.dtype) * (x - warped.to(x.dtype))).square().sum() / x.numel()
