"""The values of the controls as settings of the task, and back; and these as JSON to copy or to link to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from zoo.stylize.settings import GALLERY, SCALES, StylizeSettings

from ..examples import examples
from .visit import SLOTS, Visit

QUERY = "stylize"
"""Name in the query string of a link."""
DEFAULT_SIDE = 512
MOST = 2
"""Upper end of the sliders for intensity and scales."""


@dataclass(frozen=True)
class Controls:
    """The controls, in the order of the tab."""

    weights: tuple[float, ...] = (1.0,) * SLOTS
    scales: tuple[float, ...] = (1.0,) * SCALES
    intensity: float = 1.0
    color: str = "style"
    size: float = DEFAULT_SIDE
    style_size: float = 0
    """0: not set."""
    steps: float = 0
    """0: not set."""
    seed: float = 0
    model: str = "auto"

    @classmethod
    def of(cls, values: tuple[Any, ...]) -> Controls:
        """From the values of the components."""
        weights, scales, rest = values[:SLOTS], values[SLOTS : SLOTS + SCALES], values[SLOTS + SCALES :]
        return cls(weights, scales, *rest)

    @property
    def values(self) -> tuple[Any, ...]:
        """For the components."""
        last = (self.intensity, self.color, self.size, self.style_size, self.steps, self.seed, self.model)
        return (*self.weights, *self.scales, *last)

    def settings(self, visit: Visit) -> StylizeSettings:
        """For the task.

        Raises:
            ValueError: a value out of range.
        """
        weights = tuple(w for w, slot in zip(self.weights, visit.slots, strict=True) if slot is not None)
        record = {
            "model": self.model,
            "styles": [slot.reference for slot in visit.styles],
            "style_weights": None if len(set(weights)) <= 1 and sum(weights) > 0 else weights,
            "scale_weights": None if set(self.scales) == {1} else self.scales,
            "intensity": self.intensity,
            "color": self.color,
            "size": self.size or None,
            "style_size": self.style_size or None,
            "steps": self.steps or None,
            "seed": self.seed or 0,
        }
        return StylizeSettings.from_dict(record)


def controls_for(settings: StylizeSettings) -> Controls:
    """The controls that stand for settings; styles that are not of the gallery leave their places empty.

    Raises:
        ValueError: more than the sliders have.
    """
    largest = max((settings.intensity, *settings.scales))
    if largest > MOST:
        raise ValueError(
            f"settings: intensity and scale_weights go to {MOST} on this page, got {largest:g}; "
            "zoo stylize has no limit"
        )
    weights = settings.style_weights or (1.0,) * len(settings.styles)
    if (most := max(weights, default=1.0)) > 1:  # only ratios matter
        weights = tuple(weight / most for weight in weights)
    return Controls(
        weights=(*weights, *(1.0,) * (SLOTS - len(weights))),
        scales=settings.scales,
        intensity=settings.intensity,
        color=settings.color,
        size=settings.size or DEFAULT_SIDE,
        style_size=settings.style_size or 0,
        steps=settings.steps or 0,
        seed=settings.seed,
        model=settings.model,
    )


def to_text(settings: StylizeSettings, example: str | None) -> str:
    """Settings and the name of the example that they were used on as JSON; what was uploaded is not in it."""
    record = settings.to_dict() | ({"content": example} if example else {})
    return json.dumps(record, ensure_ascii=False)


def from_text(text: str) -> tuple[StylizeSettings, str | None]:
    """The inverse of `to_text`; also takes what `zoo stylize --json` prints.

    Raises:
        ValueError: not JSON, not settings, or no such example.
    """
    try:
        record = json.loads(text or "")
    except (ValueError, RecursionError):
        raise ValueError("settings: not JSON; paste what was copied here, or from zoo stylize --json") from None
    if isinstance(record, list) and len(record) == 1:
        record = record[0]
    if isinstance(record, dict) and isinstance(record.get("settings"), dict):
        record = record["settings"]
    if not isinstance(record, dict):
        raise ValueError('settings: a JSON object such as {"intensity": 0.8}')
    example = record.pop("content", None)
    labels = [one.label for one in examples()]
    if example is not None and example not in labels:
        raise ValueError(f"settings: content is one of the examples {', '.join(labels)}, got {example!r}")
    return StylizeSettings.from_dict(record), example


def missing(settings: StylizeSettings) -> str:
    """What settings from elsewhere cannot bring along, in words; empty if nothing."""
    own = [str(number) for number, style in enumerate(settings.styles, 1) if style is None]
    return f"Style {' and '.join(own)} was an uploaded picture: upload it again." if own else ""


def reference(name: str) -> str:
    """How a painting is called in settings."""
    return f"{GALLERY}{name}"
