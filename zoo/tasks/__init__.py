"""The jobs that the zoo does, one function each; the command line and the web app are faces of these."""

from __future__ import annotations

# the functions take the names of their modules here: zoo.tasks.denoise(picture) is what one wants to write
from .denoise import DenoiseInfo, DenoiseStep, denoise, denoise_steps
from .latents import interpolate_steps, sample
from .restore import RestoreInfo, RestoreStep, restore, restore_steps
from .stylize import StylizeInfo, StylizeSettings, StylizeStep, stylize, stylize_steps
from .superres import SuperResolveInfo, SuperResolveStep, texture_super_resolve, texture_super_resolve_steps

__all__ = [
    "DenoiseInfo",
    "DenoiseStep",
    "RestoreInfo",
    "RestoreStep",
    "StylizeInfo",
    "StylizeSettings",
    "StylizeStep",
    "SuperResolveInfo",
    "SuperResolveStep",
    "denoise",
    "denoise_steps",
    "interpolate_steps",
    "restore",
    "restore_steps",
    "sample",
    "stylize",
    "stylize_steps",
    "texture_super_resolve",
    "texture_super_resolve_steps",
]
