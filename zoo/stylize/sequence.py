"""Frames stylised one after the other, each consistent with the last (Puy & Pérez 2019, section 4.2.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..prox import Compose, Photorealism, TemporalConsistency
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


class FrameStyler:
    """Stylises frames in turn. In memory are the last frame and its result, whatever the length.

    Args:
        engine: What stylises.
        mode: "artistic", or "photo" to keep each frame photorealistic.
        temporal: "inside": the temporal operator after each update of a solver, as a term of an optimisation's loss,
            which then begins at the last result, and once after a network of one pass. "after": once, when the engine
            is done. "off": frame by frame.
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

    @torch.no_grad()
    def __call__(self, frame: Tensor) -> Stylised:
        """Stylise the next frame, (1, 3, H, W) in [0, 1], of the size of the last."""
        moved = self._moved(frame)
        consistent = None
        if moved is not None and self.temporal != "off" and self.temporal_lam > 0:
            consistent = TemporalConsistency(*moved, self.temporal_lam)
        photo = Photorealism(frame, self.photo_lam) if self.photo and self.photo_lam > 0 else None
        inside = consistent if self.temporal == "inside" else None
        if self.engine.kind == "optimisation":
            image, iterations = self._optimised(frame, photo, inside)
        else:
            image, iterations = self._solved(frame, [one for one in (photo, inside) if one is not None])
        if self.temporal == "after" and consistent is not None:
            image = consistent(image).clamp(0, 1)
        error = None
        if moved is not None:
            warped, mask = moved
            if float(mask.sum()) > 0:
                error = float((mask * (image - warped)).square().sum() / (3 * mask.sum()))
        self.last = (frame, image)
        return Stylised(image, iterations, error)

    def _moved(self, frame: Tensor) -> tuple[Tensor, Tensor] | None:
        """The last result brought to this frame, and where to trust it."""
        if self.last is None or (self.temporal == "off" and not self.measure):
            return None
        before, result = self.last
        there, back = self.flow(frame, before).to(frame), self.flow(before, frame).to(frame)
        return warp(result, there), trusted(there, back)

    def _solved(self, frame: Tensor, proxes: list[Prox]) -> tuple[Tensor, int]:
        job = self.engine.job(frame, lambda _: self.known, prox=Compose(proxes) if proxes else None)
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
