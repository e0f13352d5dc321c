"""Which prior is taken where none is named. Needs no torch."""

from __future__ import annotations

from .. import registry

PREFERRED = ("lcm.faces128", "lcm.bedrooms128", "dip.small", "dip.hourglass")


def default_model() -> str:
    """A trained prior if there is one, else a deep image prior."""
    known = registry.list_models(task="restore")
    return next((name for name in (*PREFERRED, *known) if name in known), PREFERRED[-1])
