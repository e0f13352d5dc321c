"""The jobs that the zoo does, one function each; the command line and the web app are faces of these."""

from __future__ import annotations

# the functions take the names of their modules here: zoo.tasks.denoise(picture) is what one wants to write
from .denoise import DenoiseInfo, DenoiseStep, denoise, denoise_steps
from .latents import interpolate_steps, sample
from .photo_stylize import PhotoInfo, PhotoStep, photo_stylize, photo_stylize_steps
from .restore import RestoreInfo, RestoreStep, restore, restore_steps
from .stylize import StylizeInfo, StylizeSettings, StylizeStep, stylize, stylize_steps
from .stylize_video import VideoInfo, VideoStep, stylize_video, stylize_video_steps
from .superres import SuperResolveInfo, SuperResolveStep, texture_super_resolve, texture_super_resolve_steps

__all__ = [
    "DenoiseInfo",
    "DenoiseStep",
    "PhotoInfo",
    "PhotoStep",
    "RestoreInfo",
    "RestoreStep",
    "StylizeInfo",
    "StylizeSettings",
    "StylizeStep",
    "SuperResolveInfo",
    "SuperResolveStep",
    "VideoInfo",
    "VideoStep",
    "denoise",
    "denoise_steps",
    "interpolate_steps",
    "photo_stylize",
    "photo_stylize_steps",
    "restore",
    "restore_steps",
    "sample",
    "stylize",
    "stylize_steps",
    "stylize_video",
    "stylize_video_steps",
    "texture_super_resolve",
    "texture_super_resolve_steps",
]
