"""`vgg19.imagenet`: the ImageNet VGG-19 as an encoder, out of torchvision's published file; see `zoo.foreign`."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .errors import CheckpointError
from .models.vgg import VGGEncoder, convert_torchvision, normalise


def convert(path: Path) -> VGGEncoder:
    """The encoder out of torchvision's `vgg19-dcbb9e9d.pth`, each layer's activations scaled to RMS 1.

    Args:
        path: The file. Whoever calls this has compared its sha256 with the published one.

    Raises:
        CheckpointError: it does not hold a VGG-19.
    """
    encoder = VGGEncoder(64)
    try:
        # the only pickled file the zoo opens; weights_only lets it hold tensors and nothing that runs
        state = torch.load(path, map_location="cpu", weights_only=True)
        encoder.load_state_dict(convert_torchvision(state))
    except (ValueError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path}: {error}") from error
    normalise(encoder, [dead_leaves(seed) for seed in range(8)])
    return encoder


def dead_leaves(seed: int, size: int = 224, leaves: int = 400) -> Tensor:
    """A picture of discs in front of each other, with the edges and the spectrum of photographs (Lee et al. 2001).

    Used to measure activations where no photographs are at hand.

    Args:
        seed: Any number; the same one gives the same picture.
        size: Height and width.
        leaves: Number of discs.

    Returns:
        (1, 3, size, size) in [0, 1].
    """
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    picture = np.empty((3, size, size), np.float32)
    picture[:] = draw.uniform(0, 1, (3, 1, 1))
    radii: Sequence[float] = (draw.uniform(1 / size**2, 1 / 9, leaves) ** -0.5).tolist()  # density of r^-3, from 3 up
    for radius in sorted(radii, reverse=True):
        inside = (x - draw.uniform(0, size)) ** 2 + (y - draw.uniform(0, size)) ** 2 < radius**2
        picture[:, inside] = draw.uniform(0, 1) * 0.7 + draw.uniform(0, 0.3, (3, 1))
    return torch.from_numpy(picture).clamp(0, 1)[None]
