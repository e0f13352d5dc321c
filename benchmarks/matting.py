"""Matting Laplacian: (I + 2 lam L)^-1 y against scipy's sparse solvers, growth with pixels, the paper's resolutions."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import cg, splu
from torch import Tensor
from torch.nn.functional import interpolate

import cuda_src
from benchmarks.timing import Row, report, take_turns
from cuda_src.reference.matting import OFFSETS

LAM = 50.0
SIZES = ((128, 256), (256, 512), (512, 1024))  # the paper's, height first


def pictures(height: int, width: int) -> tuple[Tensor, Tensor]:
    """A guide in 8 bits, and what a stylisation might make of it: other colours, another picture's texture, noise."""
    from skimage import data

    def of(picture: np.ndarray) -> Tensor:
        wide = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
        return interpolate(wide, size=(height, width), mode="area" if width <= 512 else "bilinear")

    guide = (of(data.coffee()) * 255).round() / 255
    noise = torch.randn(guide.shape, generator=torch.Generator().manual_seed(0))
    return guide, (0.7 * guide.flip(1) + 0.3 * of(data.astronaut()) + 0.05 * noise).clamp(0, 1)


def sparse_matrix(bands: Tensor) -> sparse.csr_matrix:
    """L of one image (13, H, W) as scipy's CSR, float64, 25 entries a row."""
    _, height, width = bands.shape
    values = bands.double().numpy().reshape(len(OFFSETS), -1)
    at = [down * width + right for down, right in OFFSETS]
    diagonals, offsets = [values[0]], [0]
    for value, offset in zip(values[1:], at[1:], strict=True):
        # dia_matrix keeps the entry of row i, column i + offset at place i + offset
        diagonals += [np.concatenate((np.zeros(offset), value[:-offset])), value]
        offsets += [offset, -offset]
    size = height * width
    return sparse.dia_matrix((np.stack(diagonals), offsets), shape=(size, size)).tocsr()


def system(guide: Tensor) -> sparse.csr_matrix:
    """I + 2 lam L of a guide (1, 3, H, W), in float64: as it is meant to be, not as float32 rounds it."""
    L = sparse_matrix(cuda_src.matting_laplacian(guide.double())[0])
    return (sparse.eye(L.shape[0]) + 2 * LAM * L).tocsr()


def direct(matrix: sparse.csc_matrix, columns: np.ndarray) -> np.ndarray:
    """Solutions for the rows of `columns`, by one factorisation ordered for a symmetric matrix.

    It takes a quarter of the time of `scipy.sparse.linalg.spsolve`.
    """
    symmetric = {"diag_pivot_thresh": 0.0, "options": {"SymmetricMode": True}}
    factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", **symmetric)
    return np.stack([factors.solve(column) for column in columns])


class Problem:
    """One guide and picture, and the same for scipy."""

    def __init__(self, height: int, width: int) -> None:
        self.guide, self.y = pictures(height, width)
        self.bands = cuda_src.matting_laplacian(self.guide)
        self.matrix = system(self.guide)
        self.columns = self.y[0].reshape(3, -1).double().numpy()
        self.star: np.ndarray | None = None

    def direct(self) -> np.ndarray:
        """scipy's solution."""
        return direct(self.matrix.tocsc(), self.columns)

    def scipy_cg(self, tol: float) -> np.ndarray:
        """scipy.sparse.linalg.cg from y on, channel by channel."""
        return np.stack([cg(self.matrix, column, x0=column, rtol=tol, maxiter=2000)[0] for column in self.columns])

    def error(self, x: Tensor | np.ndarray) -> float:
        """Relative error of the three channels against the direct solution."""
        if self.star is None:
            self.star = self.direct()
        values = x[0].reshape(3, -1).double().numpy() if isinstance(x, Tensor) else x
        return float(np.linalg.norm(values - self.star) / np.linalg.norm(self.star))

    def reached(self, solve: Any, goal: float) -> float:
        """The loosest tolerance whose result is within `goal`."""
        for tol in np.geomspace(1, 1e-6, 49):
            if self.error(solve(float(tol))) <= goal:
                return float(tol)
        raise RuntimeError("not reached")

    def cg(self, tol: float) -> Tensor:
        """Ours."""
        return cuda_src.matting_solve(self.bands, self.y, LAM, method="cg", tol=tol)

    def iterations(self, tol: float) -> int:
        """Of our conjugate gradients."""
        return int(cuda_src.matting_solve(self.bands, self.y, LAM, method="cg", tol=tol, return_info=True)[2])

    def order_for(self, goal: float) -> int:
        """The lowest degree, in steps of 2, whose result is within `goal`."""
        orders = range(2, 400, 2)
        return next(k for k in orders if self.error(self.chebyshev(k)) <= goal)

    def chebyshev(self, order: int | None = None) -> Tensor:
        """Ours."""
        return cuda_src.matting_solve(self.bands, self.y, LAM, order=order)


def against_scipy() -> list[dict[str, Any]]:
    """512 x 256, lam = 50: everybody to the same error, and what the matrix takes."""
    problem = Problem(256, 512)
    start = time.perf_counter()
    problem.star = problem.direct()
    seconds = time.perf_counter() - start
    print(f"scipy's direct solve of 512x256: {seconds:.1f} s, once")
    found = []
    for goal in (1e-2, 1e-3):
        ours, theirs = problem.reached(problem.cg, goal), problem.reached(problem.scipy_cg, goal)
        order = problem.order_for(goal)
        rows = [
            Row("ours, cg, float32", lambda tol=ours: problem.cg(tol), 20, f"{problem.iterations(ours)} iterations"),
            Row("ours, chebyshev, float32", lambda order=order: problem.chebyshev(order), 20, f"order {order}"),
            Row("scipy cg", lambda tol=theirs: problem.scipy_cg(tol), 3),
        ]
        if goal == 1e-2:
            rows.append(Row("ours, chebyshev, default", problem.chebyshev, 20, "certain of 1e-2"))
            rows.append(Row("ours, the bands alone", lambda: cuda_src.matting_laplacian(problem.guide), 20))
        for row in rows[:-1] if goal == 1e-2 else rows:
            row.note = f"error {problem.error(row.call()):.1e} {row.note}"
        take_turns(rows)
        title = f"(I + 2 lam L)^-1 y, 512x256, 3 channels, lam = {LAM:g}, relative error {goal:g}"
        found.append(report(title, rows, {"scipy cg": 10}))
        chebyshev = rows[2].median / rows[1].median
        print(f"  scipy cg against our chebyshev: {chebyshev:.1f}x")
        found[-1]["scipy_cg_over_chebyshev"] = chebyshev
    matrix = problem.matrix
    csr = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    bands = problem.bands.numel() * problem.bands.element_size()
    work = 5 * problem.y.numel() * problem.y.element_size()
    print(f"  the matrix: {bands / 2**20:.1f} MiB of bands, {csr / 2**20:.1f} MiB of CSR: {bands / csr:.2f} (aim 0.25)")
    print(f"  with the vectors of our cg: {(bands + work) / csr:.2f} of the CSR matrix alone")
    found[0] |= {"direct_s": seconds, "bands_bytes": bands, "csr_bytes": csr, "cg_vectors_bytes": work}
    return found


def growth() -> dict[str, Any]:
    """Time against the number of pixels, at fixed numbers of products."""
    print(f"\nGrowth with the number of pixels, lam = {LAM:g}, float32, ns a pixel")
    print(f"  {'size':>12}{'bands':>10}{'chebyshev':>12}{'a product':>12}{'cg':>10}{'iterations':>12}")
    table = []
    for height, width in ((64, 128), (128, 256), (256, 512), (512, 1024), (1024, 2048)):
        guide, y = pictures(height, width)
        bands = cuda_src.matting_laplacian(guide)
        rows = [
            Row("bands", lambda guide=guide: cuda_src.matting_laplacian(guide), 5),
            Row("chebyshev", lambda bands=bands, y=y: cuda_src.matting_solve(bands, y, LAM), 5),
            Row("cg", lambda bands=bands, y=y: cuda_src.matting_solve(bands, y, LAM, method="cg"), 5),
        ]
        take_turns(rows)
        iterations = int(cuda_src.matting_solve(bands, y, LAM, method="cg", return_info=True)[2])
        each = [row.median / (height * width) * 1e9 for row in rows]
        product = each[1] / cuda_src.chebyshev_order(LAM, 1e-2)
        size = f"{width}x{height}"
        print(f"  {size:>12}{each[0]:>10.1f}{each[1]:>12.0f}{product:>12.2f}{each[2]:>10.0f}{iterations:>12}")
        table.append({"size": [width, height], "ns_a_pixel": each, "iterations": iterations})
    return {"title": "growth", "rows": table}


def resolutions() -> list[dict[str, Any]]:
    """The paper's three sizes: bands and filter together, as one photograph needs them, and scipy's direct solve."""
    found = []
    for height, width in SIZES:
        guide, y = pictures(height, width)

        def whole(method: str, guide: Tensor = guide, y: Tensor = y) -> Tensor:
            return cuda_src.matting_solve(cuda_src.matting_laplacian(guide), y, LAM, method=method)

        rows = [
            Row("ours, chebyshev", lambda whole=whole: whole("chebyshev"), 10),
            Row("ours, cg", lambda whole=whole: whole("cg"), 10),
        ]
        problem = Problem(height, width)
        if height < 512:  # beyond, the factors take gigabytes
            rows.append(Row("scipy direct, without the matrix", problem.direct, 1))
            for row in rows[:2]:
                row.note = f"error {problem.error(row.call()):.1e}"
        take_turns(rows)
        found.append(report(f"Bands and one filter, {width}x{height}, lam = {LAM:g}", rows))
    return found


def tables(threads: int) -> list[dict[str, Any]]:
    """All of them."""
    return [*against_scipy(), growth(), *resolutions()]
