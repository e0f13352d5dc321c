"""Everything that style transfer is told besides pictures, checked, as JSON and back. Needs no torch."""

from __future__ import annotations

import dataclasses
import json
import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .ranking import AUTO

MAX_STYLES = 4
SCALES = 5
"""Style layers of the encoder, from the finest strokes to the coarsest."""
COLOURS = ("style", "content")
MIN_SIDE = 16
"""Pixels; the encoder's coarsest layer is then one pixel."""
LIMITS = {"size": (MIN_SIDE, 4096), "style_size": (MIN_SIDE, 4096), "steps": (1, 10_000), "seed": (0, 2**32 - 1)}
GALLERY = "gallery:"
"""Begins the name of a painting of `zoo.gallery` where a picture is asked for."""


@dataclass(frozen=True)
class StylizeSettings:
    """The arguments of `zoo.tasks.stylize` but for its pictures, masks and proximal operator.

    The same settings with the same pictures and masks give the same result.

    Raises:
        TypeError, ValueError: a value that is not as stated below.
    """

    model: str = AUTO
    styles: tuple[str | None, ...] = ()
    """One for each style: "gallery:night_sky", or None for a picture that is to be given again."""
    style_weights: tuple[float, ...] | None = None
    """One for each style, ≥ 0 and not all 0; None: all the same."""
    scale_weights: tuple[float, ...] | None = None
    """How much of each of the five scales, ≥ 0, finest first; 1 is usual. None: all 1."""
    intensity: float = 1.0
    """≥ 0."""
    color: str = "style"
    """"style", or "content" to keep the content's colours."""
    size: int | None = None
    """Longer side of the content, pixels; None: as it is."""
    style_size: int | None = None
    """Longer side of the styles, pixels; None: as they are, but no longer than the content."""
    steps: int | None = None
    """Iterations; None: all of a solver's, the usual number of an optimisation."""
    seed: int = 0
    """Of the paintings that are drawn by code."""
    encoder: str | None = None
    """Perceptual encoder; None: the model's own."""

    def __post_init__(self) -> None:
        if not isinstance(self.model, str):
            raise TypeError(f"model: a name, not {type(self.model).__name__}")
        if self.encoder is not None and not isinstance(self.encoder, str):
            raise TypeError(f"encoder: a name, not {type(self.encoder).__name__}")
        if isinstance(self.styles, str) or not isinstance(self.styles, Sequence):
            raise TypeError("styles: a list")
        set_ = object.__setattr__  # the dataclass is frozen
        set_(self, "styles", tuple(self.styles))
        if len(self.styles) > MAX_STYLES:
            raise ValueError(f"styles: at most {MAX_STYLES}, got {len(self.styles)}")
        for style in self.styles:
            if style is not None:
                painting(style)
        set_(self, "intensity", _number("intensity", self.intensity))
        set_(self, "style_weights", _weights("style_weights", self.style_weights, len(self.styles) or None))
        set_(self, "scale_weights", _weights("scale_weights", self.scale_weights, SCALES))
        if self.style_weights is not None and self.styles and not sum(self.style_weights) > 0:
            raise ValueError("style_weights: at least one above 0")
        if self.color not in COLOURS:
            raise ValueError(f"color: one of {', '.join(COLOURS)}, got {self.color!r}")
        for name, (least, most) in LIMITS.items():
            value: Any = getattr(self, name)
            if value is None and name != "seed":
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name}: a whole number, not {type(value).__name__}")
            if not least <= value <= most or value != int(value):
                raise ValueError(f"{name}: a whole number from {least} to {most}, got {value}")
            set_(self, name, int(value))

    @property
    def weights(self) -> tuple[float, ...]:
        """Of the styles; their sum is 1."""
        weights = self.style_weights or (1.0,) * len(self.styles)
        return tuple(weight / sum(weights) for weight in weights)

    @property
    def scales(self) -> tuple[float, ...]:
        """How much of each scale."""
        return self.scale_weights or (1.0,) * SCALES

    def arguments(self) -> dict[str, Any]:
        """As keyword arguments of `zoo.tasks.stylize`: all but the styles."""
        return {item.name: getattr(self, item.name) for item in dataclasses.fields(self) if item.name != "styles"}

    def to_dict(self) -> dict[str, Any]:
        """As JSON-able data; what has its default value is left out."""
        record = json.loads(json.dumps(dataclasses.asdict(self)))
        defaults = json.loads(json.dumps(dataclasses.asdict(StylizeSettings())))
        return {key: value for key, value in record.items() if value != defaults[key]}

    def to_json(self) -> str:
        """As JSON in one line."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> StylizeSettings:
        """The inverse of `to_dict`.

        Raises:
            ValueError: unknown keys, or a value of the wrong type or out of range.
        """
        known = [item.name for item in dataclasses.fields(cls)]
        if unknown := sorted(set(record) - set(known)):
            raise ValueError(f"settings: unknown {', '.join(unknown)}; known are {', '.join(known)}")
        try:
            return cls(**record)
        except TypeError as error:
            raise ValueError(str(error)) from None

    @classmethod
    def from_json(cls, text: str) -> StylizeSettings:
        """The inverse of `to_json`.

        Raises:
            ValueError: not JSON, or not settings.
        """
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            raise ValueError("settings: not JSON") from None
        if not isinstance(record, dict):
            raise ValueError('settings: a JSON object such as {"intensity": 0.8}')
        return cls.from_dict(record)


def painting(reference: str) -> str:
    """The name of a painting of `zoo.gallery` from a reference such as "gallery:dusk".

    Raises:
        TypeError, ValueError: something else, or no such painting.
    """
    from ..gallery import PAINTINGS

    if not isinstance(reference, str):
        raise TypeError(f'styles: a picture or a name such as "{GALLERY}dusk", not {type(reference).__name__}')
    name = reference.removeprefix(GALLERY)
    if not reference.startswith(GALLERY) or name not in PAINTINGS:
        raise ValueError(f'styles: a name such as "{GALLERY}dusk", of {", ".join(PAINTINGS)}; got {reference!r}')
    return name


def _weights(name: str, values: Any, count: int | None) -> tuple[float, ...] | None:
    if values is None:
        return None
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise TypeError(f"{name}: a list of numbers, not {type(values).__name__}")
    if count is not None and len(values) != count:
        raise ValueError(f"{name}: {count} numbers, got {len(values)}")
    return tuple(_number(name, value) for value in values)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}: numbers, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name}: finite and at least 0, got {value}")
    return float(value)
