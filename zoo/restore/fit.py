"""Fitting an image prior to evidence: min over the latent of E(g(latent) | y) (equations 4 and 5), step by step."""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from ..models.dip import DIP
from ..models.latent import LatentModel
from ..precision import fast, ready_for_fast

Energy = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) to what is minimised for each, (B,)."""
WARM_END = 0.1  # the step size falls to this share of its start
SMOOTHING = 0.98  # of the average over the outputs of a deep image prior


class Fit(ABC):
    """The state of a fit after some steps. It is one object that changes from step to step."""

    def __init__(self, count: int) -> None:
        self.step = 0
        self.energy = torch.full((count,), math.inf)
        """Of each image now, (B,)."""
        self.best_energy = torch.full((count,), math.inf)
        """Of the best so far."""

    @abstractmethod
    def render(self) -> Tensor:
        """The best images so far, (B, 3, H, W) in [0, 1], in full precision."""


class _LatentFit(Fit):
    def __init__(self, variables: Tensor, render: Callable[[Tensor], Tensor]) -> None:
        super().__init__(len(variables))
        self.best = variables.detach().clone()
        """The latents of the best images."""
        self._least = torch.full((len(variables),), math.inf)
        self._render = render

    def note(self, variables: Tensor, energy: Tensor, objective: Tensor) -> None:
        """Keep what is better than before, by what is minimised."""
        self.energy = energy.detach().float().cpu()
        objective = objective.detach().float().cpu()
        better = objective < self._least
        self._least = torch.where(better, objective, self._least)
        self.best_energy = torch.where(better, self.energy, self.best_energy)
        places = better.to(variables.device).nonzero()[:, 0]
        self.best[places] = variables.detach()[places]

    @torch.no_grad()
    def render(self) -> Tensor:
        with torch.autocast(self.best.device.type, enabled=False):
            return self._render(self.best).float()


@contextlib.contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Within it the model's parameters ask for no gradient, which saves the time to compute it."""
    asked = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in asked:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asked:
            parameter.requires_grad_(True)


def spaces(model: LatentModel) -> tuple[str, ...]:
    """In which spaces a model can be fitted: "phi" (the convolutional manifold) and "z" for LCM, "z" for others."""
    return tuple(model.fit["spaces"])


def fit_latents(
    model: LatentModel,
    energy: Energy,
    count: int,
    *,
    steps: int | None = None,
    fraction: Callable[[int], float] | None = None,
    seed: int = 0,
    start: Tensor | None = None,
    space: str | None = None,
    lr: float | None = None,
    pull: float | None = None,
    device: torch.device | str = "cpu",
) -> Iterator[_LatentFit]:
    """Fit the latents of a batch of images, each independently of the others.

    What is minimised is E + pull · mean((φ − φ₀)²) / mean(φ₀²), φ₀ the start. The second term is minus the logarithm of
    a Gaussian prior: it keeps what the evidence says nothing about near the start, however long the fit goes on. The
    step size falls along half a cosine. Where the device has bfloat16, the generator runs in it while it is fitted;
    what is kept is rendered in float32. The model must be in eval mode, and `frozen` makes it faster where it stays in
    float32.

    Args:
        model: The prior.
        energy: What is minimised.
        count: Number of images, B.
        steps: Number of steps.
        fraction: Instead of `steps`: step to the share of the budget that is spent; at 1 the fit ends.
        seed: Of the starting latents, where `start` is None; all images start from the same.
        start: Latents (B, *latent_shape) to start from, in the model's own space.
        space: "z": fit z instead of φ; None: the model's first.
        lr: Step size; None: the model's for this space.
        pull: Weight of the prior, in units of the energy; 0, as in the paper: none; None: the model's for this space.
        device: Where to compute.

    Yields:
        The same `Fit` after each step.

    Raises:
        ValueError: a space that the model has not, or neither or both of `steps` and `fraction`.
    """
    space = space or spaces(model)[0]
    if space not in spaces(model):
        raise ValueError(f"space: one of {', '.join(spaces(model))} for this model, got {space!r}")
    if (steps is None) == (fraction is None):
        raise ValueError("steps, fraction: give one of them")
    spent = fraction if fraction is not None else lambda step: step / (steps or 1)
    if start is None:
        begin = model.begin(torch.Generator().manual_seed(seed))
        start = begin.expand(count, *begin.shape)
    variables = start.detach().to(device).float().clone()
    twin = ready_for_fast(model, variables.device)
    render, quick = model.decode, twin.decode
    project: Callable[[Tensor], Tensor] = model.project_
    if space != spaces(model)[0]:
        latent: Callable[[Tensor], Tensor] = model.latent  # type: ignore[assignment]
        render, quick, project = model.generator, twin.generator, lambda z: z  # type: ignore[assignment]
        with torch.no_grad():
            variables = latent(variables).float()
    rate = lr if lr is not None else model.fit.get(f"lr_{space}", model.fit["lr"])
    pull = model.fit.get(f"pull_{space}", 0.0) if pull is None else pull
    first = variables.clone()
    scale = first.square().flatten(1).mean(1).clamp(min=1e-12)
    variables.requires_grad_()
    optimiser = torch.optim.Adam([variables], lr=rate, betas=(0.9, 0.99))
    fit = _LatentFit(variables, render)
    while fit.step == 0 or spent(fit.step) < 1:
        share = min(1.0, spent(fit.step))
        optimiser.param_groups[0]["lr"] = rate * (WARM_END + (1 - WARM_END) * (1 + math.cos(math.pi * share)) / 2)
        with fast(variables.device):
            images = quick(variables)
        energies = energy(images.float())
        objective = energies
        if pull:
            objective = energies + pull * (variables - first).square().flatten(1).mean(1) / scale
        fit.note(variables, energies, objective)
        (variables.grad,) = torch.autograd.grad(objective.sum(), variables)
        optimiser.step()
        with torch.no_grad():
            project(variables)
        fit.step += 1
        yield fit


class _DeepFit(Fit):
    def __init__(self) -> None:
        super().__init__(1)
        self.average: Tensor | None = None

    def render(self) -> Tensor:
        if self.average is None:
            raise RuntimeError("no step was made")
        return self.average


def fit_dip(
    model: DIP,
    energy: Energy,
    size: tuple[int, int],
    *,
    steps: int | None = None,
    fraction: Callable[[int], float] | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Iterator[_DeepFit]:
    """Fit an untrained network to one picture, with noise on its input. The result is the average of its last outputs.

    Args:
        model: The recipe of the prior.
        energy: What is minimised, of a batch of one.
        size: Height and width.
        steps: Number of steps.
        fraction: Instead of `steps`: step to the share of the budget that is spent; at 1 the fit ends.
        seed: Of the network and of the noise.
        device: Where to compute.

    Yields:
        The same `Fit` after each step.

    Raises:
        ValueError: a picture that is too small, or neither or both of `steps` and `fraction`.
    """
    if (steps is None) == (fraction is None):
        raise ValueError("steps, fraction: give one of them")
    spent = fraction if fraction is not None else lambda step: step / (steps or 1)
    net, noise = model.network(*size, seed)
    net, noise = net.to(device), noise.to(device)
    optimiser = torch.optim.Adam(net.parameters(), lr=model.lr)
    generator = torch.Generator().manual_seed(seed + 1)
    fit = _DeepFit()
    while fit.step == 0 or spent(fit.step) < 1:
        jitter = model.jitter * torch.randn(noise.shape, generator=generator)
        with fast(noise.device):
            image = net(noise + jitter.to(noise))
        value = energy(image.float())
        optimiser.zero_grad(set_to_none=True)
        value.sum().backward()
        optimiser.step()
        fit.energy = value.detach().cpu()
        fit.best_energy = torch.minimum(fit.best_energy, fit.energy)
        weight = max(1 - SMOOTHING, 1 / (fit.step + 1))  # the first outputs do not linger
        output = image.detach().float()
        fit.average = output if fit.average is None else torch.lerp(fit.average, output, weight)
        fit.step += 1
        yield fit


def fit_kind(model: Any) -> str:
    """Which of the two fits a model is for: "latent" or "dip".

    Raises:
        TypeError: neither.
    """
    if isinstance(model, LatentModel):
        return "latent"
    if isinstance(model, DIP):
        return "dip"
    raise TypeError(f"model: a prior with a latent or a deep image prior, not {type(model).__name__}")
