"""Total variation proximal operators: exact, batched, differentiable in the input and in lam."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cuda_src.reference.tv2d import dykstra, measure, projected_gradient

METHODS = {"auto": 0, "direct": 0, "newton": 1}
MODES = {"anisotropic": 0, "isotropic": 1}
MAX_ITER = {"anisotropic": 300, "isotropic": 3000}
UNROLLED_MAX_ITER = {"anisotropic": 10, "isotropic": 100}


class Dual(NamedTuple):
    """Where a 2-D solve stands: what `return_dual` gives and `init` takes. Shapes: that of x; step, x.shape[:-2]."""

    p: Tensor
    q: Tensor
    p_ahead: Tensor
    q_ahead: Tensor
    step: Tensor


def prox_tv1d(x: Tensor, lam: float | Tensor, *, method: str = "auto", edge_weights: Tensor | None = None) -> Tensor:
    """Total variation prox along the last dimension: argmin_y ½‖y − x‖² + lam Σ_n w_n |y_{n+1} − y_n|.

    Exact, and exactly differentiable in x, lam and edge_weights, in O(N) each way (Yeh et al. 2022, eq. 1, 6, 8).
    Rows are independent: the result of a row does not depend on the others.

    Args:
        x: (..., N), floating point. Half types are computed in float32 and cast back.
        lam: ≥ 0; a number, or a tensor that broadcasts over the leading dimensions x.shape[:-1].
        method: "direct" (Condat 2013, with a taut string where that would rescan too often), "newton" (the paper's
            projected Newton on the dual), or "auto", the faster: direct.
        edge_weights: w ≥ 0, broadcastable to x.shape[:-1] + (N-1,); None: all ones.

    Returns:
        y, shape and dtype of x. lam = 0 gives x, lam → ∞ (inf is allowed) the mean of the row.

    Raises:
        TypeError: an argument is not of the stated type.
        ValueError: wrong shape, zero size, NaN or infinity in x, NaN or negative numbers in lam or edge_weights.
    """
    _check_image(x, 1)
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it can be {', '.join(map(repr, METHODS))}")
    leading, n = x.shape[:-1], x.shape[-1]
    rows = x.reshape(-1, n).to(_working_dtype(x))
    weights = _check_lam(lam, leading, rows)
    if edge_weights is not None:
        edges = _check_edges("edge_weights", edge_weights, (*leading, n - 1), rows)
        if n > 1:
            weights = _product(weights, edges)
    y = torch.ops.nsz.prox_tv1d(rows, weights, METHODS[method])
    return y.view(x.shape).to(x.dtype)


def prox_tv2d(
    x: Tensor,
    lam: float | Tensor,
    *,
    mode: str = "anisotropic",
    max_iter: int | None = None,
    tol: float = 1e-6,
    return_gap: bool = False,
    grad: str = "implicit",
    edge_weights: tuple[Tensor, Tensor] | None = None,
    init: Dual | None = None,
    return_dual: bool = False,
    return_iterations: bool = False,
) -> Any:
    """Total variation prox over the last two dimensions: argmin_y ½‖y − x‖² + lam TV(y).

    TV is Σ|y_{i,j+1} − y_{i,j}| + Σ|y_{i+1,j} − y_{i,j}| (anisotropic; Yeh et al. 2022, eq. 2, solved by accelerated
    proximal Dykstra over rows and columns, algorithm 1) or Σ of the length of the two differences (isotropic; fast
    projected gradient on the dual). Each image stops on its own: its result does not depend on its batch mates.

    Args:
        x: (..., H, W), floating point. Half types are computed in float32 and cast back.
        lam: ≥ 0; a number, or a tensor that broadcasts over the leading dimensions x.shape[:-2].
        mode: "anisotropic" or "isotropic".
        max_iter: at most so many sweeps over rows and columns (default 300), or gradient steps (isotropic, 3000).
        tol: an image stops when its duality gap ≤ tol × its objective. 0: exactly max_iter iterations.
        return_gap: also return the duality gap of each image: the objective at y is at most that much above the
            minimum, and ½‖y − y*‖² at most the gap.
        grad: "implicit" differentiates the solution (regions of equal value; isotropic: conjugate gradient on the
            linearised optimality condition); "unrolled" differentiates exactly max_iter iterations (default 10, or 100
            isotropic), without looking at tol: for layers that run the paper's 3 or 4.
        edge_weights: (right, below), weights ≥ 0 of single edges, anisotropic only; broadcastable to
            x.shape[:-2] + (H, W-1) and x.shape[:-2] + (H-1, W).
        init: the `Dual` of an earlier call, to go on from. With the same x and lam a solve in pieces makes the
            same iterations as one in one piece, up to rounding; another x or lam (a slider, the next frame) gains from
            it too.
        return_dual: also return the `Dual`. Its p, q prove the gap: x − y = D^T of them (isotropic: p, q are the dual
            variables of the edges to the right and below; anisotropic: already D^T of these).
        return_iterations: also return the number of iterations of each image.

    Returns:
        y, shape and dtype of x. With return_gap, return_dual, return_iterations a tuple of y and what was asked for, in
        this order; gap (float64) and iterations (int64) have the shape x.shape[:-2].

    Raises:
        TypeError: an argument is not of the stated type.
        ValueError: wrong shape, zero size, NaN or infinity in x, NaN or negative numbers in lam or edge_weights.
    """
    _check_image(x, 2)
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; it can be 'anisotropic' or 'isotropic'")
    if grad not in ("implicit", "unrolled"):
        raise ValueError(f"grad is {grad!r}; it can be 'implicit' or 'unrolled'")
    if max_iter is None:
        max_iter = (UNROLLED_MAX_ITER if grad == "unrolled" else MAX_ITER)[mode]
    if not isinstance(max_iter, int) or isinstance(max_iter, bool) or max_iter < 1:
        raise ValueError(f"max_iter is {max_iter!r}; it has to be a whole number of at least 1")
    if not isinstance(tol, (int, float)) or not tol >= 0:
        raise ValueError(f"tol is {tol!r}; it has to be a number of at least 0")
    leading, (height, width) = x.shape[:-2], x.shape[-2:]
    images = x.reshape(-1, height, width).to(_working_dtype(x))
    right = below = _check_lam(lam, leading, images)
    if edge_weights is not None:
        if mode != "anisotropic":
            raise ValueError("edge_weights go with mode='anisotropic'; the isotropic mode takes lam alone")
        if not isinstance(edge_weights, (tuple, list)) or len(edge_weights) != 2:
            raise TypeError("edge_weights has to be a pair of tensors, for the edges to the right and for those below")
        edges_right = _check_edges("edge_weights[0]", edge_weights[0], (*leading, height, width - 1), images)
        edges_below = _check_edges("edge_weights[1]", edge_weights[1], (*leading, height - 1, width), images)
        right, below = _product(right, edges_right), _product(below, edges_below)
    dual = _check_init(init, x, images)

    if grad == "unrolled":
        if init is None:
            zero = torch.zeros_like(images)
            dual = Dual(zero, zero, zero, zero, dual.step)
        step = dual.step
        if mode == "anisotropic":
            y, p, q, qe = dykstra(images, right, below, dual.q, dual.q_ahead, step, max_iter, torch.ops.nsz.prox_tv1d)
            dual, iterations = Dual(p, q, p, qe, step + max_iter), torch.full_like(step, max_iter)
        else:
            y, *state, iterations = projected_gradient(images, right, below, *dual, True, max_iter, 0.0)
            dual = Dual(*state)
        gap = measure(images.detach(), y.detach(), right.detach(), below.detach(), mode == "isotropic")[0]
    else:
        y, *state, gap, _, iterations = torch.ops.nsz.prox_tv2d(
            images, right, below, *dual, MODES[mode], max_iter, float(tol), return_dual
        )
        dual = Dual(*state)
    results: list[Any] = [y.view(x.shape).to(x.dtype)]
    if return_gap:
        results.append(gap.view(leading))
    if return_dual:
        p, q, p_ahead, q_ahead = (t.detach().view(x.shape) for t in dual[:4])
        results.append(Dual(p, q, p_ahead, q_ahead, dual.step.view(leading)))
    if return_iterations:
        results.append(iterations.view(leading))
    return tuple(results) if len(results) > 1 else results[0]


def _working_dtype(x: Tensor) -> torch.dtype:
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def _check_image(x: Tensor, dims: int) -> None:
    if not isinstance(x, Tensor):
        raise TypeError(f"x has to be a tensor, not {type(x).__name__}")
    if not x.is_floating_point():
        raise TypeError(f"x has to be of a floating-point dtype, not {x.dtype}; convert it, e.g. x.float()")
    if x.dim() < dims:
        raise ValueError(f"x has shape {tuple(x.shape)}; it has to have at least {dims} dimension(s)")
    if x.numel() == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}, so it is empty")
    if torch.compiler.is_compiling() or x.is_meta:
        return
    # a sum that is finite clears every value at the price of one pass; only a suspect one is looked at closely
    if not math.isfinite(x.detach().sum(dtype=_working_dtype(x)).item()) and not bool(torch.isfinite(x).all()):
        raise ValueError("x holds NaN or infinite values")


def _check_lam(lam: float | Tensor, leading: tuple[int, ...], like: Tensor) -> Tensor:
    """lam as (1, 1) or (B, 1), in the dtype of the computation."""
    if isinstance(lam, Tensor):
        if lam.is_complex() or lam.dtype == torch.bool:
            raise TypeError(f"lam has to be a real tensor, not {lam.dtype}")
        lam_tensor = lam.to(device=like.device, dtype=like.dtype)
        _check_weights("lam", lam_tensor)
        if lam_tensor.numel() == 1:
            return lam_tensor.reshape(1, 1)
        return _broadcast("lam", lam_tensor, leading, "the leading dimensions of x").reshape(-1, 1)
    if isinstance(lam, bool) or not isinstance(lam, (int, float)):
        try:
            lam = float(lam)  # numpy scalars
        except (TypeError, ValueError):
            raise TypeError(f"lam has to be a number or a tensor, not {type(lam).__name__}") from None
    if not lam >= 0:
        raise ValueError(f"lam is {lam}; it has to be at least 0")
    return like.new_full((1, 1), lam)


def _check_edges(name: str, edges: Tensor, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Edge weights as (1 or B, ...) over the flattened leading dimensions."""
    if not isinstance(edges, Tensor):
        raise TypeError(f"{name} has to be a tensor, not {type(edges).__name__}")
    edges = edges.to(device=like.device, dtype=like.dtype)
    _check_weights(name, edges)
    own = like.dim() - 1  # dimensions of a row's or an image's edges
    alone = all(size == 1 for size in edges.shape[: max(0, edges.dim() - own)])
    wide = _broadcast(name, edges, shape, "the edges of x")
    flat = wide.reshape(like.shape[0], *shape[len(shape) - own :])
    return flat[:1] if alone and flat.shape[0] > 0 else flat


def _check_weights(name: str, weights: Tensor) -> None:
    if torch.compiler.is_compiling() or weights.is_meta or weights.numel() == 0:
        return
    if not weights.detach().amin().item() >= 0:  # NaN fails too
        raise ValueError(f"{name} holds NaN or negative values; it has to be at least 0")


def _broadcast(name: str, value: Tensor, shape: tuple[int, ...], what: str) -> Tensor:
    try:
        return value.expand(shape)
    except RuntimeError:
        raise ValueError(
            f"{name} has shape {tuple(value.shape)}, which does not broadcast to {tuple(shape)}, {what}"
        ) from None


def _product(lam: Tensor, edges: Tensor) -> Tensor:
    """lam (1 or B, 1) times edges (1 or B, ...); inf × 0 is 0: an edge of weight 0 is cut, whatever lam."""
    lam = lam.reshape(-1, *([1] * (edges.dim() - 1)))
    return torch.where(edges == 0, edges, lam * edges)


def _check_init(init: Any, x: Tensor, images: Tensor) -> Dual:
    if init is None:
        none = images.new_empty(0)
        return Dual(none, none, none, none, images.new_zeros(images.shape[0], dtype=torch.int64))
    if not isinstance(init, (tuple, list)) or len(init) != 5 or not all(isinstance(t, Tensor) for t in init):
        raise TypeError("init has to be what return_dual gives")
    for t, shape in zip(init, (*(x.shape,) * 4, x.shape[:-2]), strict=True):
        if t.shape != shape:
            raise ValueError(f"init has a part of shape {tuple(t.shape)}, where x asks for {tuple(shape)}")
    p, q, p_ahead, q_ahead = (t.detach().to(images).reshape(images.shape) for t in init[:4])
    return Dual(p, q, p_ahead, q_ahead, init[4].to(device=images.device, dtype=torch.int64).reshape(-1))
