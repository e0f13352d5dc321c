"""Photo style transfer at the paper's three sizes (Puy & Pérez 2019, section 5.4), with the Laplacian and without.

The solver filters by polynomials after each update. PhotoWCT, the paper's [30], whitens and then solves one system
directly. Both take their Laplacian from the content anew, and the Gram matrices or the whitening from the style.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.matting import LAM, SIZES, direct, pictures, system
from benchmarks.timing import Row, report, take_turns
from zoo.catalogue import at_hand
from zoo.registry import info
from zoo.tasks import photo_stylize

SOLVER, WHITENING = "flexible_solver.n4_l16", "wct.tiny_imagenet"
PAPER = {256: (0.44, 0.04, 0.79, 0.20), 512: (1.86, 0.11, 3.12, 0.23), 1024: (8.11, 0.37, 15.23, 0.34)}
"""Seconds on a P100 by width: the solver with and without the Laplacian, PhotoWCT with and without."""


def transferred(model: str, content: Tensor, style: Tensor, lam: float) -> Tensor:
    """One transfer, nothing measured."""
    return photo_stylize(content, style, model=model, method="prox", lam=lam, measure=False)


def photowct(content: Tensor, style: Tensor) -> Tensor:
    """Whitened, then (I + 2 lam L)⁻¹ by scipy's factorisation."""
    image = transferred(WHITENING, content, style, 0.0)
    solved = direct(system(content).tocsc(), image[0].reshape(3, -1).double().numpy())
    return torch.from_numpy(solved.astype(np.float32)).reshape(image.shape).clamp(0, 1)


def tables(threads: int) -> list[dict[str, Any]]:
    """A table for each size.

    Raises:
        SystemExit: the solver or the whitening network is not installed.
    """
    for name in (SOLVER, WHITENING):
        if not at_hand(info(name)):
            raise SystemExit(f"{name} is not installed")
    found = []
    for height, width in SIZES:
        content, style = pictures(height, width)
        paper = PAPER[width]
        rows = [
            Row("solver, with Laplacian", lambda c=content, s=style: transferred(SOLVER, c, s, LAM), 5),
            Row("solver, without", lambda c=content, s=style: transferred(SOLVER, c, s, 0.0), 5),
            Row("PhotoWCT, direct solve", lambda c=content, s=style: photowct(c, s), 3 if width < 1024 else 1),
            Row("PhotoWCT, without", lambda c=content, s=style: transferred(WHITENING, c, s, 0.0), 5),
            Row("whitening, our filter", lambda c=content, s=style: transferred(WHITENING, c, s, LAM), 5),
        ]
        for row, seconds in zip(rows, paper, strict=False):
            row.note = f"the paper's, on a P100: {seconds:.2f} s"
        take_turns(rows)
        found.append(report(f"Photo style transfer, {width}x{height}, lam = {LAM:g}", rows))
    return found
