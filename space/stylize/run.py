"""The transfer itself: from a visit and the controls to the updates of the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import gradio as gr

from zoo import registry
from zoo.stylize.ranking import AUTO, REFERENCE

from ..figures import Figure, figures_html, status_html
from ..pictures import Forgotten, Picture
from .controls import Controls, to_text
from .regions import assigned
from .visit import Visit

if TYPE_CHECKING:
    from zoo.tasks.stylize import StylizeInfo, StylizeStep

LIVE_SIDE = 512
"""Up to this longer side the result follows the controls; larger ones wait for the button."""
PREVIEW_SHARE = 0.25
"""A partial result is shown only while writing it takes less than this share of the time."""
STRIP_SIDE = 256
STRIP = (0, 1, 3, 10, 30, 100, 300)
"""Iterations of an optimisation that the strip shows; of a solver it shows all."""
OWN_STYLES = 8
"""Styles of one visitor whose Gram matrices are kept."""
NO_CONTENT = "content: no picture was given; upload one or choose an example"
NO_STYLE = "styles: none is chosen; click a painting or upload a picture"

Update = tuple[Any, ...]


def shown(
    pair: Any = None,
    status: Any = None,
    figures: Any = None,
    strip: Any = None,
    download: Any = None,
    settings: Any = None,
    running: bool | None = None,
) -> Update:
    """New values of the outputs of `transfer`: before/after, status, figures, strip, download, settings and Stop.

    Whatever is None stays as it is.
    """
    halt = None if running is None else gr.update(interactive=running)
    values = (pair, status, figures, strip, download, settings, halt)
    return tuple(gr.skip() if value is None else value for value in values)


def transfer(visit: Visit | None, *values: Any) -> Iterator[Update]:
    """Stylises the content; an optimisation is shown as it goes.

    Ends early, without a word, when another picture has taken the place of this one.
    """
    if visit is None or visit.content is None:
        raise ValueError(NO_CONTENT)
    if not visit.styles and not has_own_style(Controls.of(values).model):
        raise ValueError(NO_STYLE)
    yield shown(status=status_html("Working…"), running=True)
    with suppress(Forgotten):
        yield from _transfer(visit, visit.content, Controls.of(values))


def transfer_live(visit: Visit | None, *values: Any) -> Iterator[Update]:
    """`transfer` for a control that was moved: what is slow or incomplete waits for the button."""
    controls = Controls.of(values)
    if visit is None or visit.content is None:
        yield shown()
    elif not visit.styles and not has_own_style(controls.model):
        yield shown(status=status_html("Choose a style: click a painting or upload a picture."))
    elif is_slow(controls.model):
        yield shown(status=status_html("The optimisation is slow: press Transfer to run it with these settings."))
    elif min(visit.content.longer_side, controls.size or visit.content.longer_side) > LIVE_SIDE:
        text = f"More than {LIVE_SIDE} pixels: press Transfer to use these settings."
        yield shown(status=status_html(text))
    else:
        with suppress(Forgotten):
            yield from _transfer(visit, visit.content, controls)


def _transfer(visit: Visit, content: Picture, controls: Controls) -> Iterator[Update]:
    from zoo.tasks.stylize import GramCache, stylize_steps

    settings = controls.settings(visit)
    masks = assigned(visit.slots, visit.painted, visit.masks)
    arguments = settings.arguments()
    if settings.size is not None:  # the control says how large at most
        arguments["size"] = min(settings.size, content.longer_side)
    slow = is_slow(settings.model)
    if slow:
        yield shown(figures="", strip=[], download=gr.update(value=None, interactive=False), running=True)
    steps = stylize_steps(
        content.image,
        [slot.reference or slot.image for slot in visit.styles],
        masks=masks,
        cache=visit.memory.setdefault("grams", GramCache(OWN_STYLES)),
        **arguments,
    )
    before, after = None, ""
    strip: list[tuple[str, str]] = []
    written, cost = time.perf_counter(), 0.0
    for step in steps:
        if before is None:
            before = _before(visit, content, step)
        if step.measuring:
            after = content.save(step.image, "stylized")
            yield shown(pair=(before, after), status=status_html(summary(step.info)), running=True)
            continue
        if not slow or step.done or step.iteration in STRIP:
            strip.append((_thumbnail(content, step), f"X({step.iteration})"))
        if slow and not step.done:
            pair, start = None, time.perf_counter()
            if cost <= PREVIEW_SHARE * (start - written):
                pair = (before, content.save(step.image, "partial"))
                written = time.perf_counter()
                cost = written - start
            yield shown(pair=pair, status=status_html(under_way(step.info), step.progress), running=True)
    after = after or content.save(step.image, "stylized")
    yield shown(
        pair=(before, after),
        status=status_html(summary(step.info)),
        figures=figures_html(figures(step.info)),
        strip=strip,
        download=gr.update(value=after, interactive=True),
        settings=to_text(step.info.settings, visit.example),
        running=False,
    )


def _before(visit: Visit, content: Picture, step: StylizeStep) -> str:
    """X(0) as PNG: the content at the size of the result; written once for each size and mode."""
    key = (str(content.folder), step.image.size, step.image.mode)
    known = visit.memory.get("before")
    if known is None or known[0] != key:
        known = visit.memory["before"] = (key, content.save(step.image, "content"))
    return str(known[1])


def _thumbnail(content: Picture, step: StylizeStep) -> str:
    image = step.image.copy()
    image.thumbnail((STRIP_SIDE, STRIP_SIDE))
    return content.save(image, f"x{step.iteration}")


def under_way(info: StylizeInfo) -> str:
    """What an optimisation is doing."""
    loss = f", loss {info.loss.total:.3f}" if info.loss is not None else ""
    return f"Optimising: {info.iterations} iterations{loss}"


def summary(info: StylizeInfo) -> str:
    """How long it took, by which engine, and why this one."""
    why = "" if info.reason == "as asked" else f" ({info.reason})"
    work = f"{info.iterations} iterations" if info.iterations > 1 else "one pass"
    return f"Done in {info.seconds:.2f} s by {info.engine}{why}, {work}."


def figures(info: StylizeInfo) -> list[Figure]:
    """The size, and the loss with its parts where it was measured."""
    size = Figure("Size", f"{info.width}×{info.height}", "pixels")
    loss, before = info.loss, info.loss_before
    if loss is None or before is None:
        return [size]
    change = f"from {before.total:.3f}"
    return [
        Figure("Loss L_TV", f"{loss.total:.3f}", change, gain=loss.total < before.total),
        Figure("Style", f"{sum(loss.style):.3f}", f"from {sum(before.style):.3f}"),
        Figure("Content", f"{loss.content:.3f}", "distance at conv4_2"),
        Figure("Variation", f"{loss.tv:.3f}", f"from {before.tv:.3f}"),
        size,
    ]


def stop() -> tuple[str, dict[str, Any]]:
    """What the page says once a transfer was stopped."""
    time.sleep(0.3)  # after the last state that is still on its way to the page
    return status_html("Stopped. The picture is the last one that was shown."), gr.update(interactive=False)


def explain(model: str) -> str:
    """What is to be known of an engine before it is used."""
    if is_slow(model):
        return "Gatys' optimisation is the reference for the networks: any style, and seconds to minutes a picture."
    return {
        "flexible_solver": "A learned solver: any style, mixed and masked, every control, in a few gradient steps.",
        "adain": "One pass, any style: matches mean and deviation of the features. No weights of scales.",
        "wct": "One pass at each scale, any style: matches the covariance of the features. No weights of scales.",
        "johnson": "One pass, one style: the network knows a single painting, and the styles chosen do not matter.",
    }.get(model.split(".")[0], "")


def is_slow(model: str) -> bool:
    """Whether an engine is too slow to follow the controls."""
    return model.split(".")[0] == REFERENCE.split(".")[0]


def has_own_style(model: str) -> bool:
    """Whether an engine knows one style only, its own."""
    return model != AUTO and "style" in registry.info(model).config
