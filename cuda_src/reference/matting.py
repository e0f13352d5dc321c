"""Matting Laplacian in plain PyTorch: any device, any number of images at once. Bands are laid out as in matting.h."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

# band k couples a pixel with the one this far below and to the right of it
OFFSETS = ((0, 0), (0, 1), (0, 2), *((1, b) for b in range(-2, 3)), *((2, b) for b in range(-2, 3)))
_PIXELS = tuple((a, b) for a in range(3) for b in range(3))  # of a window, from its upper left corner


def matting_bands(image: Tensor, eps: float) -> Tensor:
    """The operator `nsz::matting_bands`: every window's 9 x 9 matrix, added up band by band (Levin et al. 2008)."""
    batch, _, height, width = image.shape
    bands = image.new_zeros(batch, len(OFFSETS), height, width)
    if height < 3 or width < 3:
        return bands
    colours = image.double()
    rows, columns = height - 2, width - 2
    window = torch.stack([colours[:, :, a : a + rows, b : b + columns] for a, b in _PIXELS], -1)  # (B, 3, h, w, 9)
    window = (window - window.mean(-1, keepdim=True)).permute(0, 2, 3, 4, 1)  # (B, h, w, 9, 3)
    covariance = window.mT @ window / 9 + eps / 9 * torch.eye(3, dtype=window.dtype, device=window.device)
    whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(covariance), window.mT, upper=False)
    matrix = -(1 + whitened.mT @ whitened) / 9  # (B, h, w, 9, 9)
    total = torch.zeros_like(bands, dtype=torch.float64)
    for p, (a, b) in enumerate(_PIXELS):
        for q, (c, d) in enumerate(_PIXELS[p:], start=p):
            part = matrix[..., p, q] + (1 if p == q else 0)
            total[:, OFFSETS.index((c - a, d - b)), a : a + rows, b : b + columns] += part
    return total.to(image.dtype)


def matting_apply(bands: Tensor, y: Tensor) -> Tensor:
    """The operator `nsz::matting_apply`: each band from both of its ends."""
    height, width = y.shape[2:]
    around = pad(y, (2, 2, 0, 2))
    out = bands[:, :1] * y
    for k, (down, right) in enumerate(OFFSETS[1:], start=1):
        band = bands[:, k : k + 1]
        out += band * around[:, :, down : down + height, 2 + right : 2 + right + width]
        there = pad(band * y, (2, 2, 2, 0))
        out += there[:, :, 2 - down : 2 - down + height, 2 - right : 2 - right + width]
    return out


def matting_chebyshev(bands: Tensor, y: Tensor, lam: float, order: int, spectrum: float) -> Tensor:
    """The operator `nsz::matting_chebyshev`, by the recurrence of Chebyshev polynomials themselves.

    With t in [-1, 1] for the spectrum, c = 1 + 1 / (lam spectrum) and s = 2 lam L X* = Y - X*, X_k = X* + q_k(t) s with
    q_k = T_k(-t)/T_k(c). T_k and T_k(c) follow the same recurrence, which is made here for X_k T_k(c) / T_k(c).
    """
    if order < 1 or lam == 0 or min(y.shape[2:]) < 3:
        return y.clone()
    c = 1 + 1 / (lam * spectrum)

    def residual(x: Tensor) -> Tensor:
        return y - x - 2 * lam * matting_apply(bands, x)

    before, x = y, y + residual(y) / (1 + lam * spectrum)
    old, new = 1.0, c  # T_0(c), T_1(c)
    for _ in range(order - 1):
        # X_{k+1} = 2 c T_k/T_{k+1} (X_k + r_k / (1 + lam spectrum)) - T_{k-1}/T_{k+1} X_{k-1}
        ratio, back = (2 * c * new - old) / new, old / new  # T_{k+1}/T_k, T_{k-1}/T_k
        x, before = (2 * c * (x + residual(x) / (1 + lam * spectrum)) - back * before) / ratio, x
        old, new = 1.0, ratio  # scaled: T_k(c) itself would overflow
    return x


def matting_cg(bands: Tensor, y: Tensor, lam: float, max_iter: int, tol: float) -> tuple[Tensor, Tensor, Tensor]:
    """The operator `nsz::matting_cg`: one system a channel; an image goes on until each of its channels is solved."""

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a.double() * b.double()).sum((2, 3), keepdim=True)

    def matrix(x: Tensor) -> Tensor:
        return x + 2 * lam * matting_apply(bands, x)

    def ratio(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(b > 0, a / b.clamp_min(torch.finfo(b.dtype).tiny), 0.0)

    x, yy = y.clone(), dot(y, y)
    r = y - matrix(y)
    p, rr = r.clone(), dot(r, r)
    iterations = torch.zeros(len(y), dtype=torch.int64, device=y.device)
    for _ in range(max_iter if min(y.shape[2:]) >= 3 else 0):
        # an image that is done stays as it is: its result does not depend on its batch mates
        live = (rr > tol * tol * yy).any(1, keepdim=True)
        if not bool(live.any()):
            break
        iterations += live.flatten()
        q = matrix(p)
        alpha = torch.where(live, ratio(rr, dot(p, q)), 0.0).to(y.dtype)
        x, r = x + alpha * p, r - alpha * q
        after = torch.where(live, dot(r, r), rr)
        p = torch.where(live, r + ratio(after, rr).to(y.dtype) * p, p)
        rr = after
    r = y - matrix(x)
    return x, ratio(dot(r, r), yy).sqrt().amax((1, 2, 3)), iterations
