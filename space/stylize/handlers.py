"""What happens on the "Style transfer" tab besides the transfer: pictures come and go, settings are applied."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import gradio as gr

from zoo.gallery import PAINTINGS
from zoo.stylize import ranking

from ..examples import labelled
from ..figures import status_html
from . import controls as settings_of
from . import paintings, regions
from . import visit as visits
from .controls import QUERY, Controls
from .layout import HINT
from .run import explain
from .visit import FIRST_PAINTING, SLOTS, Visit

SLUG = "style-transfer"
CANVAS_SIDE = 512


def models() -> tuple[str, ...]:
    """The engines that are installed, the best one first."""
    first = ranking.choose().name
    return (first, *(entry.name for entry in ranking.installed() if entry.name != first))


def engine_note(model: str) -> str:
    """What an engine is, and whether it is the one that the page begins with, and why."""
    first = ranking.choose()
    why = f" The page begins with it: {first.reason}." if model == first.name else ""
    return status_html(explain(model) + why)


def open_content(payload: Mapping[str, Any] | None, visit: Visit | None) -> tuple[Visit, dict[str, Any]]:
    """A picture, also on the canvas for the regions."""
    visit = visits.with_content(payload, visit)
    return visit, canvas_for(visit)


def canvas_for(visit: Visit) -> dict[str, Any]:
    """An empty canvas with the content below, small enough to paint on."""
    if visit.content is None:
        return gr.update(value=None)
    small = visit.content.image.convert("RGB")
    small.thumbnail((CANVAS_SIDE, CANVAS_SIDE))
    return gr.update(value={"background": visit.content.save(small, "canvas"), "layers": [], "composite": None})


def clear(visit: Visit | None) -> tuple[Any, ...]:
    """Forgets the picture and empties the results."""
    nothing = gr.update(value=None, interactive=False)
    return visits.without_content(visit), gr.update(value=None), None, status_html(HINT), "", [], nothing


def pick(slot: int, seed: float, visit: Visit | None, event: gr.SelectData) -> tuple[Any, ...]:
    """A painting was clicked: it becomes the chosen style, and the rest stays."""
    reference = settings_of.reference(list(PAINTINGS)[int(event.index)])
    visit = visits.with_painting(slot - 1, reference, visit)
    path = paintings.shown(reference, int(seed or 0))
    return visit, *(path if index == slot - 1 else gr.skip() for index in range(SLOTS))


def repaint(seed: float, visit: Visit | None) -> tuple[Any, ...]:
    """Another seed: the paintings among the styles are other ones."""
    slots = (visit or Visit()).slots
    return tuple(
        paintings.shown(slot.reference, int(seed or 0)) if slot is not None and slot.reference else gr.skip()
        for slot in slots
    )


def take_regions(canvas: Mapping[str, Any] | None, visit: Visit | None) -> Visit:
    """What was painted on the canvas counts from now on."""
    return dataclasses.replace(visit or Visit(), painted=regions.painted(canvas))


def clear_regions(visit: Visit | None) -> tuple[Any, ...]:
    """No masks at all."""
    visit = dataclasses.replace(visit or Visit(), painted=visits.NOTHING, masks=visits.NOTHING)
    return visit, canvas_for(visit), *(None for _ in range(SLOTS))


def apply_text(text: str, visit: Visit | None) -> tuple[Any, ...]:
    """Settings that were pasted: visit, content, styles, all controls, and a word on what has to be uploaded again."""
    settings, example = settings_of.from_text(text)
    model = ranking.choose(settings.model).name
    if model not in models():
        raise ValueError(f"model: {model} is not installed here; choose another in the settings")
    controls = settings_of.controls_for(settings)
    visit = visit or Visit()
    content: Any = gr.skip()
    if example is not None:
        content = str(labelled(example))
        visit = visits.with_content({"path": content}, visit)
    for index in range(SLOTS):
        reference = settings.styles[index] if index < len(settings.styles) else None
        if reference is not None:
            visit = visits.with_painting(index, reference, visit)
        else:
            visit = visits.without_style(index, visit)
    shown_styles = repaint(settings.seed, visit)
    slots = [None if slot is None else path for slot, path in zip(visit.slots, shown_styles, strict=True)]
    values = (*controls.values[:-1], model)
    if missing := settings_of.missing(settings):
        gr.Info(missing)
    status = status_html(f"Settings applied. {missing}")
    return visit, content, canvas_for(visit), *slots, *values, status


def arrive(visit: Visit | None, request: gr.Request) -> tuple[Any, ...]:
    """The page was opened: by a link with settings, or without."""
    text = request.query_params.get(QUERY, "") if request is not None else ""
    if text:
        visit, content, canvas, *others, status = apply_text(text, visit)
        return gr.update(selected=SLUG), visit, content, canvas, *others, status
    first = paintings.shown(FIRST_PAINTING, 0)
    nothing = [gr.skip()] * (SLOTS - 1 + len(Controls().values) + 1)
    return gr.skip(), visit or Visit(), gr.skip(), gr.skip(), first, *nothing
