"""Which engine enlarges when nobody names one. Reads records only and needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from .. import registry
from ..catalogue import at_hand
from ..entry import Entry
from ..stylize.ranking import AUTO, REFERENCE, Choice, first_at_hand

TASK = "superres"
BICUBIC = "bicubic"
"""In place of a model's name: interpolation alone."""


@dataclass(frozen=True)
class Rank:
    """One place of the ranking."""

    name: str
    gram_snr: float | None = None
    """SNR of the Gram matrices, dB, guided, mean over 40 textures at ×3; None: not measured yet."""


RANKING = (Rank(REFERENCE, 6.84), Rank("flexible_solver.n4_l16", 4.38), Rank("flexible_solver.n4_l32"))
"""The best first of those that can be guided. Those that cannot are not here: they do not do what is asked for."""


def choose(model: str = AUTO) -> Choice:
    """The engine of this name, or for "auto" the first of the ranking that is installed.

    Raises:
        ValueError: unknown, or for another task.
    """
    if model == AUTO:
        figures = {rank.name: rank.gram_snr for rank in RANKING}
        if best := first_at_hand(figures, TASK):
            figure = f", Gram SNR {figures[best]:g} dB" if figures[best] is not None else ""
            return Choice(best, f"the best on unseen textures of those installed{figure}")
        return Choice(BICUBIC, "nothing that could be guided is installed")
    if model == BICUBIC:
        return Choice(BICUBIC, "as asked")
    entry = registry.info(model)
    if TASK not in entry.tasks:
        raise ValueError(
            f"model: {entry.name} is for {', '.join(entry.tasks)}; zoo list --task {TASK} shows what enlarges, "
            f"and {BICUBIC} is interpolation"
        )
    return Choice(entry.name, "as asked")


def installed() -> list[Entry]:
    """The engines that work without a connection, the one of "auto" first."""
    first = choose().name
    entries = [registry.info(name) for name in registry.list_models(task=TASK)]
    return sorted((entry for entry in entries if at_hand(entry)), key=lambda entry: (entry.name != first, entry.name))


def takes_reference(model: str) -> bool:
    """Whether an engine can be guided by a reference; by its name, "auto" included."""
    return model != BICUBIC and choose(model).name.split(".")[0] != "srcnn"
