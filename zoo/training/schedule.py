"""Schedules over the fraction of the budget that is spent, so that any budget gives a complete schedule."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BETWEEN = ("cosine", "linear", "hold")


@dataclass(frozen=True)
class Schedule:
    """A number as a function of the fraction of the budget, given by points."""

    points: tuple[tuple[float, float], ...]
    """(fraction, value), fractions rising from 0; the last value holds to the end."""
    between: str = "hold"
    """From one point to the next: "cosine" (half a cosine), "linear", or "hold" (the value of the point before)."""

    def __post_init__(self) -> None:
        fractions = [fraction for fraction, _ in self.points]
        if not fractions or fractions[0] != 0 or fractions[-1] > 1:
            raise ValueError(f"points: fractions must start at 0 and end by 1, got {fractions}")
        if any(b <= a for a, b in itertools.pairwise(fractions)):
            raise ValueError(f"points: fractions must rise, got {fractions}")
        if self.between not in BETWEEN:
            raise ValueError(f"between: must be one of {BETWEEN}, got {self.between!r}")

    def __call__(self, fraction: float) -> float:
        """The value at a fraction of the budget, in [0, 1]."""
        after = next((i for i, (start, _) in enumerate(self.points) if start > fraction), len(self.points))
        start, value = self.points[after - 1]
        if after == len(self.points) or self.between == "hold":
            return value
        end, target = self.points[after]
        t = (fraction - start) / (end - start)
        if self.between == "cosine":
            t = (1 - math.cos(math.pi * t)) / 2
        return value + t * (target - value)


def read_schedule(value: Any, where: str) -> Schedule:
    """A schedule from a recipe: a number, a list of points (held), or a table `{points = [...], between = "..."}`.

    Raises:
        ValueError: none of these, or points out of order; `where` is named.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Schedule(((0.0, value),))
    table = dict(value) if isinstance(value, Mapping) else {"points": value}
    points = table.pop("points", None)
    between = table.pop("between", "hold")
    if table or not isinstance(points, Sequence) or isinstance(points, str) or not all(map(_is_point, points)):
        raise ValueError(f"{where}: expected a number, [[fraction, value], ...] or {{points, between}}, got {value!r}")
    try:
        return Schedule(tuple((float(fraction), level) for fraction, level in points), between)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _is_point(point: Any) -> bool:
    return (
        isinstance(point, Sequence)
        and len(point) == 2
        and all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in point)
    )
