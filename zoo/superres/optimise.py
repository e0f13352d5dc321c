"""Super-resolution as a minimisation over luminance by L-BFGS (Puy & Pérez 2019, section 4.2.3).

min_X L_s(X, X_ref) + L_c(X, X_bic) + λ_R ‖X_low − D X‖² + λ_TV TV(X)

X is one channel, which the encoder sees as a grey picture. L_s, L_c and TV are those of `zoo.style.loss`; the data term
is a sum over the pixels of the small picture, as in `zoo.prox.DataConsistency`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.vgg import CONTENT_LAYER, VGGEncoder
from ..prox import Degradation
from ..style.loss import CONTENT_WEIGHT, TV_WEIGHT, Grams, content_target, loss_terms, total_variation

# the first step changes pixels by this much on average: it has no curvature to go by
FIRST_STEP = 0.003
# L-BFGS starts afresh where an iteration lowers the objective by less than this share of it
STUCK = 1e-5
# about the second derivative of all but the data term in a pixel's value; only the speed depends on it
CURVATURE = 0.05
# weight of the mean squared distance of the pixels to [0, 1], which the loss itself does not see
OUTSIDE = 10.0


@dataclass(frozen=True)
class OptimiseStep:
    """A state on the way."""

    image: Tensor
    """(1, 1, H, W) in [0, 1], the best so far."""
    iteration: int
    objective: float
    """Its value there, the distance to [0, 1] included."""
    done: bool


def optimise(
    encoder: VGGEncoder,
    start: Tensor,
    low: Tensor,
    degradation: Degradation,
    grams: Grams | None,
    betas: Sequence[float],
    *,
    lam: float = 50.0,
    iterations: int = 30,
    content_weight: float = CONTENT_WEIGHT,
    tv_weight: float = TV_WEIGHT,
) -> Iterator[OptimiseStep]:
    """Minimise the objective, an iteration of L-BFGS at a time.

    Where the line search finds nothing better, L-BFGS is started afresh from the best picture so far.

    Args:
        encoder: Perceptual encoder, frozen.
        start: X(0), and the X_bic of L_c, (1, 1, H, W) in [0, 1], sides of at least 16 pixels.
        low: X_low, (1, 1, h, w).
        degradation: D.
        grams: Gram matrices of the reference, `zoo.style.loss.style_targets` of a grey picture; None: without L_s.
        betas: β_l ≥ 0 of the five levels.
        lam: λ_R ≥ 0.
        iterations: At most so many; fewer where fresh starts do not help any more.
        content_weight, tv_weight: λ_c and λ_TV.

    Yields:
        `OptimiseStep`, first the start itself; the last has `done`.
    """
    with torch.no_grad():
        target = content_target(encoder, start.expand(-1, 3, -1, -1))

    def objective(x: Tensor) -> Tensor:
        grey = x.expand(-1, 3, -1, -1)
        if grams is None:
            seen = grey.clamp(0, 1)
            distance = (encoder(seen, [CONTENT_LAYER])[CONTENT_LAYER] - target).square().mean()
            total = content_weight * distance + tv_weight * total_variation(seen).sum()
        else:
            total = loss_terms(encoder, grey, grams, target, betas, content_weight, tv_weight).total.sum()
        data = (degradation(x) - low).square().sum()
        return total + lam * data + OUTSIDE * (x - x.clamp(0, 1)).square().mean()

    spectrum = _Spectrum(start, degradation, lam)
    problem = _Problem(objective, spectrum, start)
    best, lowest = start, problem.evaluate()[1]
    yield OptimiseStep(best.clamp(0, 1), 0, lowest, iterations == 0)
    fresh = True
    for iteration in range(1, iterations + 1):
        x, value = problem.step(FIRST_STEP if fresh else None)
        better = math.isfinite(value) and value < lowest * (1 - STUCK)
        if math.isfinite(value) and value < lowest:
            best, lowest = x, value
        done = iteration == iterations or (fresh and not better)
        yield OptimiseStep(best.clamp(0, 1), iteration, lowest, done)
        if done:
            return
        fresh = not better
        if fresh:
            problem = _Problem(objective, spectrum, best)


class _Problem:
    """L-BFGS on an objective in the variables of a `_Spectrum`, from one picture on."""

    def __init__(self, objective: Callable[[Tensor], Tensor], spectrum: _Spectrum, base: Tensor) -> None:
        self.objective = objective
        self.spectrum = spectrum
        self.base = base
        self.z = torch.zeros_like(base, requires_grad=True)
        self.seen: tuple[Tensor, Tensor, float, Tensor] | None = None
        self.optimiser = torch.optim.LBFGS(
            [self.z],
            max_iter=1,
            max_eval=20,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            history_size=30,
            line_search_fn="strong_wolfe",
        )

    def evaluate(self) -> tuple[Tensor, float, Tensor]:
        """The picture, the objective and its slope in z; what an iteration ends with, the next one asks for again."""
        if self.seen is None or not torch.equal(self.seen[0], self.z):
            with torch.enable_grad():
                x = self.base + self.spectrum.pixels(self.z)
                value = self.objective(x)
                # times the number of values, because L-BFGS' thresholds are absolute, for gradients of about 1
                (slope,) = torch.autograd.grad(value * x.numel(), self.z)
            self.seen = (self.z.detach().clone(), x.detach(), float(value.detach()), slope)
        return self.seen[1:]

    def step(self, first: float | None) -> tuple[Tensor, float]:
        """One iteration; `first`: by how much a pixel changes on average where there is no curvature to go by."""
        self.optimiser.param_groups[0]["lr"] = 1.0 if first is None else first * self.z.numel()
        self.optimiser.step(self._closure)
        return self.evaluate()[:2]

    def _closure(self) -> Tensor:
        _, value, slope = self.evaluate()
        self.z.grad = slope.clone()
        return torch.tensor(value * self.z.numel())


class _Spectrum:
    """Variables in which the data term is no stiffer than the others: x = base + Cᵀ (w · z), C the cosine transform.

    λ_R ‖D x‖² has the second derivative 2 λ_R k(f)² / s² at the frequency f, but for aliasing; k is the response of the
    blur. w is 1 where the blur leaves nothing, and small where the data fix the picture.
    """

    def __init__(self, like: Tensor, degradation: Degradation, lam: float) -> None:
        height, width = like.shape[-2:]
        self.rows, self.columns = _cosines(height, like), _cosines(width, like)
        response = _response(height, degradation)[:, None] * _response(width, degradation)
        stiffness = 2 * lam * response.square() / degradation.scale**2
        self.weight = (1 + stiffness / CURVATURE).rsqrt().to(like)

    def pixels(self, z: Tensor) -> Tensor:
        """The change of the picture that z stands for."""
        return self.rows.T @ (self.weight * z) @ self.columns


def _cosines(length: int, like: Tensor) -> Tensor:
    """The orthonormal cosine transform, (length, length), a row for each frequency."""
    at = torch.arange(length, dtype=torch.float64)
    matrix = torch.cos(math.pi / length * (at + 0.5) * at[:, None]) * math.sqrt(2 / length)
    matrix[0] /= math.sqrt(2)
    return matrix.to(like)


def _response(length: int, degradation: Degradation) -> Tensor:
    """What the blur leaves of each of these cosines, (length,)."""
    taps = len(degradation.kernel)
    at = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    frequency = math.pi / length * torch.arange(length, dtype=torch.float64)
    return torch.cos(frequency[:, None] * at) @ degradation.kernel
