"""Which engine enlarges when nobody names one. Reads records only and needs no torch."""

from __future__ import annotations

from .. import registry
from ..entry import Entry
from ..stylize.ranking import AUTO, REFERENCE, Choice, at_hand
from ..stylize.ranking import RANKING as STYLIZERS

TASK = "superres"
BICUBIC = "bicubic"
"""In place of a model's name: interpolation alone."""
SOLVER = "flexible_solver"


def choose(model: str = AUTO) -> Choice:
    """The engine of this name, or for "auto" the best flexible solver that is installed, else the optimisation.

    Raises:
        ValueError: unknown, or for another task.
    """
    if model == AUTO:
        known = registry.list_models(task=TASK)
        solvers = [rank.name for rank in STYLIZERS if rank.name.split(".")[0] == SOLVER and rank.name in known]
        for name in solvers:
            if at_hand(registry.info(name)):
                return Choice(name, "a flexible solver is installed")
        return Choice(REFERENCE, "the same objective by optimisation, because no flexible solver is installed")
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
