"""Frames stylised one after the other, each consistent with the last (Puy & Pérez 2019, section 4.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..prox import Photorealism, TemporalConsistency, in_turn
from ..prox.base import check_lam
from ..video import trusted, warp
from ..video.raft import Flow
from .engines import Prox
from .prepared import Prepared

TEMPORAL = ("inside", "after", "off")
MODES = ("artistic", "photo")
FIRST_STEPS, NEXT_STEPS = 60, 20
"""Iterations of an optimisation: of the first frame, and of one that begins at the last result."""
PENALTY = 20.0
"""λ of the temporal term as a part of the loss L_TV, for each λ of the proximal operator. The operator moves a pixel by
2λ / (1 + 2λ) of the way, whatever the style's gradient is; a term of the loss has to hold its own against that."""


@dataclass(frozen=True)
class Stylised:
    """One frame."""

    image: Tensor
    """(1, 3, H, W) in [0, 1]."""
    iterations: int
    error: float | None
    """Mean squared distance to the last result, moved along, where that is trusted; None for the first frame, and where
    nothing is trusted."""


class Alongside:
    """The temporal operator inside a solver: each X(t) is drawn to the last frame's X(t), moved along.

    Puy & Pérez draw every X(t) to the last result. What a solver makes of a picture that is a result already is more of
    the style, and with each frame a bit more, until nothing is left of the content; X(t) of one frame and X(t) of the
    next are equally far on their way.

    Args:
        before: The iterates of the last frame, moved along; none for a first frame.
        mask: Where to trust them.
        lam: λ ≥ 0 of consistency.
    """

    def __init__(self, before: Sequence[Tensor] = (), mask: Tensor | None = None, lam: float = 0.0) -> None:
        self.proxes = [] if mask is None else [TemporalConsistency(warped, mask, lam) for warped in before]
        self.iterates: list[Tensor] = []
        """What it was applied to so far, after it."""

    def __call__(self, x: Tensor) -> Tensor:
        """Draw the next iterate (1, 3, H, W)."""
        number = len(self.iterates)
        if number < len(self.proxes):
            x = self.proxes[number](x)
        self.iterates.append(x)
        return x


@dataclass(frozen=True)
class _Moved:
    """The last result and the iterates on the way to it, brought to this frame; where the mask is 1, to be trusted."""

    result: Tensor
    mask: Tensor
    iterates: Sequence[Tensor]


class FrameStyler:
    """Stylises frames in turn. In memory are the last frame and what was made of it, whatever the length.

    Args:
        engine: What stylises.
        mode: "artistic", or "photo" to keep each frame photorealistic.
        temporal: "inside": the temporal operator after each update of a solver (`Alongside`), as a term of an
            optimisation's loss, which then begins at the last result, and once after a network of one pass. "after":
            once, when the engine is done. "off": frame by frame.
        temporal_lam: λ ≥ 0 of consistency.
        photo_lam: λ_L ≥ 0 of photorealism.
        flow: What finds the motion.
        measure: Whether to measure the warping error also where `temporal` is "off".

    Raises:
        ValueError: an argument that is not as stated.
    """

    def __init__(
        self,
        engine: Prepared,
        flow: Flow,
        *,
        mode: str = "artistic",
        temporal: str = "inside",
        temporal_lam: float = 0.37,
        photo_lam: float = 50.0,
        measure: bool = True,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode: one of {', '.join(MODES)}, got {mode!r}")
        if temporal not in TEMPORAL:
            raise ValueError(f"temporal: one of {', '.join(TEMPORAL)}, got {temporal!r}")
        self.engine = engine
        self.flow = flow
        self.photo = mode == "photo"
        self.temporal = temporal
        self.temporal_lam = check_lam(temporal_lam)
        self.photo_lam = check_lam(photo_lam)
        self.measure = measure
        self.known = engine.grams() if engine.encoder is not None else {}
        self.last: tuple[Tensor, Tensor] | None = None
        self.iterates: list[Tensor] = []

    @torch.no_grad()
    def __call__(self, frame: Tensor) -> Stylised:
        """Stylise the next frame, (1, 3, H, W) in [0, 1], of the size of the last."""
        moved = self._moved(frame)
        consistent = None
        if moved is not None and self.temporal != "off" and self.temporal_lam > 0:
            consistent = TemporalConsistency(moved.result, moved.mask, self.temporal_lam)
        photo = Photorealism(frame, self.photo_lam) if self.photo and self.photo_lam > 0 else None
        if self.engine.kind == "optimisation":
            image, iterations = self._optimised(frame, photo, consistent if self.temporal == "inside" else None)
        else:
            image, iterations = self._solved(frame, photo, moved)
        if self.temporal == "after" and consistent is not None:
            image = consistent(image).clamp(0, 1)
        error = None
        if moved is not None and float(moved.mask.sum()) > 0:
            error = float((moved.mask * (image - moved.result)).square().sum() / (3 * moved.mask.sum()))
        self.last = (frame, image)
        return Stylised(image, iterations, error)

    def _moved(self, frame: Tensor) -> _Moved | None:
        if self.last is None or (self.temporal == "off" and not self.measure):
            return None
        before, result = self.last
        there, back = self.flow(frame, before).to(frame), self.flow(before, frame).to(frame)
        return _Moved(warp(result, there), trusted(there, back), [warp(x, there) for x in self.iterates])

    def _solved(self, frame: Tensor, photo: Photorealism | None, moved: _Moved | None) -> tuple[Tensor, int]:
        proxes: list[Prox] = [photo] if photo is not None else []
        if self.temporal == "inside" and self.temporal_lam > 0:
            alongside = Alongside(moved.iterates, moved.mask, self.temporal_lam) if moved is not None else Alongside()
            self.iterates = alongside.iterates
            proxes.append(alongside)
        job = self.engine.job(frame, lambda _: self.known, prox=in_turn(proxes))
        *_, state = self.engine.states(job)
        return state.image, state.iteration

    def _optimised(
        self, frame: Tensor, photo: Photorealism | None, inside: TemporalConsistency | None
    ) -> tuple[Tensor, int]:
        start = None
        terms = [photo.penalty] if photo is not None else []
        steps = FIRST_STEPS
        if inside is not None:
            start = inside.warped
            terms.append(TemporalConsistency(inside.warped, inside.mask, PENALTY * self.temporal_lam).penalty)
            steps = NEXT_STEPS

        def penalty(x: Tensor) -> Tensor:
            return sum((term(x) for term in terms), x.new_zeros(()))

        job = self.engine.job(
            frame,
            lambda _: self.known,
            penalty=penalty if terms else None,
            start=start,
            steps=self.engine.settings.steps or steps,
        )
        *_, state = self.engine.states(job)
        return state.image, state.iteration
