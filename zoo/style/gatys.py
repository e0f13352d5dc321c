"""Style transfer by optimising the pixels (Gatys et al., Image style transfer using CNNs, CVPR 2016) with L-BFGS."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ..models.vgg import VGGEncoder
from ..precision import fast
from .loss import CONTENT_WEIGHT, TV_WEIGHT, Grams, Terms, content_target, loss_terms
from .regional import Area, regional_terms

Penalty = Callable[[Tensor], Tensor]
"""A picture (1, 3, H, W), not clipped, to one number that is added to the loss; differentiable."""

# the first step changes pixels by this much on average: it has no curvature to go by
FIRST_STEP = 0.01
# the line search is stuck where an iteration lowers the loss by less than this share of it
STUCK = 1e-6
# shorter side of the coarsest scale, pixels
COARSEST = 8
# weight of the mean squared distance of the pixels to [0, 1]. The loss clips pixels and so does not see how far outside
# they are: without this, whatever a step throws there stays, as white, black or a pure colour
OUTSIDE = 10.0


@dataclass(frozen=True)
class GatysStep:
    """A state on the way."""

    image: Tensor
    """(1, 3, H, W) in [0, 1]: the best so far."""
    iteration: int
    evaluations: int
    """Times that loss and gradient were computed."""
    terms: Terms
    """The loss of `image` in parts, without the penalty."""
    done: bool


def gatys_steps(
    encoder: VGGEncoder,
    content: Tensor,
    grams: Grams | Sequence[Area],
    *,
    iterations: int = 100,
    betas: Tensor | Sequence[float] | None = None,
    content_weight: float = CONTENT_WEIGHT,
    tv_weight: float = TV_WEIGHT,
    start: Tensor | None = None,
    penalty: Penalty | None = None,
    half: bool = False,
) -> Iterator[GatysStep]:
    """Minimise `zoo.style.loss.total_loss` over the pixels of one picture, an iteration of L-BFGS at a time.

    The unknowns are changes at all scales, so that colours of large regions change as fast as strokes do, and pixels
    outside [0, 1] are drawn back. Where the line search finds nothing better, L-BFGS is started afresh from the best
    picture so far.

    Args:
        encoder: Perceptual encoder, in float32.
        content: (1, 3, H, W) in [0, 1], sides of at least 16 pixels.
        grams: `style_targets` of one style, from the same encoder; or a style for each area, see `zoo.style.regional`.
        iterations: At most so many; fewer where fresh starts do not help any more.
        betas, content_weight, tv_weight: as in `total_loss`.
        start: Where to start; None: at the content picture.
        penalty: What else is to be small, such as `zoo.prox.Photorealism.penalty`.
        half: Whether the encoder may run in bfloat16, where the device has it. The loss falls as fast and as far, and
            what is yielded of it is exact to about 1 %.

    Yields:
        `GatysStep`, first the start itself, then one for each iteration; the last has `done`.

    Raises:
        ValueError: not one picture of three channels, a start of another shape, or a negative number of iterations.
    """
    if content.ndim != 4 or content.shape[:2] != (1, 3):
        raise ValueError(f"content: one picture, (1, 3, H, W), got {tuple(content.shape)}")
    if start is not None and start.shape != content.shape:
        raise ValueError(f"start: must have the shape of content, {tuple(content.shape)}, got {tuple(start.shape)}")
    if iterations < 0:
        raise ValueError(f"iterations: at least 0, got {iterations}")
    return _steps(encoder, content, grams, iterations, betas, content_weight, tv_weight, start, penalty, half)


def _steps(
    encoder: VGGEncoder,
    content: Tensor,
    grams: Grams | Sequence[Area],
    iterations: int,
    betas: Tensor | Sequence[float] | None,
    content_weight: float,
    tv_weight: float,
    start: Tensor | None,
    penalty: Penalty | None,
    half: bool,
) -> Iterator[GatysStep]:
    with torch.no_grad(), fast(content.device, half):
        target = content_target(encoder, content)
    best = (content if start is None else start).detach().clone(memory_format=torch.contiguous_format).clamp(0, 1)
    pyramid = _Pyramid(best)
    evaluations = 0
    seen: tuple[Tensor, Terms, float, float, list[Tensor]] | None = None

    def loss(x: Tensor) -> Terms:
        if isinstance(grams, Mapping):
            return loss_terms(encoder, x, grams, target, betas, content_weight, tv_weight)
        return regional_terms(encoder, x, grams, target, betas, content_weight, tv_weight)

    def evaluate() -> tuple[Tensor, Terms, float, float, list[Tensor]]:
        # what an iteration ends with, the next one asks for again
        nonlocal evaluations, seen
        with torch.enable_grad():
            x = pyramid.image()
            if seen is None or not torch.equal(seen[0], x):
                evaluations += 1
                with fast(x.device, half):
                    terms = loss(x)
                goal = terms.total.sum() + (penalty(x) if penalty is not None else 0.0)
                value = goal + OUTSIDE * (x - x.clamp(0, 1)).square().mean()
                # times the number of values, because L-BFGS' thresholds are absolute, for gradients of about 1
                slopes = torch.autograd.grad(value * x.numel(), pyramid.levels)
                plain = Terms(terms.style.detach(), terms.content.detach(), terms.tv.detach())
                seen = (x.detach(), plain, float(goal.detach()), float(value.detach()), list(slopes))
        return seen

    def closure() -> Tensor:
        *_, value, slopes = evaluate()
        for level, slope in zip(pyramid.levels, slopes, strict=True):
            level.grad = slope.clone()
        return torch.tensor(value * best.numel())

    def state(iteration: int, done: bool) -> GatysStep:
        return GatysStep(best.clone(), iteration, evaluations, best_terms, done)

    _, best_terms, reached, *_ = evaluate()
    lowest = reached  # of the loss, the penalty and the distance to [0, 1] together
    yield state(0, iterations == 0)
    optimiser, fresh = _optimiser(pyramid), True
    for iteration in range(1, iterations + 1):
        optimiser.param_groups[0]["lr"] = FIRST_STEP * best.numel() if fresh else 1.0
        optimiser.step(closure)
        x, now, goal, value, _ = evaluate()
        better = math.isfinite(value) and value < lowest * (1 - STUCK)
        lowest = value if better else lowest
        if better and goal < reached:
            best, best_terms, reached = x.clamp(0, 1), now, goal
        done = iteration == iterations or (fresh and not better)
        yield state(iteration, done)
        if done:
            return
        fresh = not better
        if fresh:
            pyramid = _Pyramid(best)
            optimiser = _optimiser(pyramid)
            lowest = reached


class _Pyramid:
    """A picture as a sum of what is optimised: a base and, at each scale, a change to it.

    A change of colour over a region is one step at a coarse scale, and would be many in pixels alone: gradient descent
    in these unknowns is descent in the pixels with coarse structure preconditioned by 4 for each halving.
    """

    def __init__(self, base: Tensor) -> None:
        self.base = base
        size = torch.Size(base.shape[-2:])
        self.levels = [torch.zeros_like(base, requires_grad=True)]
        while min(size) > COARSEST:
            size = torch.Size(-(-side // 2) for side in size)
            self.levels.append(base.new_zeros((1, 3, *size), requires_grad=True))

    def image(self) -> Tensor:
        total = self.levels[-1]
        for level in reversed(self.levels[:-1]):
            total = level + F.interpolate(total, level.shape[-2:], mode="bilinear", align_corners=False)
        return self.base + total


def _optimiser(pyramid: _Pyramid) -> torch.optim.LBFGS:
    return torch.optim.LBFGS(
        pyramid.levels,
        max_iter=1,
        max_eval=100,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        history_size=50,
        line_search_fn="strong_wolfe",
    )
