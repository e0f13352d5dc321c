"""Which denoisers are at hand, and which one suits a noise level. Reads records only and needs no torch."""

from __future__ import annotations

import math

from . import registry
from .catalogue import at_hand
from .entry import Entry

AUTO = "auto"
"""In place of a model's name: choose by the noise level."""
TOTAL_VARIATION = "tv2d.anisotropic"
NEAR = 0.1
"""A network is asked for levels that differ from those it was trained for by this share at most."""


def is_network(entry: Entry) -> bool:
    """Whether a denoiser is a network, which has no λ, and not total variation."""
    return entry.input.control != "lam"


def installed() -> list[Entry]:
    """The denoisers that work without a connection: networks for a range of levels, other networks, total variation."""
    found = [registry.info(name) for name in registry.list_models(task="denoise")]
    return sorted(filter(at_hand, found), key=lambda entry: (not is_network(entry), -_range(entry), entry.name))


def default() -> str:
    """The model to begin with: the network for the widest range of levels, if there is one for more than one level."""
    first = installed()[0]
    return first.name if _range(first) > 0 else TOTAL_VARIATION


def mismatch(entry: Entry, sigma: float) -> float:
    """How far a noise level, 0..255 scale, is from those that a model was trained for, as a share of the nearest.

    0 for a level among them, and for a model that was trained for none in particular.
    """
    if entry.input.noise is None:
        return 0.0
    low, high = entry.input.noise
    nearest = min(max(sigma, low), high)
    if nearest == sigma:
        return 0.0
    return abs(sigma - nearest) / nearest if nearest > 0 else math.inf


def choose(sigma: float) -> str:
    """The model for a noise level, 0..255 scale.

    Of the networks whose training fits it within `NEAR`, the one for the fewest levels, then the nearest, then the one
    with the best PSNR in its record; total variation if none fits.
    """

    def order(entry: Entry) -> tuple[float, float, float, str]:
        psnrs = [metric.value for metric in entry.metrics if metric.metric == "PSNR"]
        return _range(entry), mismatch(entry, sigma), -sum(psnrs) / max(1, len(psnrs)), entry.name

    fitting = [entry for entry in installed() if entry.input.noise is not None and mismatch(entry, sigma) <= NEAR]
    return min(fitting, key=order).name if fitting else TOTAL_VARIATION


def levels(entry: Entry) -> str:
    """The noise levels that a model was trained for, in words: "σ = 25", "σ from 0 to 55"; empty if any will do."""
    if entry.input.noise is None:
        return ""
    low, high = entry.input.noise
    return f"σ = {low:g}" if low == high else f"σ from {low:g} to {high:g}"


def warning(entry: Entry, sigma: float, estimated: bool) -> str | None:
    """What to say to somebody who uses a model at a noise level that it was not trained for; None if all is well."""
    if mismatch(entry, sigma) <= NEAR:
        return None
    has = f"the noise of this picture is about {sigma:.0f}" if estimated else f"the noise is {sigma:g}"
    text = f"it was trained for {levels(entry)}, and {has}"
    better = choose(sigma)
    return f"{text}: {better} fits better" if is_network(registry.info(better)) else text


def _range(entry: Entry) -> float:
    return 0.0 if entry.input.noise is None else entry.input.noise[1] - entry.input.noise[0]
