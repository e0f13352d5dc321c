"""1-D total variation prox in plain PyTorch: any device, any number of rows at once.

Divide and conquer over levels. Ask, for a level t, which samples of the solution lie above it: with the messages

    a_i = clip(a_{i-1} + t - x_{i-1}, -w_{i-1}, w_{i-1})       (from the left, a_0 = 0; b_i from the right alike)

sample i lies above t exactly when (t - x_i) + a_i + b_i < 0, the derivative at t of what y_i costs once all others are
chosen well. Start with one group a row, t its best constant; split every group where the answer changes; the pull of a
neighbour that is known to lie above (below) is -w (+w). A group that no longer splits is a constant piece of y. Clipped
sums compose to clipped sums, so the messages of a row are one prefix scan of log2(N) vector operations.
"""

from __future__ import annotations

import torch
from torch import Tensor


def prox_tv1d(x: Tensor, weights: Tensor, method: int = 0) -> Tensor:
    """Exact prox of each row.

    Args:
        x: (B, N), float32 or float64.
        weights: (B or 1, 1 or N-1), the weight of each edge, >= 0.
        method: taken for the operator's sake; both methods give this result.

    Returns:
        (B, N), dtype of x; computed in float64.
    """
    rows, n = x.shape
    if n == 1 or rows == 0:
        return x.clone()
    values = x.double()
    # a weight above N times the range is never reached: cut it, so that sums keep their digits
    cap = n * (values.amax(1, keepdim=True) - values.amin(1, keepdim=True))
    w = torch.minimum(weights.double().expand(rows, n - 1), cap)
    noise = 64 * torch.finfo(torch.float64).eps * (values.abs().amax(1, keepdim=True) + 2 * w.amax(1, keepdim=True))
    y = torch.empty_like(values)
    live = torch.arange(rows, device=x.device)
    # pull[i] on the edge between i and i+1: 0 inside a group, else the sign of y_{i+1} - y_i
    jump = torch.zeros_like(w)
    for _ in range(n):
        level, above = _split(values[live], w[live], jump[live], noise[live])
        y[live] = level
        fresh = torch.where(jump[live] == 0, above.diff(dim=1).sign(), 0.0)
        jump[live] += fresh
        live = live[fresh.ne(0).any(1)]
        if live.numel() == 0:
            break
    return y.to(x.dtype)


def _split(x: Tensor, w: Tensor, jump: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The best constant of each group, at each sample, and on which side of it (-1, 0, 1) the sample's y lies."""
    zero = x.new_zeros(x.shape[0], 1)
    pull = jump * w
    from_left = torch.cat((zero, pull), 1)  # left neighbour lower (jump +1): it pulls down, derivative +w
    from_right = torch.cat((-pull, zero), 1)
    starts = torch.cat((torch.ones_like(zero), jump.abs()), 1) > 0
    group = starts.long().cumsum(1) - 1

    def per_group(v: Tensor) -> Tensor:
        return torch.zeros_like(x).scatter_add_(1, group, v)

    level = (per_group(x - from_left - from_right) / per_group(torch.ones_like(x)).clamp_min(1)).gather(1, group)
    rise = level - x
    left = _messages(rise, w, jump, from_left)
    right = _messages(rise.flip(1), w.flip(1), jump.flip(1), from_right.flip(1)).flip(1)
    slope = rise + left + right
    return level, torch.where(slope.abs() <= noise, 0.0, -slope.sign())


def _messages(rise: Tensor, w: Tensor, jump: Tensor, fixed: Tensor) -> Tensor:
    """a_i = clip(a_{i-1} + rise_{i-1}, -w_{i-1}, w_{i-1}) inside a group, fixed_i where a group starts.

    Each step is m -> clip(m + add, low, high); doubling composes 1, 2, 4, ... of them.
    """
    inside = torch.nn.functional.pad((jump == 0).to(w.dtype), (1, 0)) > 0
    add = torch.where(inside, torch.nn.functional.pad(rise[:, :-1], (1, 0)), 0.0)
    high = torch.where(inside, torch.nn.functional.pad(w, (1, 0)), fixed)
    low = torch.where(inside, -high, fixed)
    n, reach = rise.shape[1], 1
    while reach < n:
        first_add, first_low, first_high = add[:, :-reach], low[:, :-reach], high[:, :-reach]
        then_add, then_low, then_high = add[:, reach:], low[:, reach:], high[:, reach:]
        new_low = torch.minimum(torch.maximum(first_low + then_add, then_low), then_high)
        new_high = torch.minimum(torch.maximum(first_high + then_add, then_low), then_high)
        add = torch.cat((add[:, :reach], first_add + then_add), 1)
        low = torch.cat((low[:, :reach], new_low), 1)
        high = torch.cat((high[:, :reach], new_high), 1)
        reach *= 2
    return torch.minimum(torch.maximum(add, low), high)  # applied to a_0 = 0


def prox_tv1d_backward(y: Tensor, grad: Tensor, per_edge: bool) -> tuple[Tensor, Tensor]:
    """Gradient at the solution y (B, N): the mean of grad over the segments of y, and its jumps at their ends.

    Returns:
        grad to x (B, N), grad to the weights of each row: (B, 1), or (B, N-1) per edge.
    """
    rows, n = y.shape
    starts = torch.nn.functional.pad(y.diff(dim=1) != 0, (1, 0))
    group = starts.long().cumsum(1)
    total = torch.zeros_like(grad).scatter_add_(1, group, grad)
    size = torch.zeros_like(grad).scatter_add_(1, group, torch.ones_like(grad)).clamp_min(1)
    grad_x = (total / size).gather(1, group)
    edges = y.diff(dim=1).sign() * -grad_x.diff(dim=1)
    if not per_edge:
        return grad_x, edges.sum(1, keepdim=True)
    return grad_x, edges if n > 1 else y.new_zeros(rows, 1)
