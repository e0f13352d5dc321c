"""The three kinds of engines behind one iterator of states: learned solvers, optimisation, networks of one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import torch
from torch import Tensor, nn

from ..loading import load
from ..models.flexible_solver import FlexibleSolver
from ..models.gatys import Gatys
from ..models.stylizer import Stylizer
from ..models.vgg import CONTENT_LAYER, STYLE_LAYERS, VGGEncoder
from ..precision import fast
from ..style.gatys import Penalty
from ..style.loss import Grams, Terms, loss_terms
from ..style.own import styles_for
from ..style.regional import Area, regional_terms
from .grams import mixed
from .regions import Region, composed

Prox = Callable[[Tensor], Tensor]
MEASURED_PIXELS = 1_200_000
"""L_TV is computed for pictures up to this size: it takes more memory than the transfer itself."""
OPTIMISED_PIXELS = 1_200_000
"""L-BFGS keeps about a hundred pictures of the content's size."""


@dataclass(frozen=True)
class Job:
    """What an engine is to do with one picture."""

    content: Tensor
    """X(0), (1, 3, H, W) in [0, 1]."""
    pictures: Sequence[Tensor]
    """The styles, (1, 3, h, w) each."""
    grams: Callable[[int], Grams]
    """Gram matrices of one of them, by the encoder."""
    regions: Sequence[Region]
    betas: tuple[float, ...]
    """Of the five scales, see `betas_for`."""
    intensity: float
    steps: int | None
    prox: Prox | None
    encoder: VGGEncoder | None
    joint: bool = False
    """Whether the regions make one loss (`zoo.style.regional`), and not a picture each."""
    start: Tensor | None = None
    """Where a joint optimisation begins; None: at the content."""
    penalty: Penalty | None = None
    """Added to the loss of a joint optimisation."""


@dataclass(frozen=True)
class State:
    """A state on the way."""

    image: Tensor
    """(1, 3, H, W), clipped to [0, 1]."""
    iteration: int
    progress: float
    terms: Terms | None
    """Of the loss, where the engine has them anyway."""
    done: bool


def kind(module: nn.Module) -> str:
    """ "solver", "optimisation" or "one pass".

    Raises:
        ValueError: the module transfers no styles.
    """
    if isinstance(module, FlexibleSolver):
        return "solver"
    if isinstance(module, Gatys):
        return "optimisation"
    if isinstance(module, Stylizer):
        return "one pass"
    raise ValueError(f"model: {type(module).__name__} has no method stylise, see zoo.models.stylizer")


def betas_for(module: nn.Module, scale_weights: Sequence[float]) -> tuple[float, ...]:
    """The β of an engine: how much of each scale is asked for, times what is usual for it."""
    usual = module.usual_betas if isinstance(module, FlexibleSolver) else (1.0,) * len(scale_weights)
    return tuple(weight * beta for weight, beta in zip(scale_weights, usual, strict=True))


@lru_cache(maxsize=6)
def loaded(name: str, device: torch.device) -> nn.Module:
    """A model of the registry, frozen; the last few stay in memory."""
    # channels last: a fifth less time on a CPU
    return load(name, device=device).requires_grad_(False).to(memory_format=torch.channels_last)


def encoder_for(module: nn.Module, asked: str | None, device: torch.device) -> tuple[str | None, VGGEncoder | None]:
    """Name and module of the encoder that an engine works with; None, None for an engine without one.

    Raises:
        ValueError: a trained engine is to be used with another encoder than its own, or what was named is none.
    """
    own = cast("str | None", getattr(module, "encoder", None))
    if asked is not None and asked != own and kind(module) != "optimisation":
        raise ValueError(
            f"encoder: this {type(module).__name__} was trained with {own or 'none'} and works with no other; "
            f"{asked} is of use with the optimisation (gatys)"
        )
    name = asked or own
    if name is None:
        return None, None
    encoder = loaded(name, device)
    if not isinstance(encoder, VGGEncoder):
        raise ValueError(f"encoder: {name} is no perceptual encoder; zoo list --task encode shows those")
    return name, encoder


def states(module: nn.Module, job: Job) -> Iterator[State]:
    """Run an engine: the content first, then each iteration; the last has `done`.

    Raises:
        ValueError: a setting that this kind of engine does not have.
    """
    which = kind(module)
    if which == "solver":
        return _solver(cast(FlexibleSolver, module), job)
    if which == "optimisation":
        return (_joint if job.joint else _optimisation)(cast(Gatys, module), job)
    return _one_pass(cast(Stylizer, module), job)


def check(module: nn.Module, job_steps: int | None, betas: Sequence[float], prox: bool, pixels: int) -> None:
    """Whether an engine has what it is asked for.

    Raises:
        ValueError: it has not.
    """
    which = kind(module)
    if which == "solver" and job_steps is not None and job_steps > len(cast(FlexibleSolver, module).steps):
        raise ValueError(f"steps: this solver has {len(cast(FlexibleSolver, module).steps)}, got {job_steps}")
    if which == "one pass" and job_steps not in (None, 1):
        raise ValueError(f"steps: {type(module).__name__} works in one pass, got {job_steps}")
    if which == "one pass" and len(set(betas)) > 1:
        raise ValueError(f"scale_weights: {type(module).__name__} has none; flexible_solver and gatys do")
    if which == "optimisation" and prox:
        raise ValueError("prox: the optimisation has no updates of one gradient step; take a flexible_solver")
    if which == "optimisation" and pixels > OPTIMISED_PIXELS:
        raise ValueError(
            f"content: {pixels / 1e6:.1f} megapixels are too many to optimise, at most {OPTIMISED_PIXELS / 1e6:g} are "
            "accepted; give a size, such as size=1024"
        )


@torch.no_grad()
def _solver(solver: FlexibleSolver, job: Job) -> Iterator[State]:
    # in float32: in bfloat16 the pictures differ visibly, by 26 to 35 dB, because of the step functions in the network
    content = job.content.contiguous(memory_format=torch.channels_last)
    assert job.encoder is not None
    wanted = [
        (_target(job, region), None if region.mask is None else region.mask.to(content)) for region in job.regions
    ]
    styles = styles_for(solver, job.encoder, content, wanted)
    betas = content.new_tensor(job.betas) * job.intensity
    count = job.steps or len(solver.steps)
    yield State(content, 0, 0.0, None, False)
    for iteration, x in enumerate(solver.iterate(content, styles, betas, job.prox), 1):
        yield State(_clipped(x), iteration, iteration / count, None, iteration == count)
        if iteration == count:
            return


def _optimisation(gatys: Gatys, job: Job) -> Iterator[State]:
    """Region by region, because the loss knows of one style; the pictures are put together."""
    yield State(job.content, 0, 0.0, None, False)
    finished: list[tuple[Tensor | None, Tensor]] = []
    total = 0
    for number, region in enumerate(job.regions):
        grams = _target(job, region)
        betas = [beta * job.intensity for beta in job.betas]
        mask = None if region.mask is None else region.mask.to(job.content)
        count = job.steps or gatys.iterations
        for step in gatys.iterate(job.content, grams, betas, count, job.encoder):
            if step.iteration == 0 and not step.done:
                continue
            image = composed(job.content, [*finished, (mask, step.image)])
            done = step.done and number == len(job.regions) - 1
            share = 1.0 if step.done else step.iteration / count
            terms = None
            if mask is None and job.intensity > 0:
                terms = Terms(step.terms.style / job.intensity, step.terms.content, step.terms.tv)
            yield State(image, total + step.iteration, (number + share) / len(job.regions), terms, done)
        total += step.iteration
        finished.append((mask, step.image))


def _joint(gatys: Gatys, job: Job) -> Iterator[State]:
    """All regions in one loss."""
    count = job.steps or gatys.iterations
    betas = [beta * job.intensity for beta in job.betas]
    goal = _areas(job) or _target(job, job.regions[0])
    for step in gatys.iterate(job.content, goal, betas, count, job.encoder, job.start, job.penalty):
        terms = None
        if job.intensity > 0:
            terms = Terms(step.terms.style / job.intensity, step.terms.content, step.terms.tv)
        yield State(step.image, step.iteration, 1.0 if step.done else step.iteration / count, terms, step.done)


@torch.no_grad()
def _one_pass(module: Stylizer, job: Job) -> Iterator[State]:
    """Each region by itself, put together, then the proximal operator once."""
    yield State(job.content, 0, 0.0, None, False)
    parts: list[tuple[Tensor | None, Tensor]] = []
    for region in job.regions:
        pictures = [job.pictures[i] for i in region.members]
        with fast(job.content.device):
            made = _clipped(module.stylise(job.content, pictures, region.weights, job.intensity).float())
        parts.append((None if region.mask is None else region.mask.to(made), made))
    image = composed(job.content, parts)
    if job.prox is not None:
        image = _clipped(job.prox(image))
    yield State(image, 1, 1.0, None, True)


@torch.no_grad()
def measured(job: Job, result: Tensor) -> tuple[Terms, Terms] | None:
    """L_TV of the content as it is and of a result.

    None for several regions, unless they make one loss, and for a picture that is too large.
    """
    plain = len(job.regions) == 1 and job.regions[0].mask is None
    if not (plain or (job.joint and job.regions)) or job.encoder is None:
        return None
    if result.shape[-2:].numel() > MEASURED_PIXELS:
        return None
    areas = _areas(job)
    known = job.encoder(job.content, {*STYLE_LAYERS, CONTENT_LAYER})
    # the content goes through the encoder once: as the target, and to be measured itself
    if areas:
        before = regional_terms(job.encoder, job.content, areas, known[CONTENT_LAYER], job.betas, features=known)
        return before, regional_terms(job.encoder, result, areas, known[CONTENT_LAYER], job.betas)
    grams = _target(job, job.regions[0])
    before = loss_terms(job.encoder, job.content, grams, known[CONTENT_LAYER], job.betas, features=known)
    return before, loss_terms(job.encoder, result, grams, known[CONTENT_LAYER], job.betas)


def _areas(job: Job) -> list[Area]:
    """The regions with their styles; none where one style is everywhere."""
    if len(job.regions) == 1 and job.regions[0].mask is None:
        return []
    everywhere = torch.ones_like(job.content[:, :1])
    return [
        Area(_target(job, region), everywhere if region.mask is None else region.mask.to(job.content))
        for region in job.regions
    ]


def _target(job: Job, region: Region) -> dict[str, Tensor]:
    return mixed([job.grams(i) for i in region.members], region.weights)


def _clipped(image: Tensor) -> Tensor:
    if not torch.isfinite(image).all():
        raise ValueError("intensity, scale_weights: too large, the picture has values that are not finite")
    return image.clamp(0, 1)
