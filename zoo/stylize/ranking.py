"""Which engine transfers styles when nobody names one. Reads records only and needs no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .. import registry
from ..catalogue import at_hand
from ..entry import Entry

AUTO = "auto"
"""In place of a model's name: the best that is installed."""
TASK = "stylize"
REFERENCE = "gatys.vgg19_half"


@dataclass(frozen=True)
class Rank:
    """One place of the ranking."""

    name: str
    loss: float | None = None
    """Median L_TV on photographs and paintings that no engine was trained on; None: not measured yet."""
    flicker: float | None = None
    """Warping error of a video whose frames are drawn to the last one; None: not measured yet."""


RANKING = (
    Rank("wct.tiny_imagenet", 0.321, 4.8e-3),
    Rank("flexible_solver.n4_l16", 0.219, 2.2e-4),
    Rank("flexible_solver.n4_l32"),
    Rank("adain.tiny_imagenet", 0.311),
)
"""What looks best comes first, which is not what has the lowest loss: whitening takes on more of a palette and of
strokes than the solver. Networks of a single style are not here: they cannot do what is asked for."""


@dataclass(frozen=True)
class Choice:
    """An engine, and why this one."""

    name: str
    reason: str


def first_at_hand(names: Iterable[str], task: str) -> str | None:
    """The first of some entries that is for a task and works without a connection."""
    known = registry.list_models(task=task)
    return next((name for name in names if name in known and at_hand(registry.info(name))), None)


def choose(model: str = AUTO, moving: bool = False) -> Choice:
    """The engine of this name, or for "auto" the first of the ranking that is installed, else Gatys' optimisation.

    Args:
        model: A name, or "auto".
        moving: Whether it is for videos, where the first is the one that flickers least.

    Raises:
        TypeError: not a name.
        ValueError: unknown, or for another task.
    """
    if model == AUTO:
        if moving:
            errors = {rank.name: rank.flicker for rank in RANKING if rank.flicker is not None}
            if best := first_at_hand(sorted(errors, key=lambda name: errors[name]), TASK):
                return Choice(best, f"the steadiest of those installed, warping error {errors[best]:g}")
        losses = {rank.name: rank.loss for rank in RANKING}
        if best := first_at_hand(losses, TASK):
            figure = f", median loss {losses[best]:g}" if losses[best] is not None else ""
            return Choice(best, f"what looks best on unseen pictures of those installed{figure}")
        return Choice(REFERENCE, "the slow reference, because no network for any style is installed")
    entry = registry.info(model)
    if TASK not in entry.tasks:
        raise ValueError(
            f"model: {entry.name} is for {', '.join(entry.tasks)}; zoo list --task {TASK} shows what transfers styles"
        )
    return Choice(entry.name, "as asked")


def installed() -> list[Entry]:
    """The engines that work without a connection: those of the ranking, then others, Gatys' optimisation last."""
    places = {rank.name: place for place, rank in enumerate(RANKING)}
    entries = [registry.info(name) for name in registry.list_models(task=TASK)]
    entries = [entry for entry in entries if at_hand(entry)]
    return sorted(entries, key=lambda entry: (entry.arch == "gatys", places.get(entry.name, len(places)), entry.name))
