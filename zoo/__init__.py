"""A zoo of imaging models that are solvers, with exact total-variation layers.

`zoo.load("tv2d.anisotropic")` gives a model, `zoo.list_models()` the names, `zoo.info(name)` a model's record, and
`zoo.tasks` the jobs that the command line and the web app do with them. Importing this downloads nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import layers, tasks
    from .loading import load
    from .registry import Entry, info, list_models

__version__ = "0.1.0"
__all__ = ["Entry", "__version__", "info", "layers", "list_models", "load", "tasks"]


def __getattr__(name: str) -> object:
    # torch takes seconds to import: the registry and the command line's help do without it
    if name == "load":
        from .loading import load

        return load
    if name in ("Entry", "info", "list_models"):
        from . import registry

        return getattr(registry, name)
    if name in ("layers", "tasks"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
