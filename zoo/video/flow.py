"""Optical flow by dense inverse search (Kroeger et al. 2016), as OpenCV has it: no weights, a few frames a second."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

PRESETS = ("ultrafast", "fast", "medium")
_LEAST = 32  # pixels a side: OpenCV's search crashes on less than 12


def dis_flow(first: Tensor, second: Tensor, preset: str = "medium") -> Tensor:
    """The motion from the first picture to the second: first(p) is found at second(p + flow(p)).

    Args:
        first: (B, 3 or 1, H, W) in [0, 1].
        second: Of the same shape.
        preset: "ultrafast", "fast" or "medium", the best and slowest.

    Returns:
        (B, 2, H, W) float32, pixels: to the right, then down. On the CPU; no gradient.

    Raises:
        ImportError: OpenCV is not installed.
        ValueError: shapes that are not as stated or differ, or an unknown preset.
    """
    if first.ndim != 4 or first.shape[1] not in (1, 3) or first.numel() == 0:
        raise ValueError(f"first: expected (B, 1 or 3, H, W), got {tuple(first.shape)}")
    if second.shape != first.shape:
        raise ValueError(f"second: expected the shape of first, {tuple(first.shape)}, got {tuple(second.shape)}")
    if preset not in PRESETS:
        raise ValueError(f"preset: one of {PRESETS}, got {preset!r}")
    try:
        import cv2
    except ImportError as error:
        raise ImportError('optical flow needs OpenCV: pip install "neural-solver-zoo[video]"') from error
    search: Any = cv2.DISOpticalFlow.create(getattr(cv2, f"DISOPTICAL_FLOW_PRESET_{preset.upper()}"))
    height, width = first.shape[2:]
    flows = [
        search.calc(a, b, None)[:height, :width] for a, b in zip(_grey(first), _grey(second), strict=True)
    ]  # each search starts anew: None is the flow to begin with
    return torch.from_numpy(np.stack(flows)).permute(0, 3, 1, 2).contiguous()


def _grey(picture: Tensor) -> np.ndarray:
    """(B, H', W') uint8 with the border repeated to the size that the search needs."""
    picture = picture.detach().cpu().float().clamp(0, 1)
    if picture.shape[1] == 3:
        picture = (picture * picture.new_tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    height, width = picture.shape[2:]
    picture = pad(picture, (0, max(0, _LEAST - width), 0, max(0, _LEAST - height)), mode="replicate")
    return picture[:, 0].mul(255).round().to(torch.uint8).numpy()
