"""Models from other packages: whatever is installed and names itself as an entry point takes part.

A package that says, in its `pyproject.toml`,

    [project.entry-points."neural_solver_zoo.models"]
    mymodels = "mymodels"

    [project.entry-points."neural_solver_zoo.objectives"]
    my_objective = "mymodels.training:MyObjective"

is laid out as the zoo itself: `mymodels/entries/*.json`, and where needed `weights`, `cards`, `golden` and `recipes`.
Importing `mymodels` registers its architectures; that happens when a model is built, and not to list it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

MODELS = "neural_solver_zoo.models"
OBJECTIVES = "neural_solver_zoo.objectives"


@dataclass(frozen=True)
class PlugIn:
    """A package that brings models."""

    module: str
    distribution: str
    """What `pip` calls it."""
    root: Path
    """Its folder, with `entries` and the rest."""


@cache
def plug_ins() -> tuple[PlugIn, ...]:
    """The installed ones, sorted by module; one that cannot be found is left out with a warning. Imports none."""
    found = {}
    for point in importlib.metadata.entry_points(group=MODELS):
        try:
            spec = importlib.util.find_spec(point.value)
        except ImportError:
            spec = None
        if spec is None or not spec.submodule_search_locations:
            warn(point.value, "it is not a package that can be imported")
            continue
        distribution = point.dist.name if point.dist is not None else point.value
        found[point.value] = PlugIn(point.value, distribution, Path(next(iter(spec.submodule_search_locations))))
    return tuple(found[module] for module in sorted(found))


def import_plug_ins() -> None:
    """Import all of them, which registers their architectures; one that fails is left out with a warning."""
    for plug_in in plug_ins():
        try:
            importlib.import_module(plug_in.module)
        except Exception as error:  # of somebody else's code: anything
            warn(plug_in.module, f"{type(error).__name__}: {error}")


def objective(name: str) -> Any:
    """The class of an objective that a plug-in brings, or None."""
    for point in importlib.metadata.entry_points(group=OBJECTIVES, name=name):
        return point.load()
    return None


def objectives() -> list[str]:
    """Names of the objectives that plug-ins bring."""
    return [point.name for point in importlib.metadata.entry_points(group=OBJECTIVES)]


def provider(module: str) -> str | None:
    """The distribution of the plug-in that a module belongs to; None: the zoo itself."""
    for plug_in in plug_ins():
        if module == plug_in.module or module.startswith(plug_in.module + "."):
            return plug_in.distribution
    return None


def warn(module: str, problem: str) -> None:
    """Say that a plug-in is left out, or part of it."""
    warnings.warn(f"plug-in {module} of the zoo: {problem}", RuntimeWarning, stacklevel=2)
