"""`python -m zoo.cli`, which is also how `accelerate launch -m` starts it."""

from __future__ import annotations

from . import app

app()
