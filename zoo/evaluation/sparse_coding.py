"""LISTA beside ISTA and FISTA, at the same number of steps."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from ..models.lista import LISTA, ista_steps, objective


@torch.no_grad()
def evaluate_sparse_coder(model: LISTA, patches: Tensor, codes: Tensor) -> dict[str, float]:
    """How near a trained coder comes to the solution.

    Args:
        model: The coder.
        patches: (B, n), of unit norm.
        codes: The converged solver's, (B, m).

    Returns:
        `nmse`: squared error of the codes over their squared norm, dB; `excess`: mean objective above the minimum, in
        per cent of the minimum; `ista`, `fista`: the same excess for as many iterations as the model has layers;
        `ista_equal`: iterations that ISTA needs to get there, at most 1000.
    """
    dictionary = model.dictionary
    least = objective(patches, codes, dictionary, model.mu).mean()

    def excess(found: Tensor) -> float:
        return float(100 * (objective(patches, found, dictionary, model.mu).mean() / least - 1))

    found = model(patches).float()
    layers = len(model.encode)
    figures = {
        "nmse": float(10 * torch.log10((found - codes).square().sum() / codes.square().sum())),
        "excess": excess(found),
    }
    for key, accelerate in (("ista", False), ("fista", True)):
        steps = ista_steps(patches, dictionary, model.mu, accelerate=accelerate)
        figures[key] = excess(next(itertools.islice(steps, layers - 1, None)))
    few = patches[:500]
    least, patches = objective(few, codes[:500], dictionary, model.mu).mean(), few
    target = excess(found[:500])
    steps = itertools.islice(ista_steps(few, dictionary, model.mu), 1000)
    figures["ista_equal"] = float(next((i for i, y in enumerate(steps, start=1) if excess(y) <= target), 1000))
    return figures
