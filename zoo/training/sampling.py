"""Which examples a step takes: a function of (seed, step, rank) alone, so that it can be resumed anywhere."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .objective import Moment


def positions(moment: Moment, count: int, batch: int, seed: int) -> np.ndarray:
    """Indices of the step's examples, all processes together going once through every permutation of the data.

    Args:
        moment: The step.
        count: Number of examples in the data.
        batch: Examples a step and process.
        seed: Seed of the permutations.

    Returns:
        int64 (batch,), each in [0, count).
    """
    first = (moment.step * moment.world + moment.rank) * batch
    place = np.arange(first, first + batch)
    epochs = place // count
    index = np.empty(batch, np.int64)
    for epoch in np.unique(epochs):
        chosen = epochs == epoch
        index[chosen] = _permutation(count, seed, int(epoch))[place[chosen] % count]
    return index


@lru_cache(maxsize=4)
def _permutation(count: int, seed: int, epoch: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(count)
