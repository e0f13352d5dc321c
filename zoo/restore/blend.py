"""Putting a result into the picture it belongs to: without a seam, and without touching what is known."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def _neighbours(x: Tensor) -> Tensor:
    """Sum over the four neighbours; outside the picture there are none."""
    wide = F.pad(x, [1] * 4)
    return wide[..., 1:-1, :-2] + wide[..., 1:-1, 2:] + wide[..., :-2, 1:-1] + wide[..., 2:, 1:-1]


def membrane(values: Tensor, known: Tensor, *, tol: float = 1e-3, max_iter: int = 400) -> Tensor:
    """Extend values into holes so that the Laplacian is 0 there: the smoothest surface on the given rim.

    A hole reaches the border of the picture without a condition there. Conjugate gradients, from the solution on half
    the size.

    Args:
        values: (C, H, W), what is given where `known`.
        known: bool (H, W).
        tol: Residual at which it ends, relative to the size of the values.
        max_iter: Limit on the iterations on each size.

    Returns:
        (C, H, W), unchanged where known; 0 everywhere if nothing is known.
    """
    if not known.any():
        return torch.zeros_like(values)
    given = known[None].to(values)
    start = values * given
    if known.all():
        return values.clone()
    if min(values.shape[-2:]) >= 4:
        share = F.avg_pool2d(given, 2, ceil_mode=True, count_include_pad=False)
        small = F.avg_pool2d(start, 2, ceil_mode=True, count_include_pad=False) / share.clamp(min=1e-6)
        coarse = membrane(small, share[0] > 0, tol=tol, max_iter=max_iter)
        guess = F.interpolate(coarse[None], size=values.shape[-2:], mode="bilinear", align_corners=False)[0]
    else:
        guess = start.sum((1, 2), keepdim=True) / given.sum() * torch.ones_like(values)
    inside = 1 - given
    degree = _neighbours(torch.ones_like(given))

    def laplacian(x: Tensor) -> Tensor:  # of what is 0 outside the holes; symmetric, positive definite
        return inside * (degree * x - _neighbours(x))

    x = inside * guess
    residual = inside * _neighbours(start) - laplacian(x)
    goal = tol * float(start.square().mean().sqrt()) + 1e-9
    direction, size = residual, residual.square().sum((1, 2), keepdim=True)
    for _ in range(max_iter):
        if float(residual.abs().max()) <= goal:
            break
        moved = laplacian(direction)
        step = size / (direction * moved).sum((1, 2), keepdim=True).clamp(min=1e-30)
        x = x + step * direction
        residual = residual - step * moved
        before, size = size, residual.square().sum((1, 2), keepdim=True)
        direction = residual + size / before.clamp(min=1e-30) * direction
    return start + x


def fill_seamlessly(picture: Tensor, result: Tensor, known: Tensor) -> Tensor:
    """The picture where it is known, the result in the holes, shifted there by a smooth surface so that they meet.

    This is Poisson blending (Pérez et al. 2003): in the holes the gradient is the result's, at their rim the values are
    the picture's.

    Args:
        picture: (C, H, W) in [0, 1].
        result: The same shape, good everywhere.
        known: bool (H, W).

    Returns:
        (C, H, W), equal to the picture where known.
    """
    shift = membrane(picture - result, known)
    return torch.where(known, picture, (result + shift).clamp(0, 1))


def feather(height: int, width: int, sides: tuple[bool, bool, bool, bool], share: float = 0.08) -> Tensor:
    """Weights (height, width) that fall to 0 towards some of the sides of a rectangle.

    Args:
        height, width: In pixels.
        sides: Top, bottom, left, right: whether the weights fall there.
        share: Of a side, over which they fall.
    """

    def ramp(count: int, first: bool, last: bool) -> Tensor:
        band = max(1.0, share * count)
        place = torch.arange(count, dtype=torch.float32) + 0.5
        t = torch.ones(count)
        if first:
            t = torch.minimum(t, place / band)
        if last:
            t = torch.minimum(t, (count - place) / band)
        t = t.clamp(0, 1)
        return t * t * (3 - 2 * t)

    top, bottom, left, right = sides
    return ramp(height, top, bottom)[:, None] * ramp(width, left, right)[None]
