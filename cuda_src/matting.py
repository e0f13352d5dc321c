"""Matting Laplacian of a guide picture: build it, multiply by it, and filter with (I + 2 lam L)^-1."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from cuda_src.tv import _check_image, _working_dtype

EPS = 1e-7
"""Default of `matting_laplacian`; that of the published code of Levin et al., for colours in [0, 1]."""
SPECTRUM = 9.0
"""No eigenvalue of L exceeds this: the matrix of a window is at most the identity, and a pixel lies in 9 windows. Of
smooth guides L has eigenvalues that come as close as one likes; Gershgorin's circles reach to about 16."""
BANDS = 13
METHODS = ("chebyshev", "cg")
MAX_ITER = 1000


def matting_laplacian(guide: Tensor, eps: float = EPS) -> Tensor:
    """Matting Laplacian L (Levin, Lischinski & Weiss 2008) of each guide, over 3 x 3 windows.

    L_ij = Σ_k δ_ij − (1 + (I_i − μ_k)ᵀ (Σ_k + eps/9)⁻¹ (I_j − μ_k)) / 9 over the windows k that hold the pixels i and j
    and lie inside the image; μ_k, Σ_k: mean and covariance of the colours I there. L is symmetric with eigenvalues in
    [0, 9], and L y = 0 where y is, in every window, an affine function of the guide's colours, up to what eps penalises
    of its slope. A guide of less than 3 pixels in height or width holds no window: L = 0.

    No gradient goes to the guide: going backward into one that requires it is an error.

    Args:
        guide: (B, 3, H, W), colours in [0, 1], floating point. Sums over a window are made in float64.
        eps: > 0, in squared units of the guide. The smaller, the weaker the edges that y may follow.

    Returns:
        Bands (B, 13, H, W), float64 for a float64 guide, else float32. Band k at pixel (i, j) is the entry of L between
        (i, j) and (i + a, j + b), with (a, b) = (0, 0), (0, 1), (0, 2), (1, -2) … (1, 2), (2, -2) … (2, 2), and 0 where
        that lies outside.

    Raises:
        TypeError: an argument is not of the stated type.
        ValueError: wrong shape, zero size, NaN or infinity in the guide, eps not above 0.
    """
    _check_image(guide, 4)
    if guide.dim() != 4 or guide.shape[1] != 3:
        raise ValueError(f"guide has shape {tuple(guide.shape)}; it has to be (B, 3, H, W)")
    if not isinstance(eps, (int, float)) or not 0 < eps < math.inf:
        raise ValueError(f"eps is {eps!r}; it has to be a number above 0")
    return torch.ops.nsz.matting_bands(guide.to(_working_dtype(guide)), float(eps))


def matting_apply(bands: Tensor, y: Tensor) -> Tensor:
    """L y, without a sparse matrix.

    Args:
        bands: (B or 1, 13, H, W), from `matting_laplacian`.
        y: (B, C, H, W), floating point. Half types are computed in float32 and cast back; the wider type of y and the
            bands counts.

    Returns:
        Shape and dtype of y. The gradient to y is L applied to what comes in; there is none to the bands.

    Raises:
        TypeError: an argument is not of the stated type.
        ValueError: shapes that do not fit, NaN or infinity in y.
    """
    bands, values = _check_pair(bands, y)
    return torch.ops.nsz.matting_apply(bands, values).to(y.dtype)


def matting_solve(
    bands: Tensor,
    y: Tensor,
    lam: float = 50.0,
    *,
    method: str = "chebyshev",
    tol: float | None = None,
    order: int | None = None,
    max_iter: int = MAX_ITER,
    return_info: bool = False,
) -> Any:
    """(I + 2 lam L)⁻¹ y: argmin_x ½‖x − y‖² + lam xᵀLx (Puy & Pérez 2019, section 4.2.1).

    "chebyshev" is a polynomial of L, applied in `order` products of one pass each. With x* the solution, a channel is
    off by at most `chebyshev_bound(order, lam)` · ‖x* − y‖, so at most tol · ‖y‖, known before anything is computed.
    What L maps to 0, constants for one, stays as it is. "cg" is conjugate gradients, which stops when the residual of
    every channel of an image is at most tol · ‖y‖; as I + 2 lam L ≥ I, the error is not larger than the residual. An
    image's result does not depend on its batch mates.

    Args:
        bands: (B or 1, 13, H, W), from `matting_laplacian`.
        y: (B, C, H, W), floating point. Half types are computed in float32 and cast back.
        lam: ≥ 0, finite.
        method: "chebyshev" or "cg".
        tol: Relative error that is asked for, > 0. Default: 1e-2 ("chebyshev"), 1e-3 ("cg"). In float32 at lam = 50 a
            residual of about 2e-4, and with it an error of about 3e-6, is what rounding leaves.
        order: Degree of the polynomial instead of one from `tol`; only with "chebyshev".
        max_iter: Limit on the iterations of "cg".
        return_info: Also return, for each image, a bound on its relative error ‖x − x*‖/‖y‖ in the worst channel ("cg":
            the relative residual as it is) and the number of products, (B,) float64 and (B,) int64.

    Returns:
        x, shape and dtype of y. Gradient to y: the same polynomial, or another solve with the same tol, of what comes
        in. There is none to the bands or to lam.

    Raises:
        TypeError: an argument is not of the stated type.
        ValueError: shapes that do not fit, NaN or infinity in y, lam, tol, order or max_iter outside its range.
    """
    bands, values = _check_pair(bands, y)
    _check_number("lam", lam, 0, True)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it can be 'chebyshev' or 'cg'")
    if order is not None and method != "chebyshev":
        raise ValueError("order goes with method='chebyshev'; 'cg' stops at tol")
    if not isinstance(max_iter, int) or isinstance(max_iter, bool) or max_iter < 1:
        raise ValueError(f"max_iter is {max_iter!r}; it has to be a whole number of at least 1")
    if method == "cg":
        tol = 1e-3 if tol is None else tol
        _check_number("tol", tol, 0, False)
        x, bound, products = torch.ops.nsz.matting_cg(bands, values, float(lam), max_iter, float(tol))
    else:
        if order is None:
            order = chebyshev_order(lam, 1e-2 if tol is None else tol)
        elif not isinstance(order, int) or isinstance(order, bool) or order < 0:
            raise ValueError(f"order is {order!r}; it has to be a whole number of at least 0")
        x = torch.ops.nsz.matting_chebyshev(bands, values, float(lam), order, SPECTRUM)
        bound = torch.full((len(y),), chebyshev_bound(order, lam), dtype=torch.float64, device=y.device)
        products = torch.full((len(y),), order, dtype=torch.int64, device=y.device)
    return (x.to(y.dtype), bound, products) if return_info else x.to(y.dtype)


def chebyshev_bound(order: int, lam: float) -> float:
    """What the polynomial of degree `order` is off by, at most, relative to ‖(I + 2 lam L)⁻¹ y − y‖ ≤ ‖y‖.

    1 / T_order(1 + 1 / (lam · SPECTRUM)), T the Chebyshev polynomial (Golub & Varga 1961): the best that a polynomial
    can do which starts from y and knows the range of the spectrum alone.

    Raises:
        ValueError: order or lam below 0.
    """
    _check_number("order", order, 0, True)
    _check_number("lam", lam, 0, True)
    if lam == 0:
        return 0.0
    exponent = order * math.acosh(1 + 1 / (lam * SPECTRUM))
    return 1 / math.cosh(exponent) if exponent < 700 else 0.0


def chebyshev_order(lam: float, tol: float) -> int:
    """The lowest order whose `chebyshev_bound` is at most `tol`; about 3 √lam ln(2/tol) / √2.

    Raises:
        ValueError: lam below 0, tol not above 0.
    """
    _check_number("lam", lam, 0, True)
    _check_number("tol", tol, 0, False)
    if lam == 0 or tol >= 1:
        return 0
    return math.ceil(math.acosh(1 / tol) / math.acosh(1 + 1 / (lam * SPECTRUM)))


def _check_number(name: str, value: float, least: float, included: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} has to be a number, not {type(value).__name__}")
    if not (least <= value if included else least < value) or not math.isfinite(value):
        raise ValueError(f"{name} is {value}; it has to be {'at least' if included else 'above'} {least}, and finite")


def _check_pair(bands: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the dtype of the computation."""
    _check_image(y, 4)
    if y.dim() != 4:
        raise ValueError(f"y has shape {tuple(y.shape)}; it has to be (B, C, H, W)")
    if not isinstance(bands, Tensor):
        raise TypeError(f"bands has to be a tensor, not {type(bands).__name__}")
    if bands.dim() != 4 or bands.shape[1] != BANDS or bands.shape[0] not in (1, y.shape[0]):
        raise ValueError(f"bands has shape {tuple(bands.shape)}; it has to be ({y.shape[0]} or 1, {BANDS}, H, W)")
    if bands.shape[2:] != y.shape[2:]:
        raise ValueError(f"bands are of {tuple(bands.shape[2:])} pixels, y is of {tuple(y.shape[2:])}")
    if not bands.is_floating_point():
        raise TypeError(f"bands has to be of a floating-point dtype, not {bands.dtype}")
    dtype = torch.promote_types(_working_dtype(bands), _working_dtype(y))
    return bands.to(device=y.device, dtype=dtype), y.to(dtype)
