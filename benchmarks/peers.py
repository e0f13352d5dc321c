"""The peers, each called the way its users call it. prox_tv loops over rows and maps: it has no batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import prox_tv
import torch
from torch import Tensor

ROW_METHODS = ("hybridtautstring", "classictautstring", "linearizedtautstring", "condat", "dp", "kolmogorov", "pn")
IMAGE_METHODS = ("dr", "kolmogorov", "pd", "yang", "chambolle-pock")


def rows_1d(x: np.ndarray, lam: float, method: str) -> np.ndarray:
    """prox_tv over the rows of (B, N)."""
    return np.stack([prox_tv.tv1_1d(row, lam, method=method) for row in x])


def image_2d(x: np.ndarray, lam: float, method: str, iterations: int, threads: int) -> np.ndarray:
    """prox_tv on one image, anisotropic."""
    return prox_tv.tv1_2d(x, lam, n_threads=threads, max_iters=iterations, method=method)


class DenseTV1d(torch.autograd.Function):
    """prox_tv forward with the paper's backward in PyTorch (Yeh et al. 2022, eq. 8 and 9): dense, a Cholesky a row.

    As in the paper's code the columns where y does not jump are kept as columns of zeros with a unit pivot, so that a
    batch is one tensor (B, N, N).
    """

    @staticmethod
    def forward(ctx, x: Tensor, lam: Tensor, method: str) -> Tensor:
        """x (B, N), one lam for all rows."""
        y = torch.from_numpy(rows_1d(x.detach().double().numpy(), float(lam), method)).to(x.dtype)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, grad: Tensor):
        """Gradients to x and lam."""
        (y,) = ctx.saved_tensors
        batch, n = y.shape
        step = y.diff(dim=1)
        jumps = torch.cat((torch.ones(batch, 1, dtype=torch.bool), step.abs() > 1e-6), 1)
        lower = torch.tril(torch.ones(n, n, dtype=y.dtype))
        columns = lower * jumps[:, None].to(y.dtype)  # (B, N, N)
        gram = columns.mT @ columns + torch.diag_embed((~jumps).to(y.dtype))
        factor = torch.linalg.cholesky(gram)
        solved = torch.cholesky_solve(columns.mT @ grad[..., None], factor)  # (L^T L)^-1 L^T g
        grad_x = (columns @ solved)[..., 0]
        sign = torch.cat((torch.zeros(batch, 1, dtype=y.dtype), step.sign()), 1) * jumps
        grad_lam = -(solved[..., 0] * sign).sum()
        return grad_x, grad_lam, None


def deepinv_tv(x: Tensor, lam: float, iterations: int) -> Tensor:
    """deepinv's TV denoiser on (B, 1, H, W); isotropic, it has no other mode."""
    from deepinv.models import TVDenoiser

    return TVDenoiser(n_it_max=iterations, crit=0.0)(x, ths=lam)


def scikit_image(x: np.ndarray, lam: float, method: str, iterations: int) -> np.ndarray:
    """scikit-image: `chambolle` is isotropic with weight = lam; `bregman` takes 1/lam and can be anisotropic."""
    from skimage.restoration import denoise_tv_bregman, denoise_tv_chambolle

    if method == "chambolle":
        return denoise_tv_chambolle(x, weight=lam, eps=0, max_num_iter=iterations)
    return denoise_tv_bregman(x, weight=1 / lam, eps=1e-12, max_num_iter=iterations, isotropic=False)


def iterations_for(
    solve: Callable[[int], np.ndarray | Tensor], excess: Callable[[np.ndarray | Tensor], float], goal: float, most: int
) -> int | None:
    """The smallest number of iterations whose result is within `goal`, to 6 %; None: not by `most`."""
    low, high = 0, 1
    while excess(solve(high)) > goal:
        low, high = high, high * 2
        if high > most:
            return None
    while high - low > max(1, low // 16):
        middle = (low + high) // 2
        if excess(solve(middle)) > goal:
            low = middle
        else:
            high = middle
    return high
