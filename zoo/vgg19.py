"""`vgg19.imagenet`: the ImageNet VGG-19 as an encoder, from torchvision's published file, fetched on demand only."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .checkpoints import file_sha256, load_checkpoint, save_checkpoint
from .errors import CheckpointError, WeightsNotFoundError
from .models.vgg import VGGEncoder, convert_torchvision, normalise

NAME = "vgg19.imagenet"
URL = "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"
SHA256 = "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"
SIZE = 574_673_361  # bytes


def cache_folder() -> Path:
    """Where the converted file is kept: `$NEURAL_SOLVER_ZOO_CACHE`, else `~/.cache/neural-solver-zoo`."""
    return Path(os.environ.get("NEURAL_SOLVER_ZOO_CACHE", Path.home() / ".cache" / "neural-solver-zoo"))


def pull_vgg19(source: str | os.PathLike[str] | None = None, target: str | os.PathLike[str] | None = None) -> Path:
    """Make the encoder's file of 12.9 million parameters, 26 MB in float16, out of torchvision's of 548 MB.

    Args:
        source: torchvision's `vgg19-dcbb9e9d.pth`; None: the copy in torch's own cache, else it is downloaded.
        target: `.safetensors` file to write; None: in `cache_folder()`.

    Returns:
        The file, for `load_vgg19`.

    Raises:
        WeightsNotFoundError: the file is not there, or cannot be downloaded.
        CheckpointError: it is not the published file.
    """
    path = Path(target) if target is not None else cache_folder() / f"{NAME}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    hub = Path(torch.hub.get_dir()) / "checkpoints" / URL.rsplit("/", 1)[1]
    original = Path(source) if source is not None else hub
    if not original.is_file():
        if source is not None:
            raise WeightsNotFoundError(f"{original}: no such file; it is published at {URL}")
        _download(original)
    if (actual := file_sha256(original)) != SHA256:
        raise CheckpointError(
            f"{original}: not the published VGG-19\n  expected {SHA256}\n  actual   {actual}\n"
            f"Delete it and fetch {URL} again"
        )
    encoder = VGGEncoder(64)
    encoder.load_state_dict(convert_torchvision(torch.load(original, map_location="cpu", weights_only=True)))
    normalise(encoder, [dead_leaves(seed) for seed in range(8)])
    save_checkpoint(path, encoder, name=NAME, config={}, half=True)
    return path


def load_vgg19(path: str | os.PathLike[str] | None = None) -> VGGEncoder:
    """The encoder, with the interface of `vgg19_half.tiny_imagenet`. Never goes to the network.

    Args:
        path: File that `pull_vgg19` wrote; None: the one in `cache_folder()`.

    Raises:
        WeightsNotFoundError: it has not been pulled; the message says how.
    """
    file = Path(path) if path is not None else cache_folder() / f"{NAME}.safetensors"
    if not file.is_file():
        raise WeightsNotFoundError(
            f"{file}: no such file. With a network, zoo.vgg19.pull_vgg19() fetches {SIZE / 1e6:.0f} MB from {URL}; "
            "or zoo.vgg19.pull_vgg19(source=FILE) takes a copy of that file"
        )
    module = load_checkpoint(file, VGGEncoder(64), name=NAME, config={})
    assert isinstance(module, VGGEncoder)
    return module.eval()


def _download(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        urllib.request.urlretrieve(URL, part)
        os.replace(part, path)
    except OSError as error:
        raise WeightsNotFoundError(
            f"{URL} cannot be fetched ({error}). Fetch it by other means and give it as source"
        ) from error
    finally:
        part.unlink(missing_ok=True)


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
