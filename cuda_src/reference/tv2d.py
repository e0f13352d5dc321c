"""2-D total variation prox in plain PyTorch: any device, any number of images at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

from cuda_src.reference.tv1d import prox_tv1d

Solver = Callable[[Tensor, Tensor, int], Tensor]


def prox_tv2d(
    x: Tensor,
    right: Tensor,
    below: Tensor,
    p: Tensor,
    q: Tensor,
    pe: Tensor,
    qe: Tensor,
    step: Tensor,
    mode: int,
    max_iter: int,
    tol: float,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """The operator `nsz::prox_tv2d`, see :data:`cuda_src.ops.SCHEMAS`.

    Anisotropic with tol = 0 runs exactly `max_iter` sweeps of accelerated Dykstra, as the compiled operator does. To a
    tolerance it runs the projected gradient on the dual, which vectorises far better here; a sweep counts as 20 of
    its steps. Either way the answer is within the returned gap of the optimum.
    """
    if p.numel() == 0:
        p = q = pe = qe = torch.zeros_like(x)
    if mode == 0 and tol == 0:
        y, p, q, qe = dykstra(x, right, below, q, qe, step, max_iter, prox_tv1d)
        pe, done = p, torch.full_like(step, max_iter)
        step = step + max_iter
    elif mode == 1:
        y, p, q, pe, qe, step, done = projected_gradient(x, right, below, p, q, pe, qe, step, True, max_iter, tol)
    else:
        # the operator hands over D^T of the duals; the duals are their running sums
        duals = (-p.cumsum(2), -q.cumsum(1), -pe.cumsum(2), -qe.cumsum(1))
        y, p, q, pe, qe, step, done = projected_gradient(x, right, below, *duals, step, False, 20 * max_iter, tol)
        p, pe = (pad(u[:, :, :-1], (1, 0)) - u for u in (p, pe))
        q, qe = (pad(u[:, :-1], (0, 0, 1, 0)) - u for u in (q, qe))
        done = done.div(20, rounding_mode="trunc").clamp_min(1)
    gap, objective = measure(x, y, right, below, mode == 1)
    # an operator must not hand back its inputs, nor one tensor twice
    p, q, pe, qe = (t.contiguous().clone() if keep else t.new_empty(0) for t in (p, q, pe, qe))
    step = step.clone()
    return y, p, q, pe, qe, step, gap, objective, done


def next_t(t: Tensor) -> Tensor:
    """Momentum of the accelerated sweeps (Chambolle, Tan & Vaiter 2017)."""
    return (1 + (1 + 4 * t * t).sqrt()) / 2


def dykstra(
    x: Tensor, right: Tensor, below: Tensor, q: Tensor, qe: Tensor, step: Tensor, sweeps: int, solve: Solver
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Accelerated Dykstra (Yeh et al. 2022, algorithm 1), differentiable when `solve`, the 1-D prox, is.

    Returns y, the images p = D_r^T(row duals) and q = D_c^T(column duals), x = y + p + q, and the extrapolated q.
    """
    batch = x.shape[0]

    def lines(v: Tensor, w: Tensor) -> Tensor:  # the prox along the last dimension of (B, lines, length)
        count, length = v.shape[1:]
        w = w[:, None].expand(-1, count, -1) if w.dim() == 2 else w
        w = w.expand(batch, count, w.shape[2]).reshape(batch * count, -1)
        return solve(v.reshape(batch * count, length), w, 0).view_as(v)

    down = below.mT if below.dim() == 3 else below
    t = torch.ones(batch, dtype=torch.float64, device=x.device)
    for k in range(int(step.max())):
        t = torch.where(k < step, next_t(t), t)
    y, p = x, q
    for _ in range(sweeps):
        b = x - qe
        p = b - lines(b, right)
        b = x - p
        y = lines(b.mT.contiguous(), down).mT.contiguous()
        after = next_t(t)
        beta = ((t - 1) / after).to(x.dtype)[:, None, None]
        qe, q, t = (b - y) + beta * (b - y - q), b - y, after
    return y, p, q, qe


def _differences(y: Tensor) -> tuple[Tensor, Tensor]:
    return pad(y.diff(dim=2), (0, 1)), pad(y.diff(dim=1), (0, 0, 0, 1))


def _field(w: Tensor, dim: int) -> Tensor:
    """Weights as a field of the image's size; what lies beyond the last edge multiplies 0."""
    if w.dim() == 2:
        return w[:, :, None]
    return pad(w, (0, 1) if dim == 2 else (0, 0, 0, 1))


def measure(x: Tensor, y: Tensor, right: Tensor, below: Tensor, isotropic: bool) -> tuple[Tensor, Tensor]:
    """The duality gap and the primal objective of y = x - D^T (p, q): gap = TV(y) - <x - y, y>."""
    # differences at the level of rounding count as none: a large lam would make much of them
    still = 8 * torch.finfo(x.dtype).eps * x.abs().amax((1, 2), keepdim=True)
    dx, dy = (torch.where(d.abs() > still, d, 0.0) for d in _differences(y))
    wr, wb = _field(right, 2), _field(below, 1)
    edges = wr * (dx * dx + dy * dy).sqrt() if isotropic else wr * dx.abs() + wb * dy.abs()
    tv = torch.nan_to_num(edges.double(), 0.0).sum((1, 2))  # inf * 0: an edge that no difference crosses
    rest = (x - y).double()
    level = x.double().mean((1, 2), keepdim=True)  # <x - y, 1> = 0: keeps the digits
    gap = (tv - (rest * (y - level)).sum((1, 2))).clamp_min(0)
    return gap, (rest * rest).sum((1, 2)) / 2 + tv


def projected_gradient(
    x: Tensor,
    right: Tensor,
    below: Tensor,
    p: Tensor,
    q: Tensor,
    pe: Tensor,
    qe: Tensor,
    step: Tensor,
    isotropic: bool,
    max_iter: int,
    tol: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Fast projected gradient on the dual (Beck & Teboulle 2009), differentiable with tol = 0.

    Returns y, the dual pair p, q, its extrapolation, the steps since the last restart, and the steps made here.
    """
    wr, wb = _field(right, 2), _field(below, 1)
    if right.dim() == 2:  # beyond this lam the solution is the mean, and digits are lost
        most = (x.detach() - x.detach().mean((1, 2), keepdim=True)).abs().sum((1, 2))[:, None, None]
        wr, wb = torch.minimum(wr, most), torch.minimum(wb, most)

    def primal(p: Tensor, q: Tensor) -> Tensor:
        return x + divergence(p, q)

    def project(p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
        if isotropic:
            length = (p * p + q * q).clamp_min(tiny).sqrt()  # away from the root's infinite slope at 0
            scale = torch.where(length > wr, wr / length, 1.0)
            return p * scale, q * scale
        return torch.maximum(torch.minimum(p, wr), -wr), torch.maximum(torch.minimum(q, wb), -wb)

    batch, tiny = x.shape[0], torch.finfo(x.dtype).tiny
    gap, objective = measure(x.detach(), primal(p, q).detach(), right.detach(), below.detach(), isotropic)
    best = torch.where(step > 0, objective - gap, -torch.inf)  # the dual objective that this goes on from
    done = torch.zeros_like(step)
    live = torch.ones(batch, 1, 1, dtype=torch.bool, device=x.device)
    for k in range(1, max_iter + 1):
        dx, dy = _differences(primal(pe, qe))
        new_p, new_q = project(pe + dx / 8, qe + dy / 8)
        step = step + live[:, 0, 0]
        momentum = ((step.double() - 1) / (step + 4)).to(x.dtype)[:, None, None]
        # an image that is done keeps its pair: its result does not depend on its batch mates
        pe = torch.where(live, new_p + momentum * (new_p - p), pe)
        qe = torch.where(live, new_q + momentum * (new_q - q), qe)
        p, q = torch.where(live, new_p, p), torch.where(live, new_q, q)
        done = done + live[:, 0, 0]
        if tol > 0 and k % 10 == 0:
            gap, objective = measure(x, primal(p, q), right, below, isotropic)
            live = (gap > tol * objective)[:, None, None]
            if not bool(live.any()):
                break
            dual = objective - gap
            restart = live & (dual < best)[:, None, None]
            step = torch.where(restart[:, 0, 0], 0, step)
            pe, qe = torch.where(restart, p, pe), torch.where(restart, q, qe)
            best = dual
    return primal(p, q), p, q, pe, qe, step, done


def region_mean(values: Tensor, right: Tensor, below: Tensor) -> Tensor:
    """The operator `nsz::region_mean`: the smallest label of a region spreads, pointers halve its way."""
    batch, height, width = values.shape
    pixels = height * width
    label = torch.arange(batch * pixels, device=values.device).view(batch, height, width)
    while True:
        low = label.clone()
        for joined, dim in ((right, 2), (below, 1)):
            edges = low.shape[dim] - 1
            if edges == 0:
                continue
            a, b = low.narrow(dim, 0, edges), low.narrow(dim, 1, edges)
            both = torch.minimum(a, b)
            low.narrow(dim, 0, edges).copy_(torch.where(joined, both, a))
            b = low.narrow(dim, 1, edges)
            low.narrow(dim, 1, edges).copy_(torch.where(joined, torch.minimum(both, b), b))
        # the root that a pixel had learns of the smaller label too, then every pixel asks its root
        flat = label.flatten().scatter_reduce(0, label.flatten(), low.flatten(), "amin")
        flat = torch.minimum(flat, low.flatten())
        flat = flat[flat]
        new = flat.view_as(label)
        if torch.equal(new, label):
            break
        label = new
    index = label.flatten()
    source = values.flatten().double()
    total = torch.zeros_like(source).scatter_add_(0, index, source)
    size = torch.zeros_like(source).scatter_add_(0, index, torch.ones_like(source))
    return (total / size.clamp_min(1))[index].view_as(values).to(values.dtype)


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """-D^T (p, q), the adjoint of the differences with its sign turned; p, q are 0 where these are."""
    return p - pad(p[:, :, :-1], (1, 0)) + q - pad(q[:, :-1], (0, 0, 1, 0))


def isotropic_gradient(y: Tensor, grad: Tensor, lam: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
    """J^T grad of the isotropic prox and the gradient to lam, by conjugate gradient.

    Where the gradient of y is not zero the optimality condition y - x - lam div(Dy/|Dy|) = 0 is smooth; where it is
    zero y stays flat. With P the mean over the flat regions and n = Dy/|Dy|, v = J grad solves, in the range of P,
    P (I + lam D^T (I - n n^T)/|Dy| D) P v = P grad, and dL/dlam = -<D v, n>.
    """
    dx, dy = _differences(y)
    length = (dx * dx + dy * dy).sqrt()
    steep = length > level
    inverse = torch.where(steep, 1 / length.clamp_min(torch.finfo(y.dtype).tiny), 0.0)
    nx, ny = dx * inverse, dy * inverse
    lam3 = lam[:, :, None]
    flat = ~steep

    def mean(v: Tensor) -> Tensor:
        return torch.ops.nsz.region_mean(v, flat[:, :, :-1], flat[:, :-1, :])

    def apply(v: Tensor) -> Tensor:
        vx, vy = _differences(v)
        along = nx * vx + ny * vy
        return mean(v - lam3 * divergence((vx - along * nx) * inverse, (vy - along * ny) * inverse))

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).sum((1, 2), keepdim=True)

    b = mean(grad)
    v = torch.zeros_like(b)
    r = b.clone()
    d = r.clone()
    rr = dot(r, r)
    goal = rr * (1e-13 if y.dtype == torch.float64 else 1e-6) ** 2
    for _ in range(min(1000, 4 * y.shape[1] * y.shape[2] + 10)):
        if bool((rr <= goal).all()):
            break
        ad = apply(d)
        live = rr > goal  # an image that is done stays as it is: its result does not depend on its batch mates
        step = torch.where(live, rr / dot(d, ad), 0.0)
        v = v + step * d
        r = r - step * ad
        new = torch.where(live, dot(r, r), rr)
        d = torch.where(live, r + new / rr.clamp_min(torch.finfo(y.dtype).tiny) * d, d)
        rr = new
    vx, vy = _differences(v)
    grad_lam = -(vx * nx + vy * ny).sum((1, 2))[:, None]
    return v, grad_lam
