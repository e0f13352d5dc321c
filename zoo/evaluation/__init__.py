"""Measuring models: the figures of the registry, and golden outputs."""

from __future__ import annotations
