"""The engines of super-resolution behind one iterator of states: solver, optimisation, SRCNN, interpolation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..models.flexible_solver import FlexibleSolver
from ..models.gatys import Gatys
from ..models.srcnn import SRCNN
from ..models.vgg import VGGEncoder
from ..prox import DataConsistency, Degradation
from ..style.loss import style_targets
from ..style.own import styles_for
from ..tiles import run_tiled
from .optimise import optimise
from .pictures import grey, luminance, matched
from .settings import BETAS, MIN_SIDE, OPTIMISED_PIXELS, SOLVED_PIXELS, STEPS


@dataclass(frozen=True)
class Job:
    """What an engine is to do."""

    low: Tensor
    """(1, 1, h, w) in [0, 1]."""
    start: Tensor
    """X(0), bicubic interpolation, (1, 1, s·h, s·w) in [0, 1]."""
    reference: Tensor | None
    """(1, 1, H, W) in [0, 1]; None: not guided."""
    degradation: Degradation
    lam: float
    intensity: float
    """Multiplies the β."""
    steps: int | None
    encoder: VGGEncoder | None

    @property
    def betas(self) -> tuple[float, ...]:
        """β of the five levels; 0 without a reference, as in the paper."""
        share = self.intensity if self.reference is not None else 0.0
        return tuple(beta * share for beta in BETAS)


@dataclass(frozen=True)
class State:
    """A state on the way."""

    image: Tensor
    """(1, 1, s·h, s·w), clipped to [0, 1]."""
    iteration: int
    progress: float
    objective: float | None
    """Where the engine has it."""
    done: bool


def check(module: nn.Module | None, scale: int, guided: bool, steps: int | None, size: tuple[int, int]) -> None:
    """Whether an engine can do what it is asked for; None is interpolation.

    Args:
        module: The engine.
        scale: How many times it shall enlarge.
        guided: Whether there is a reference.
        steps: Iterations that were asked for.
        size: Height and width of the result.

    Raises:
        ValueError: it cannot.
    """
    if module is None or isinstance(module, SRCNN):
        name = "bicubic interpolation" if module is None else "SRCNN"
        if guided:
            raise ValueError(f"reference: {name} takes none; the optimisation (gatys) and flexible_solver do")
        if steps not in (None, 1):
            raise ValueError(f"steps: {name} works in one pass, got {steps}")
        if module is not None and module.factor != scale:
            raise ValueError(f"scale: this SRCNN was trained for {module.factor}, got {scale}")
        return
    height, width = size
    if isinstance(module, FlexibleSolver):
        limit = SOLVED_PIXELS
        if steps is not None and steps > len(module.steps):
            raise ValueError(f"steps: this solver has {len(module.steps)}, got {steps}")
    elif isinstance(module, Gatys):
        limit = OPTIMISED_PIXELS
    else:
        raise ValueError(f"model: {type(module).__name__} does not enlarge; zoo list --task superres shows what does")
    if min(height, width) < MIN_SIDE:
        raise ValueError(f"low: the result must be at least {MIN_SIDE} pixels high and wide, got {width}×{height}")
    if height * width > limit:
        others = "srcnn.x3_gaussian or bicubic" if scale == 3 else "bicubic"
        raise ValueError(
            f"low: the result has {width}×{height}, {height * width / 1e6:.1f} megapixels, and at most "
            f"{limit / 1e6:g} are accepted; cut a part out of it, or take the model {others}"
        )


def states(module: nn.Module | None, job: Job) -> Iterator[State]:
    """Run an engine: the last state has `done`, iterating ones yield the start first."""
    if isinstance(module, FlexibleSolver):
        return _solver(module, job)
    if isinstance(module, Gatys):
        return _optimisation(job)
    if isinstance(module, SRCNN):
        return _one_pass(module, job)
    return iter([State(job.start, 0, 1.0, None, True)])


@torch.no_grad()
def _solver(solver: FlexibleSolver, job: Job) -> Iterator[State]:
    prox = DataConsistency(job.low, job.degradation, job.lam)
    encoder = job.encoder
    assert encoder is not None
    style = job.start if job.reference is None else matched(job.reference, job.low, job.degradation)
    start = grey(job.start)
    styles = styles_for(solver, encoder, start, [(style_targets(encoder, grey(style)), None)])

    def consistent(x: Tensor) -> Tensor:
        return prox(luminance(x)).expand(-1, 3, -1, -1)

    count = job.steps or len(solver.steps)
    yield State(job.start, 0, 0.0, None, False)
    made = solver.iterate(start, styles, job.start.new_tensor(job.betas), consistent)
    for iteration, x in enumerate(made, 1):
        if not torch.isfinite(x).all():
            raise ValueError("intensity: too large, the picture has values that are not finite")
        yield State(x[:, :1].clamp(0, 1), iteration, iteration / count, None, iteration == count)
        if iteration == count:
            return


def _optimisation(job: Job) -> Iterator[State]:
    assert job.encoder is not None
    grams = None
    if job.reference is not None:
        with torch.no_grad():
            grams = style_targets(job.encoder, grey(matched(job.reference, job.low, job.degradation)))
    count = job.steps or STEPS
    for state in optimise(
        job.encoder, job.start, job.low, job.degradation, grams, job.betas, lam=job.lam, iterations=count
    ):
        progress = 1.0 if state.done else state.iteration / count
        yield State(state.image, state.iteration, progress, state.objective, state.done)


@torch.no_grad()
def _one_pass(network: SRCNN, job: Job) -> Iterator[State]:
    # tile by tile, as its 64 maps of a large picture would not fit into memory
    for image, progress in run_tiled(network, job.start, halo=network.reach):
        yield State(image.clamp(0, 1), 1, progress, None, progress == 1)
