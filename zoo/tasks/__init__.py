"""The jobs that the zoo does, one function each; the command line and the web app are faces of these."""

from __future__ import annotations

# the functions take the names of their modules here: zoo.tasks.denoise(picture) is what one wants to write
from .denoise import DenoiseInfo, DenoiseStep, denoise, denoise_steps

__all__ = ["DenoiseInfo", "DenoiseStep", "denoise", "denoise_steps"]
