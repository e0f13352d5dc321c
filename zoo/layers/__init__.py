"""Layers with an optimisation problem inside, for networks of your own."""

from __future__ import annotations

from .tv import TVLayer1d, TVLayer2d

__all__ = ["TVLayer1d", "TVLayer2d"]
