"""Total variation: forward and backward in 1-D, 2-D to the same objective gap, growth with the number of pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

import cuda_src
from benchmarks import peers
from benchmarks.timing import Row, report, take_turns

GOAL = 1e-4  # relative gap of the objective to which all 2-D solvers are run


def step_rows(rows: int, n: int) -> Tensor:
    """The paper's timing data: a unit step with noise of 1, (rows, n)."""
    g = torch.Generator().manual_seed(0)
    return (torch.arange(n) >= n // 2).float() + torch.randn(rows, n, generator=g)


def photograph(size: int) -> Tensor:
    """scikit-image's cameraman, repeated or cut to (size, size), in [0, 1], with noise of 25/255."""
    from skimage import data

    image = torch.from_numpy(data.camera()).float() / 255
    times = -(-size // image.shape[0])
    noise = torch.randn(size, size, generator=torch.Generator().manual_seed(0))
    return image.repeat(times, times)[:size, :size] + 25 / 255 * noise


def objective(x: np.ndarray, y: np.ndarray, lam: float, isotropic: bool = False) -> float:
    """½‖y − x‖² + lam TV(y), summed over all maps (..., H, W)."""
    x, y = (np.asarray(v, dtype=np.float64) for v in (x, y))
    across, down = np.diff(y, axis=-1), np.diff(y, axis=-2)
    if isotropic:
        pad = [(0, 0)] * (y.ndim - 2)
        tv = np.hypot(np.pad(across, [*pad, (0, 0), (0, 1)]), np.pad(down, [*pad, (0, 1), (0, 0)])).sum()
    else:
        tv = np.abs(across).sum() + np.abs(down).sum()
    return 0.5 * ((y - x) ** 2).sum() + lam * tv


def tables(threads: int) -> list[dict[str, Any]]:
    """All of them."""
    return [*one_dimension(), *two_dimensions(threads), growth()]


def one_dimension() -> list[dict[str, Any]]:
    """8192 rows of 32, lam = 1: the batch of the paper's Table 1."""
    x = step_rows(8192, 32)
    rows64 = x.double().numpy()
    ours = cuda_src.prox_tv1d(x, 1.0)
    exact = peers.rows_1d(rows64, 1.0, "condat")
    print(f"largest difference to prox_tv: {np.abs(ours.numpy() - exact).max():.1e} (float32), ", end="")
    print(f"{np.abs(cuda_src.prox_tv1d(x.double(), 1.0).numpy() - exact).max():.1e} (float64)")
    forward = [Row("ours, direct", lambda: cuda_src.prox_tv1d(x, 1.0), 50)]
    forward += [Row(f"prox_tv {m}", lambda m=m: peers.rows_1d(rows64, 1.0, m), 7) for m in peers.ROW_METHODS]
    forward.append(Row("ours, newton", lambda: cuda_src.prox_tv1d(x, 1.0, method="newton"), 7))
    take_turns(forward)
    best = min((r for r in forward if r.name.startswith("prox_tv")), key=lambda r: r.median).name
    tables = [report("1-D forward, 8192 rows of 32, lam = 1, float32", forward, {best: 25})]

    g = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))

    def step(solve) -> Tensor:
        a, lam = x.clone().requires_grad_(), torch.tensor(1.0, requires_grad=True)
        solve(a, lam).backward(g)
        return torch.cat((a.grad.flatten(), lam.grad.flatten()))

    method = best.removeprefix("prox_tv ")
    both = [
        Row("ours", lambda: step(cuda_src.prox_tv1d), 30),
        Row(f"prox_tv {method}, dense backward", lambda: step(lambda a, lam: peers.DenseTV1d.apply(a, lam, method)), 5),
    ]
    difference = (both[0].call() - both[1].call()).abs()
    both[1].note = f"gradients differ by {difference[:-1].max():.0e} (x), {difference[-1]:.0e} (lam)"
    take_turns(both)
    tables.append(report("1-D forward and backward, 8192 rows of 32, lam = 1, float32", both, {both[1].name: 100}))
    return tables


def _ours_to_goal(x: Tensor, lam: float, mode: str, star: float) -> Row:
    """Our solver with the number of iterations that it needs to the goal, counted like everybody's."""

    def solve(iterations: int) -> Tensor:
        return cuda_src.prox_tv2d(x, lam, mode=mode, tol=0.0, max_iter=iterations)

    def excess(y) -> float:
        return objective(x.numpy(), y.numpy(), lam, mode == "isotropic") / star - 1

    n = peers.iterations_for(solve, excess, GOAL, 4000)
    assert n is not None
    return Row(f"ours, {mode}", lambda: solve(n), 20, f"{n} iterations")


def two_dimensions(threads: int) -> list[dict[str, Any]]:
    """512x512 and 256 maps of 32x32, all to the same relative gap of the objective; isotropic beside it."""
    tables = []
    x, lam = photograph(512), 0.1
    image = x.double().numpy()
    star = objective(image, cuda_src.prox_tv2d(x.double(), lam, tol=1e-10, max_iter=3000).numpy(), lam)
    rows = [_ours_to_goal(x, lam, "anisotropic", star)]
    for method in peers.IMAGE_METHODS:

        def solve(n: int, method: str = method) -> np.ndarray:
            return peers.image_2d(image, lam, method, n, threads)

        n = peers.iterations_for(solve, lambda y: objective(image, y, lam) / star - 1, GOAL, 400)
        if n is None:
            print(f"prox_tv {method}: not within {GOAL} after 400 iterations, left out")
        else:
            rows.append(Row(f"prox_tv {method}", lambda n=n, f=solve: f(n), 5, f"{n} iterations"))
    n = peers.iterations_for(
        lambda n: peers.scikit_image(image, lam, "bregman", n),
        lambda y: objective(image, y, lam) / star - 1, GOAL, 2000,
    )  # fmt: skip
    if n is not None:
        rows.append(
            Row("scikit-image bregman", lambda: peers.scikit_image(image, lam, "bregman", n), 5, f"{n} iterations")
        )
    exact = cuda_src.prox_tv2d(x, lam, tol=0.0, max_iter=400).double().numpy()
    far = np.abs(exact - peers.image_2d(image, lam, "kolmogorov", 1500, threads)).max()
    print(f"largest difference to prox_tv, both run to convergence: {far:.1e} (float32)")
    take_turns(rows)
    best = min((r for r in rows if r.name.startswith("prox_tv")), key=lambda r: r.median).name
    tables.append(report(f"2-D anisotropic 512x512, lam = {lam}, relative gap {GOAL}, float32", rows, {best: 3}))

    iso_star = objective(
        image, cuda_src.prox_tv2d(x.double(), lam, mode="isotropic", tol=1e-8, max_iter=10_000).numpy(), lam, True
    )
    rows = [_ours_to_goal(x, lam, "isotropic", iso_star)]
    batch = x[None, None]
    for name, solve, most in (
        ("deepinv TVDenoiser", lambda n: peers.deepinv_tv(batch, lam, n)[0, 0].numpy(), 3000),
        ("scikit-image chambolle", lambda n: peers.scikit_image(image, lam, "chambolle", n), 3000),
    ):
        n = peers.iterations_for(solve, lambda y: objective(image, y, lam, True) / iso_star - 1, GOAL, most)
        note = f"{n} iterations" if n else f"not within the gap after {most} iterations"
        rows.append(Row(name, lambda n=n or most, f=solve: f(n), 3, note))
    take_turns(rows)
    tables.append(
        report(f"2-D isotropic 512x512, lam = {lam}, relative gap {GOAL}, float32", rows, {"deepinv TVDenoiser": 10})
    )
    aniso = {"ours, anisotropic": tables[0]["rows"][0]["median_ms"]}
    ratio = rows[1].median * 1e3 / aniso["ours, anisotropic"]
    print(f"  deepinv against our anisotropic solver, each on its own problem: {ratio:.1f}x")
    tables[-1]["deepinv_over_ours_anisotropic"] = ratio
    tables += [_small_maps(threads, lam) for lam in (0.1, 1.0)]
    return tables


def _small_maps(threads: int, lam: float) -> dict[str, Any]:
    g = torch.Generator().manual_seed(0)
    maps = (torch.arange(32) >= 16).float() + torch.randn(256, 32, 32, generator=g)
    doubles = maps.double().numpy()
    star = objective(doubles, cuda_src.prox_tv2d(maps.double(), lam, tol=1e-10, max_iter=3000).numpy(), lam)
    rows = [_ours_to_goal(maps, lam, "anisotropic", star)]
    for method in peers.IMAGE_METHODS:

        def solve(n: int, method: str = method) -> np.ndarray:
            return np.stack([peers.image_2d(one, lam, method, n, threads) for one in doubles])

        n = peers.iterations_for(solve, lambda y: objective(doubles, y, lam) / star - 1, GOAL, 300)
        if n is None:
            print(f"prox_tv {method}: not within {GOAL} after 300 iterations, left out")
        else:
            rows.append(Row(f"prox_tv {method}", lambda n=n, f=solve: f(n), 5, f"{n} iterations"))
    take_turns(rows)
    best = min((r for r in rows if r.name.startswith("prox_tv")), key=lambda r: r.median).name
    return report(f"2-D anisotropic, 256 maps of 32x32, lam = {lam}, relative gap {GOAL}, float32", rows, {best: 10})


def growth() -> dict[str, Any]:
    """Time against the number of pixels, at a fixed number of sweeps and to the tolerance that the app uses."""
    print("\nGrowth with the number of pixels, anisotropic, lam = 0.1, float32")
    print(f"  {'size':>6}{'30 sweeps, ms':>16}{'ns a pixel':>12}{'to 1e-4, ms':>14}{'ns a pixel':>12}{'sweeps':>8}")
    table = []
    for size in (128, 256, 512, 1024, 2048):
        x = photograph(size)
        rows = [
            Row("30 sweeps", lambda x=x: cuda_src.prox_tv2d(x, 0.1, tol=0.0, max_iter=30), 5),
            Row("to 1e-4", lambda x=x: cuda_src.prox_tv2d(x, 0.1, tol=1e-4), 5),
        ]
        sweeps = int(cuda_src.prox_tv2d(x, 0.1, tol=1e-4, return_iterations=True)[1])
        take_turns(rows)
        each = [row.median / size**2 * 1e9 for row in rows]
        print(
            f"  {size:>6}{rows[0].median * 1e3:>16.2f}{each[0]:>12.1f}"
            f"{rows[1].median * 1e3:>14.2f}{each[1]:>12.1f}{sweeps:>8}"
        )
        table.append({"size": size, "ms": [row.median * 1e3 for row in rows], "ns_a_pixel": each, "sweeps": sweeps})
    return {"title": "growth", "rows": table}
