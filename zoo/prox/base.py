"""What all proximal operators share, and those that need nothing but the picture."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence

from torch import Tensor

import cuda_src


class Prox(ABC):
    """prox_r(x) = argmin_y ½‖y − x‖² + r(y) of some regulariser r, or a projection."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """Apply it to x (B, 3, H, W); same shape and type come out. Differentiable in x."""


class Compose(Prox):
    """One after the other, the first of the list first; of none, the identity.

    Args:
        proxes: Operators, or any functions from (B, 3, H, W) to the same.

    Raises:
        TypeError: one of them cannot be called.
    """

    def __init__(self, proxes: Iterable[Callable[[Tensor], Tensor]]) -> None:
        self.proxes = tuple(proxes)
        for prox in self.proxes:
            if not callable(prox):
                raise TypeError(f"proxes: functions of a picture, got {type(prox).__name__}")

    def __call__(self, x: Tensor) -> Tensor:
        """Apply them all."""
        for prox in self.proxes:
            x = prox(x)
        return x


Operators = Callable[[Tensor], Tensor] | Sequence[Callable[[Tensor], Tensor]]
"""One operator, or several that are applied one after the other."""


def in_turn(prox: Operators | None) -> Callable[[Tensor], Tensor] | None:
    """One operator out of one, of several, or of none: None for none.

    Raises:
        TypeError: one of them cannot be called.
    """
    if prox is None or callable(prox):
        return prox
    return Compose(prox) if len(prox) else None


class Box(Prox):
    """Projection onto low ≤ x ≤ high.

    Raises:
        ValueError: low is not below high.
    """

    def __init__(self, low: float = 0.0, high: float = 1.0) -> None:
        if not low < high:
            raise ValueError(f"low, high: low must be below high, got {low} and {high}")
        self.low = low
        self.high = high

    def __call__(self, x: Tensor) -> Tensor:
        """Clip x."""
        return x.clamp(self.low, self.high)


class TotalVariation(Prox):
    """argmin_y ½‖y − x‖² + lam TV(y), each channel by itself; see `cuda_src.prox_tv2d`.

    Args:
        lam: ≥ 0, in the units of the picture.
        mode: "anisotropic" or "isotropic".
        tol: Relative duality gap at which a channel is solved.

    Raises:
        ValueError: an argument outside its range.
    """

    def __init__(self, lam: float, mode: str = "anisotropic", tol: float = 1e-4) -> None:
        self.lam = check_lam(lam)
        if mode not in ("anisotropic", "isotropic"):
            raise ValueError(f"mode: 'anisotropic' or 'isotropic', got {mode!r}")
        if not 0 < tol < 1:
            raise ValueError(f"tol: in (0, 1), got {tol}")
        self.mode = mode
        self.tol = tol

    def __call__(self, x: Tensor) -> Tensor:
        """Smooth x."""
        return cuda_src.prox_tv2d(x, self.lam, mode=self.mode, tol=self.tol)


def check_lam(lam: float) -> float:
    """`lam` as a float.

    Raises:
        ValueError: negative, infinite or NaN.
    """
    if not 0 <= lam < math.inf:
        raise ValueError(f"lam: at least 0 and finite, got {lam}")
    return float(lam)


def check_picture(name: str, picture: Tensor, channels: tuple[int, ...] = (3,)) -> Tensor:
    """`picture` (B, C, H, W) with its gradient cut off.

    Raises:
        TypeError: not a floating-point tensor.
        ValueError: another shape.
    """
    if not isinstance(picture, Tensor) or not picture.is_floating_point():
        raise TypeError(f"{name}: a floating-point tensor, got {getattr(picture, 'dtype', type(picture).__name__)}")
    if picture.ndim != 4 or picture.shape[1] not in channels or picture.numel() == 0:
        shapes = " or ".join(f"(B, {c}, H, W)" for c in channels)
        raise ValueError(f"{name}: expected {shapes}, got {tuple(picture.shape)}")
    return picture.detach()


def check_fits(name: str, own: Tensor, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """`own` on the device of `x`, if it fits: its batch is that of x or 1, its size that of x or `size`.

    Raises:
        ValueError: it does not.
    """
    height, width = own.shape[2:] if size is None else size
    if x.ndim != 4 or x.shape[2:] != (height, width) or len(own) not in (1, len(x)):
        raise ValueError(f"x: {name} is for (B, C, {height}, {width}), B = {len(own)}; got {tuple(x.shape)}")
    return own.to(device=x.device)
