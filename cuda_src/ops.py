"""The operators `torch.ops.nsz.*`: schemas, shapes under tracing, gradients.

Which code runs them (compiled, or the reference) is decided in :mod:`cuda_src.backend`; nothing here depends on it.
Rows, images and weights come flattened to one batch dimension; the public functions in :mod:`cuda_src.tv` do that.
"""

from __future__ import annotations

import torch
from torch import Tensor

SCHEMAS = {
    # x (B, N); weights (B or 1, 1 or N-1), already lam times the edge weights; method 0 direct, 1 newton
    "prox_tv1d": "(Tensor x, Tensor weights, int method) -> Tensor",
    # y (B, N) a solution -> gradients to x (B, N) and to the weights of each row (B, 1 or N-1)
    "prox_tv1d_backward": "(Tensor y, Tensor grad, bool per_edge) -> (Tensor, Tensor)",
    # x (B, H, W); right, below: (B or 1, 1) or (B or 1, H, W-1) and (B or 1, H-1, W); p, q, pe, qe (B, H, W) and step
    # (B), the duals, their extrapolations and the iterations behind these: where to go on from, or four empty tensors
    # and zeros; mode 0 anisotropic, 1 isotropic; keep: whether the first four come out again or stay empty
    # -> y, the five, gap (B), objective (B), iterations (B)
    "prox_tv2d": "(Tensor x, Tensor right, Tensor below, Tensor p, Tensor q, Tensor pe, Tensor qe, Tensor step,"
    " int mode, int max_iter, float tol, bool keep)"
    " -> (Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    # the mean of values (B, H, W) over the regions that right (B, H, W-1) and below (B, H-1, W) connect
    "region_mean": "(Tensor values, Tensor right, Tensor below) -> Tensor",
    # y (B, H, W) an isotropic solution, lam (B or 1, 1), level (B, 1, 1): gradient to x (B, H, W) and to lam (B, 1)
    "isotropic_gradient": "(Tensor y, Tensor grad, Tensor lam, Tensor level) -> (Tensor, Tensor)",
    # image (B, 3, H, W) -> the matting Laplacian L of each, as bands (B, 13, H, W)
    "matting_bands": "(Tensor image, float eps) -> Tensor",
    # bands (B or 1, 13, H, W), y (B, C, H, W) -> L y
    "matting_apply": "(Tensor bands, Tensor y) -> Tensor",
    # the same -> p(L) y, a polynomial of degree `order` near (I + 2 lam L)^-1 on the spectrum [0, spectrum]
    "matting_chebyshev": "(Tensor bands, Tensor y, float lam, int order, float spectrum) -> Tensor",
    # the same -> (I + 2 lam L)^-1 y, the relative residual (B) of the worst channel, the iterations (B)
    "matting_cg": "(Tensor bands, Tensor y, float lam, int max_iter, float tol) -> (Tensor, Tensor, Tensor)",
}

library = torch.library.Library("nsz", "DEF")
for _name, _schema in SCHEMAS.items():
    library.define(_name + _schema)


def _edges(grad_x: Tensor, y: Tensor, dim: int) -> Tensor:
    """dL/dw of every edge along `dim`: a heavier edge pulls its two sides together."""
    return y.diff(dim=dim).sign() * -grad_x.diff(dim=dim)


@torch.library.register_fake("nsz::prox_tv1d")
def _(x, weights, method):
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@torch.library.register_fake("nsz::prox_tv1d_backward")
def _(y, grad, per_edge):
    columns = max(1, y.shape[1] - 1) if per_edge else 1
    return torch.empty_like(y, memory_format=torch.contiguous_format), y.new_empty(y.shape[0], columns)


@torch.library.register_fake("nsz::prox_tv2d")
def _(x, right, below, p, q, pe, qe, step, mode, max_iter, tol, keep):
    y = torch.empty_like(x, memory_format=torch.contiguous_format)
    duals = tuple(torch.empty_like(y) if keep else x.new_empty(0) for _ in range(4))
    numbers = tuple(x.new_empty(x.shape[0], dtype=torch.float64) for _ in range(2))
    counts = tuple(x.new_empty(x.shape[0], dtype=torch.int64) for _ in range(2))
    return y, *duals, counts[0], *numbers, counts[1]


@torch.library.register_fake("nsz::region_mean")
def _(values, right, below):
    return torch.empty_like(values, memory_format=torch.contiguous_format)


@torch.library.register_fake("nsz::isotropic_gradient")
def _(y, grad, lam, level):
    return torch.empty_like(y, memory_format=torch.contiguous_format), y.new_empty(y.shape[0], 1)


def _save_1d(ctx, inputs, output):
    _, weights, _ = inputs
    ctx.save_for_backward(output)
    ctx.weights_shape = weights.shape


def _backward_1d(ctx, grad):
    (y,) = ctx.saved_tensors
    rows, columns = ctx.weights_shape
    grad_x, grad_w = torch.ops.nsz.prox_tv1d_backward(y, grad, columns > 1)
    if rows == 1:
        grad_w = grad_w.sum(0, keepdim=True)
    return grad_x, grad_w, None


torch.library.register_autograd("nsz::prox_tv1d", _backward_1d, setup_context=_save_1d)


def _save_1d_backward(ctx, inputs, output):
    y, _, per_edge = inputs
    ctx.save_for_backward(y)
    ctx.per_edge = per_edge


def _double_backward_1d(ctx, grad_gx, grad_gw):
    # gx = P g and gw = S D P g, with P the (self-adjoint) segment mean: the adjoint is P (grad_gx + D^T S grad_gw)
    (y,) = ctx.saved_tensors
    pulled = grad_gx.clone()
    if y.shape[1] > 1:
        edge = y.diff(dim=1).sign() * grad_gw
        pulled[:, :-1] += edge
        pulled[:, 1:] -= edge
    return None, torch.ops.nsz.prox_tv1d_backward(y, pulled, False)[0], None


torch.library.register_autograd("nsz::prox_tv1d_backward", _double_backward_1d, setup_context=_save_1d_backward)


def _save_region(ctx, inputs, output):
    _, right, below = inputs
    ctx.save_for_backward(right, below)


def _backward_region(ctx, grad):
    return torch.ops.nsz.region_mean(grad, *ctx.saved_tensors), None, None  # a projection: its own adjoint


torch.library.register_autograd("nsz::region_mean", _backward_region, setup_context=_save_region)


def _no_second_derivative(ctx, *_):
    raise RuntimeError(
        "the implicit gradient of the isotropic mode has no derivative of its own; grad='unrolled' has one"
    )


torch.library.register_autograd("nsz::isotropic_gradient", _no_second_derivative, setup_context=lambda *_, **__: None)


def same_level(y: Tensor, gap: Tensor, objective: Tensor) -> Tensor:
    """The difference (B, 1, 1) below which two pixels of a solution y (B, H, W) count as equal.

    By strong convexity ||y - y*||^2 <= 2 gap, where the gap itself is known to the rounding of the objective:
    differences below a few root mean squares of that error say nothing.
    """
    pixels = y.shape[1] * y.shape[2]
    known_to = gap + torch.finfo(y.dtype).eps * objective
    return (4 * (2 * known_to / pixels).sqrt()).to(y.dtype)[:, None, None]


def _save_2d(ctx, inputs, output):
    _, right, below, *_, mode, _, _, _ = inputs
    y, gap, objective = output[0], output[6], output[7]
    ctx.save_for_backward(y, right, below, gap, objective)
    ctx.isotropic = mode == 1
    ctx.set_materialize_grads(False)


def _backward_2d(ctx, grad, *_):
    """Implicit gradient at the solution; the other outputs are measurements and carry none."""
    if grad is None:
        return (None,) * 12
    y, right, below, gap, objective = ctx.saved_tensors
    level = same_level(y, gap, objective)
    if ctx.isotropic:
        grad_x, grad_lam = torch.ops.nsz.isotropic_gradient(y, grad, right, level)
        grad_lam = grad_lam.sum(0, keepdim=True) if right.shape[0] == 1 else grad_lam
        return grad_x, grad_lam, *(None,) * 10
    # the Jacobian to x averages over connected regions of equal value; to a weight: see _edges
    grad_x = torch.ops.nsz.region_mean(grad, y.diff(dim=2).abs() <= level, y.diff(dim=1).abs() <= level)
    grads = []
    for weights, dim in ((right, 2), (below, 1)):
        edges = _edges(grad_x, y, dim)
        if weights.dim() == 2:
            edges = edges.sum((1, 2))[:, None]
        grads.append(edges.sum(0, keepdim=True) if weights.shape[0] == 1 else edges)
    return grad_x, *grads, *(None,) * 9


torch.library.register_autograd("nsz::prox_tv2d", _backward_2d, setup_context=_save_2d)


@torch.library.register_fake("nsz::matting_bands")
def _(image, eps):
    return image.new_empty(image.shape[0], 13, *image.shape[2:])


@torch.library.register_fake("nsz::matting_apply")
def _(bands, y):
    return torch.empty_like(y, memory_format=torch.contiguous_format)


@torch.library.register_fake("nsz::matting_chebyshev")
def _(bands, y, lam, order, spectrum):
    return torch.empty_like(y, memory_format=torch.contiguous_format)


@torch.library.register_fake("nsz::matting_cg")
def _(bands, y, lam, max_iter, tol):
    x = torch.empty_like(y, memory_format=torch.contiguous_format)
    return x, y.new_empty(len(y), dtype=torch.float64), y.new_empty(len(y), dtype=torch.int64)


def _no_guide_derivative(ctx, *_):
    raise RuntimeError("the matting Laplacian has no derivative with respect to its guide; detach the guide")


torch.library.register_autograd("nsz::matting_bands", _no_guide_derivative, setup_context=lambda *_, **__: None)


def _save_matting(ctx, inputs, output):
    bands, _, *ctx.numbers = inputs
    ctx.save_for_backward(bands)
    ctx.set_materialize_grads(False)


def _same_again(name: str):
    """L, its polynomials and its inverse are symmetric: the gradient to y is the operator applied to the gradient."""

    def backward(ctx, grad, *_):
        (bands,) = ctx.saved_tensors
        if ctx.needs_input_grad[0]:
            _no_guide_derivative(ctx)
        if grad is not None:
            result = getattr(torch.ops.nsz, name)(bands, grad, *ctx.numbers)
            grad = result[0] if isinstance(result, tuple) else result
        return None, grad, *(None for _ in ctx.numbers)

    return backward


for _name in ("matting_apply", "matting_chebyshev", "matting_cg"):
    torch.library.register_autograd(f"nsz::{_name}", _same_again(_name), setup_context=_save_matting)
