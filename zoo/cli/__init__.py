"""The `zoo` command: data on stdout, messages and progress on stderr, exit code 2 when something is asked wrongly."""

from __future__ import annotations

from .main import app

__all__ = ["app"]
