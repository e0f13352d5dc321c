"""What else a latent model can do: pictures between two pictures, and pictures of nothing in particular."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .. import registry
from ..images import to_picture
from ..loading import load
from ..models.latent import LatentModel
from ..models.lcm_encoder import LCMEncoder
from ..models.lcm_sampler import LCMSampler
from ..restore.degradation import Identity
from ..restore.fit import fit_latents, frozen
from ..restore.frame import frame_of
from ..restore.problem import Kinds, Problem
from ..restore.pyramid import reconstruction_loss
from .restore import knows_faces, starting_latent


@dataclass(frozen=True)
class InterpolationStep:
    """A state on the way."""

    frames: Tensor
    """(frames, 3, size, size) in [0, 1]: along the latent, from the first picture to the second."""
    crossfade: Tensor
    """The same between the pixels, for comparison."""
    progress: float
    done: bool


def latent_model(name: str, task: str) -> LatentModel:
    """A prior with a latent.

    Raises:
        ValueError: a model without.
    """
    entry = registry.info(name)
    if "restore" not in entry.tasks:
        raise ValueError(f"model: {entry.name} is for {', '.join(entry.tasks)}, not for {task}")
    model = load(entry.name)
    if not isinstance(model, LatentModel):
        raise ValueError(f"model: {entry.name} has no latent, so it cannot be used for {task}")
    return model


def interpolate_steps(
    first: Any,
    second: Any,
    model: str = "lcm.faces128",
    frames: int = 9,
    *,
    steps: int = 150,
    seed: int = 0,
    box: str = "auto",
    every: int = 25,
) -> Iterator[InterpolationStep]:
    """Go from one picture to another along the latent (the paper's appendix G); a pixel cross-fade goes beside it.

    Args:
        first, second: Pictures; see `zoo.images.to_picture`.
        model: A prior with a latent.
        frames: Number of pictures, both ends included, at least 2.
        steps: Steps of fitting the two latents.
        seed: Of the start.
        box: What of the pictures is taken: "auto", "square" or "face", as in `zoo.tasks.restore`.
        every: Steps between two states.

    Returns:
        An iterator of `InterpolationStep`; arguments are checked at once.

    Raises:
        TypeError, ValueError: bad pictures, numbers, or a model without a latent.
    """
    if frames < 2 or steps < 1 or every < 1:
        raise ValueError(f"frames, steps, every: at least 2, 1 and 1, got {frames}, {steps}, {every}")
    module = latent_model(model, "interpolation")
    tag = registry.info(model).tag
    pair = ((first, "first"), (second, "second"))
    target = torch.cat([_square(image, name, module.size, box, knows_faces(tag)) for image, name in pair])
    return _interpolate(module, tag, target, frames, steps, seed, every)


def _square(image: Any, name: str, size: int, box: str, faces: bool) -> Tensor:
    picture = to_picture(image, name).tensor
    if len(picture) != 1 or picture.shape[1] not in (1, 3):
        raise ValueError(f"{name}: one picture of 1 or 3 channels, got {tuple(picture.shape)}")
    tensor = picture[0].float().cpu().clamp(0, 1).expand(3, -1, -1)
    known = torch.ones(tensor.shape[-2:], dtype=torch.bool)
    frame = frame_of(box, tensor, known, faces)
    # what lies beyond the picture is filled from its border
    return Problem(Kinds(holes=True), tensor, known, frame, (size, size)).evidence


def _interpolate(
    module: LatentModel, tag: str, target: Tensor, frames: int, steps: int, seed: int, every: int
) -> Iterator[InterpolationStep]:
    share = torch.linspace(0, 1, frames)
    faded = torch.stack([torch.lerp(target[0], target[1], float(t)) for t in share])
    start = starting_latent(module, tag, Identity().evidence(target))
    with frozen(module):
        # all is known, so that nothing needs a prior
        for fit in fit_latents(
            module, lambda x: reconstruction_loss(x, target)[0], 2, steps=steps, seed=seed, start=start, pull=0
        ):
            done = fit.step == steps
            if done or fit.step % every == 0:
                with torch.no_grad():
                    between = torch.stack([torch.lerp(fit.best[0], fit.best[1], float(t)) for t in share])
                    made = module.decode(between)
                yield InterpolationStep(made, faded, fit.step / steps, done)


@torch.no_grad()
def sample(model: str = "lcm.faces128", count: int = 8, seed: int = 0, *, temperature: float = 0.8) -> Tensor:
    """Pictures drawn from a latent model (the paper's appendix I), by `lcm_sampler.<tag>` and `lcm_encoder.<tag>`.

    Args:
        model: A latent convolutional model, or a WGAN, which needs no sampler.
        count: Number of pictures, 1 … 64.
        seed: The same seed gives the same pictures.
        temperature: Scale of the deviation from the mean, in (0, 2]; below 1 pictures are more alike and better.

    Returns:
        (count, 3, size, size) in [0, 1].

    Raises:
        ValueError: bad numbers, or a model that cannot be sampled.
    """
    if not 1 <= count <= 64:
        raise ValueError(f"count: 1 to 64, got {count}")
    if not 0 < temperature <= 2:
        raise ValueError(f"temperature: above 0, at most 2, got {temperature}")
    module, entry = latent_model(model, "sampling"), registry.info(model)
    generator = torch.Generator().manual_seed(seed)
    if entry.arch == "wgan_gp":
        return module.decode(temperature * torch.stack([module.start(generator) for _ in range(count)]))
    names = (f"{entry.arch}_sampler.{entry.tag}", f"{entry.arch}_encoder.{entry.tag}")
    for name in names:
        if name not in registry.list_models():
            raise ValueError(f"model: there is no {name} to sample with; zoo list --task sample shows what there is")
    sampler, start = (load(name) for name in names)
    if not isinstance(sampler, LCMSampler) or not isinstance(start, LCMEncoder):
        raise ValueError(f"model: {' and '.join(names)} are not a sampler and its encoder")
    latents = start.along(sampler.sample(count, generator, temperature))
    return torch.cat([module.decode(part) for part in latents.split(8)])
