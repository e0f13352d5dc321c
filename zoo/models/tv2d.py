"""Total-variation denoising as a model: no weights, the picture is the solution of an optimisation problem."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import cuda_src

from ..registry import register_arch

MODES = ("anisotropic", "isotropic")
# a chunk is sized by its work, pixels × channels × iterations, that takes about a second on two cores
_CHUNK = {"anisotropic": 100_000_000, "isotropic": 300_000_000}


@dataclass(frozen=True)
class Solve:
    """Where a solver stands; everything per map, that is per image and channel."""

    image: Tensor
    """The current solution, (B, C, H, W)."""
    gap: Tensor
    """Duality gap, (B, C): by how much the objective can still fall, at most."""
    objective: Tensor
    """½‖y − x‖² + λ·TV(y), (B, C)."""
    iterations: Tensor
    """Iterations made so far, (B, C)."""
    progress: float
    """0 … 1, an estimate."""


def total_variation(image: Tensor, mode: str) -> Tensor:
    """TV(y) over the last two dimensions.

    Args:
        image: (…, H, W).
        mode: "anisotropic", Σ|∂₁y| + |∂₂y|, or "isotropic", Σ√(∂₁y² + ∂₂y²), with forward differences that are 0 at
            the last row and column.

    Returns:
        Tensor of shape (…).
    """
    down = image.diff(dim=-2)
    right = image.diff(dim=-1)
    if mode == "anisotropic":
        return down.abs().sum((-2, -1)) + right.abs().sum((-2, -1))
    down = nn.functional.pad(down, (0, 0, 0, 1))
    right = nn.functional.pad(right, (0, 1))
    return (down.square() + right.square()).sqrt().sum((-2, -1))


@register_arch("tv2d")
class TV2d(nn.Module):
    """argmin_y ½‖y − x‖² + λ·TV(y), each channel by itself (paper 2022, section 3.1, equation 2).

    Args:
        mode: "anisotropic" (proximal Dykstra) or "isotropic" (Rudin, Osher and Fatemi 1992).

    Raises:
        ValueError: another mode.
    """

    def __init__(self, mode: str = "anisotropic") -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"mode: one of {MODES}, got {mode!r}")
        self.mode = mode

    def forward(self, image: Tensor, lam: float | Tensor, *, max_iter: int | None = None, tol: float = 1e-5) -> Tensor:
        """Denoise.

        Args:
            image: (B, C, H, W) or (C, H, W), usually in [0, 1].
            lam: λ ≥ 0 in the units of the image: a number, or (B,), one per image. The larger, the smoother.
            max_iter: Limit on the iterations; None: the solver's own.
            tol: Relative duality gap at which each map stops.

        Returns:
            Tensor like `image`.
        """
        return cuda_src.prox_tv2d(image, self._per_map(image, lam), mode=self.mode, max_iter=max_iter, tol=tol)

    @torch.no_grad()
    def steps(
        self, image: Tensor, lam: float | Tensor, *, chunk: int | None = None, max_iter: int = 1000, tol: float = 1e-5
    ) -> Iterator[Solve]:
        """The same solution in chunks of iterations, each starting where the last one stopped. No gradients.

        Args:
            image: (B, C, H, W).
            lam: As in `forward`.
            chunk: Iterations between two yields; None: by the size of the image, one chunk for a small one.
            max_iter: Limit on the iterations of a map.
            tol: Relative duality gap at which each map stops; a map that has got there is left alone, so that its
                result does not depend on the rest of the batch.

        Yields:
            The state after each chunk; the last one, with a progress of 1, is the result.
        """
        size = image[0].numel()  # of one image: what else is in the batch must not change a result
        # in tens: the solvers look at the gap then, so pieces do not change where they stop
        chunk = chunk or max(1, _CHUNK[self.mode] // size // 10) * 10
        shape = image.shape[:2]
        x = image.flatten(0, 1)  # (B·C, H, W)
        weight = torch.as_tensor(self._per_map(image, lam), dtype=x.dtype, device=x.device).expand(shape).reshape(-1)
        y = x.clone()
        dual: cuda_src.Dual | None = None
        gap = torch.zeros(weight.shape, dtype=torch.float64, device=x.device)
        objective = torch.zeros_like(gap)
        iterations = torch.zeros(weight.shape, dtype=torch.long, device=x.device)
        active = torch.arange(len(x), device=x.device)
        while len(active):
            # every map still active has made the same number of iterations
            count = min(chunk, max_iter - int(iterations[active[0]]))
            y[active], gap[active], part, made = cuda_src.prox_tv2d(
                x[active],
                weight[active],
                mode=self.mode,
                max_iter=count,
                tol=tol,
                return_gap=True,
                init=None if dual is None else cuda_src.Dual(*(item[active] for item in dual)),
                return_dual=True,
                return_iterations=True,
            )
            if dual is None:
                dual = part
            else:
                for whole, piece in zip(dual, part, strict=True):
                    whole[active] = piece
            iterations[active] += made
            for i in active.tolist():
                solution = y[i].double()
                distance = 0.5 * (solution - x[i]).square().sum()
                objective[i] = distance + weight[i] * total_variation(solution, self.mode)
            going = (gap > tol * objective) & (iterations < max_iter)
            active = torch.nonzero(going).flatten()
            # the gap falls about exponentially
            fallen = torch.where(going, ((gap / objective).log() / math.log(tol)).clamp(0, 0.99), 1)
            progress = float(torch.maximum(fallen, iterations / max_iter).mean()) if len(active) else 1.0
            maps = [item.reshape(shape).clone() for item in (gap, objective, iterations)]
            yield Solve(y.reshape(image.shape).clone(), maps[0], maps[1], maps[2], progress)

    def extra_repr(self) -> str:
        """The mode, for `repr`."""
        return f"mode={self.mode!r}"

    @staticmethod
    def _per_map(image: Tensor, lam: float | Tensor) -> float | Tensor:
        """λ broadcast over the leading dimensions that the solver sees."""
        if not isinstance(lam, Tensor) or lam.ndim == 0:
            return lam
        if image.ndim != 4 or lam.shape != image.shape[:1]:
            raise ValueError(f"lam: a number or one per image, got {tuple(lam.shape)} for images {tuple(image.shape)}")
        return lam[:, None]
