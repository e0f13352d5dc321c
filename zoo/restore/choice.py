"""Which prior is taken where none is named. Needs no torch."""

from __future__ import annotations

from .. import registry

PREFERRED = ("lcm.faces128", "lcm.bedrooms128", "dip.small", "dip.hourglass")


def ranked() -> tuple[str, ...]:
    """The priors that are there, the one to try first in front."""
    known = registry.list_models(task="restore")
    preferred = [name for name in PREFERRED if name in known]
    return (*preferred, *(name for name in known if name not in preferred))


def default_model() -> str:
    """A trained prior if there is one, else a deep image prior."""
    return next(iter(ranked()), PREFERRED[-1])
