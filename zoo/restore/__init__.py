"""Restoration with image priors: degradations, what is fitted to the evidence, and how results are put together."""

from __future__ import annotations
