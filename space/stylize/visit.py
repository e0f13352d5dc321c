"""What a visitor has opened: a picture, up to four styles, masks; and how each of these comes and goes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..examples import examples
from ..pictures import Picture, forget, open_picture

if TYPE_CHECKING:
    from PIL.Image import Image

SLOTS = 4
FIRST_PAINTING = "gallery:night_sky"
NOTHING: tuple[None, ...] = (None,) * SLOTS


@dataclass(frozen=True)
class Slot:
    """One style."""

    reference: str | None = None
    """"gallery:NAME"; None for a picture of the visitor's own."""
    image: Image | None = None
    """The visitor's own."""


@dataclass(frozen=True)
class Visit:
    """The state of one visitor's page; a new one for each change."""

    content: Picture | None = None
    example: str | None = None
    """Label of the example that the content is."""
    slots: tuple[Slot | None, ...] = (Slot(FIRST_PAINTING), None, None, None)
    painted: tuple[Image | None, ...] = NOTHING
    masks: tuple[Image | None, ...] = NOTHING
    memory: dict[str, Any] = field(default_factory=dict, compare=False)
    """What was computed for this visitor only, such as the Gram matrices of own styles. Goes with the session."""

    @property
    def styles(self) -> list[Slot]:
        """Those that are there."""
        return [slot for slot in self.slots if slot is not None]


def leave(visit: Visit | None) -> None:
    """Deletes a visitor's files; called when the session ends."""
    if visit is not None:
        forget(visit.content)
        visit.memory.clear()


def with_content(payload: Mapping[str, Any] | None, visit: Visit | None) -> Visit:
    """Another content: the regions of the last one are gone."""
    visit = visit or Visit()
    content = open_picture(payload)
    forget(visit.content)
    return dataclasses.replace(visit, content=content, example=_example(payload), painted=NOTHING)


def without_content(visit: Visit | None) -> Visit:
    """Forgets the content and what was painted on it."""
    visit = visit or Visit()
    forget(visit.content)
    return dataclasses.replace(visit, content=None, example=None, painted=NOTHING)


def with_style(index: int, payload: Mapping[str, Any] | None, visit: Visit | None) -> Visit:
    """A visitor's own picture as style."""
    return _with_slot(visit, index, Slot(image=_read(payload)))


def with_painting(index: int, reference: str, visit: Visit | None) -> Visit:
    """A painting of the gallery as style."""
    return _with_slot(visit, index, Slot(reference))


def without_style(index: int, visit: Visit | None) -> Visit:
    """One style less."""
    return _with_slot(visit, index, None)


def with_mask(index: int, payload: Mapping[str, Any] | None, visit: Visit | None) -> Visit:
    """An uploaded mask for a style."""
    visit = visit or Visit()
    return dataclasses.replace(visit, masks=_replaced(visit.masks, index, _read(payload)))


def without_mask(index: int, visit: Visit | None) -> Visit:
    """One uploaded mask less."""
    visit = visit or Visit()
    return dataclasses.replace(visit, masks=_replaced(visit.masks, index, None))


def _with_slot(visit: Visit | None, index: int, slot: Slot | None) -> Visit:
    visit = visit or Visit()
    return dataclasses.replace(visit, slots=_replaced(visit.slots, index, slot))


def _replaced(values: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    return (*values[:index], value, *values[index + 1 :])


def _example(payload: Mapping[str, Any] | None) -> str | None:
    """The label of the example that a file is a copy of."""
    path = Path(str((payload or {}).get("path")))
    name = str((payload or {}).get("orig_name") or path.name)
    for one in examples():
        if one.path.name == name and one.path.stat().st_size == path.stat().st_size:
            return one.label
    return None


def _read(payload: Mapping[str, Any] | None) -> Image:
    """A picture that leaves no files behind."""
    picture = open_picture(payload)
    forget(picture)
    return picture.image
