"""Total-variation layers (Yeh et al., Total Variation Optimization Layers for Computer Vision, 2022, section 3.1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

import cuda_src

MODES = ("smooth", "sharp")


def inverse_softplus(value: float) -> float:
    """The x with log(1 + exp(x)) = value, for value > 0, without overflow or cancellation."""
    return value + math.log(-math.expm1(-value))


class _TVLayer(nn.Module):
    """What the layers share: λ, trained or fixed, and the two modes."""

    raw_lam: nn.Parameter
    fixed_lam: Tensor

    def __init__(self, num_channels: int, mode: str, lam: float, learn: bool, share_channels: bool) -> None:
        super().__init__()
        if isinstance(num_channels, bool) or not isinstance(num_channels, int) or num_channels < 1:
            raise ValueError(f"num_channels: a whole number of at least 1, got {num_channels!r}")
        if mode not in MODES:
            raise ValueError(f"mode: one of {MODES}, got {mode!r}")
        lam = float(lam)
        if not math.isfinite(lam) or lam < 0 or (learn and lam == 0):
            limit = "positive (softplus never gives 0)" if learn else "at least 0"
            raise ValueError(f"lam: must be finite and {limit}, got {lam}")
        self.num_channels = num_channels
        self.mode = mode
        self.learn = learn
        self.share_channels = share_channels
        size = 1 if share_channels else num_channels
        if learn:
            self.raw_lam = nn.Parameter(torch.full((size,), inverse_softplus(lam)))
        else:
            self.register_buffer("fixed_lam", torch.full((size,), lam))

    @property
    def lam(self) -> Tensor:
        """λ as the solver gets it: (num_channels,), or (1,) if the channels share it."""
        return nn.functional.softplus(self.raw_lam) if self.learn else self.fixed_lam

    def _check(self, x: Tensor) -> None:
        if not isinstance(x, Tensor) or x.ndim not in (3, 4) or x.shape[-3] != self.num_channels:
            shape = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"x: expected (B, C, H, W) or (C, H, W) with C = {self.num_channels}, got {shape}")

    def _finish(self, x: Tensor, smooth: Tensor) -> Tensor:
        return smooth if self.mode == "smooth" else 2 * x - smooth

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"{self.num_channels}, mode={self.mode!r}, learn={self.learn}, share_channels={self.share_channels}"


class TVLayer2d(_TVLayer):
    """Each channel's 2-D total-variation prox, or its opposite, a sharpening (equations 3 and 4).

    smooth: Y_c = prox(X_c, λ_c); sharp: Y_c = 2·X_c − prox(X_c, λ_c). As λ → 0 both become the identity, so that a
    network can learn to turn the layer off.

    The paper runs 4 iterations of proximal Dykstra (`max_iter=4, tol=0`); here the solver stops at a tolerance, map by
    map, so that the gradient of the solution is the gradient of what the layer returns.

    Args:
        num_channels: C.
        mode: "smooth" or "sharp".
        lam: λ at the start of training, or for good; in the units of the input.
        learn: Train λ, as softplus of a parameter; else it is a buffer.
        share_channels: One λ for all channels instead of one each.
        tv: "anisotropic" (the paper's, equation 2) or "isotropic".
        max_iter: Limit on the solver's iterations; None: `cuda_src.prox_tv2d`'s own, which depends on `grad`.
        tol: Relative duality gap at which a map is solved.
        grad: "implicit", at the solution, or "unrolled", through the iterations.

    Raises:
        ValueError: an argument outside its range.
    """

    def __init__(
        self,
        num_channels: int,
        mode: str = "smooth",
        lam: float = 0.05,
        learn: bool = True,
        share_channels: bool = False,
        *,
        tv: str = "anisotropic",
        max_iter: int | None = None,
        tol: float = 1e-4,
        grad: str = "implicit",
    ) -> None:
        super().__init__(num_channels, mode, lam, learn, share_channels)
        if tv not in ("anisotropic", "isotropic"):
            raise ValueError(f"tv: 'anisotropic' or 'isotropic', got {tv!r}")
        if grad not in ("implicit", "unrolled"):
            raise ValueError(f"grad: 'implicit' or 'unrolled', got {grad!r}")
        if max_iter is not None and max_iter < 1:
            raise ValueError(f"max_iter: at least 1, got {max_iter}")
        if not 0 <= tol < 1:
            raise ValueError(f"tol: in [0, 1), got {tol}")
        self.tv = tv
        self.max_iter = max_iter
        self.tol = tol
        self.grad = grad

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer.

        Args:
            x: (B, C, H, W) or (C, H, W).

        Returns:
            Tensor like `x`.

        Raises:
            ValueError: another shape or number of channels.
        """
        self._check(x)
        smooth = cuda_src.prox_tv2d(x, self.lam, mode=self.tv, max_iter=self.max_iter, tol=self.tol, grad=self.grad)
        return self._finish(x, smooth)

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"{super().extra_repr()}, tv={self.tv!r}, max_iter={self.max_iter}, tol={self.tol}, grad={self.grad!r}"


class TVLayer1d(_TVLayer):
    """Each row's, or each column's, 1-D total-variation prox or its opposite (equations 1, 3 and 4). Exact.

    Args:
        num_channels: C.
        mode: "smooth" or "sharp", as in `TVLayer2d`.
        lam: λ at the start of training, or for good; in the units of the input.
        learn: Train λ, as softplus of a parameter; else it is a buffer.
        share_channels: One λ for all channels instead of one each.
        axis: "rows" (along the width) or "columns" (along the height).

    Raises:
        ValueError: an argument outside its range.
    """

    def __init__(
        self,
        num_channels: int,
        mode: str = "smooth",
        lam: float = 0.05,
        learn: bool = True,
        share_channels: bool = False,
        *,
        axis: str = "rows",
    ) -> None:
        super().__init__(num_channels, mode, lam, learn, share_channels)
        if axis not in ("rows", "columns"):
            raise ValueError(f"axis: 'rows' or 'columns', got {axis!r}")
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer.

        Args:
            x: (B, C, H, W) or (C, H, W).

        Returns:
            Tensor like `x`.

        Raises:
            ValueError: another shape or number of channels.
        """
        self._check(x)
        lines = x if self.axis == "rows" else x.mT
        smooth = cuda_src.prox_tv1d(lines, self.lam[:, None])
        return self._finish(x, smooth if self.axis == "rows" else smooth.mT)

    def extra_repr(self) -> str:
        """The arguments, for `repr`."""
        return f"{super().extra_repr()}, axis={self.axis!r}"
