"""What happens on the "Texture super-resolution" tab: pictures come and go, one is enlarged, and looked at closely."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from zoo.superres import ranking

from .figures import Figure, figures_html, status_html
from .pictures import Forgotten, Picture, forget, open_picture

if TYPE_CHECKING:
    from PIL.Image import Image

    from zoo.tasks.superres import SuperResolveInfo

SMALL, LARGE = "small", "large"
SOURCES = [("small: enlarge it", SMALL), ("large: make a small one from it", LARGE)]
REST, OTHER, NONE = "rest", "other", "none"
GUIDES = {
    SMALL: [("A reference", OTHER), ("Nothing", NONE)],
    LARGE: [("The other half of the picture", REST), ("A reference", OTHER), ("Nothing", NONE)],
}
SIDE = 180
"""Pixels of a large picture's part that is made small; the optimisation then takes seconds."""
MOST_PIXELS = 1_200_000
WINDOW = 60
"""Side of what is looked at closely, in pixels of the result."""
CLOSE_SIDE = 300
"""Least side of a picture that is shown to be looked at closely."""
SHOWN_SIDE = 480
"""Smaller results are shown magnified by a whole number, without smoothing."""
PREVIEW_SHARE = 0.25
"""A partial result is shown only while writing it takes less than this share of the time."""
HINT = "Upload a picture of a texture or choose an example, and press Enlarge."
NO_PICTURE = "image: no picture was given; upload one or choose an example"
NO_REFERENCE = "reference: none was given; upload one, choose an example, or let nothing guide"

Update = tuple[Any, ...]


@dataclass(frozen=True)
class Problem:
    """What is enlarged, and what is known of the result."""

    low: Image
    reference: Image | None
    truth: Image | None


def models() -> tuple[str, ...]:
    """The engines that are installed, the one of "auto" first. Interpolation is what each is compared with."""
    return tuple(entry.name for entry in ranking.installed())


def label(name: str) -> str:
    """What an engine is called on the page."""
    kind, _, tag = name.partition(".")
    known = {
        "gatys": "Optimisation: can be guided, takes seconds",
        "flexible_solver": f"Flexible solver {tag}: can be guided",
        "srcnn": f"SRCNN, trained for {tag.replace('_', ', ')} degradation: one pass",
    }
    return known.get(kind, name)


def shown(
    pair: Any = None,
    status: Any = None,
    figures: Any = None,
    close: Any = None,
    download: Any = None,
    running: bool | None = None,
) -> Update:
    """New values of the outputs of `enlarge`: before/after, status, figures, close-ups, download and Stop.

    Whatever is None stays as it is.
    """
    halt = None if running is None else gr.update(interactive=running)
    return tuple(gr.skip() if value is None else value for value in (pair, status, figures, close, download, halt))


def open_upload(payload: Mapping[str, Any] | None, last: Picture | None) -> tuple[Picture, str]:
    """A visitor's picture in place of the last one, and a word that it is there."""
    picture = open_picture(payload)
    forget(last)
    return picture, status_html(
        f"The picture has {picture.image.width} × {picture.image.height} pixels: press Enlarge."
    )


def open_example(payload: Mapping[str, Any] | None, last: Picture | None) -> tuple[Picture, str, str]:
    """An example: it is large."""
    return *open_upload(payload, last), LARGE


def open_reference(payload: Mapping[str, Any] | None, last: Picture | None) -> Picture:
    """Another reference in place of the last one."""
    return open_upload(payload, last)[0]


def choices(source: str, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What can guide, and whether the size of the part matters."""
    guides = GUIDES[source] if ranking.takes_reference(model) else GUIDES[source][-1:]
    return gr.update(choices=guides, value=guides[0][1]), gr.update(visible=source == LARGE)


def without_picture(picture: Picture | None) -> tuple[Any, ...]:
    """Forgets the picture and empties the results."""
    forget(picture)
    return None, None, status_html(HINT), "", [], gr.update(value=None, interactive=False)


def without_reference(picture: Picture | None) -> None:
    """Forgets the reference."""
    forget(picture)


def problem(picture: Picture, reference: Picture | None, source: str, guide: str, side: int, scale: int) -> Problem:
    """What the controls ask for.

    Raises:
        ValueError: no reference where one is to guide, or a picture without room for two halves.
    """
    from zoo.superres.shrink import shrink

    if guide == OTHER and reference is None:
        raise ValueError(NO_REFERENCE)
    image = picture.image
    other = reference.image if reference is not None and guide == OTHER else None
    if source == SMALL:
        return Problem(image, other, None)
    if guide == REST:
        if max(image.size) < 2 * min(side, 48):
            raise ValueError(f"image: {image.width} × {image.height} is too small to be its own reference")
        image, other = _halves(image)
    low, truth = shrink(_middle(image, side), scale)
    return Problem(low, other, truth)


def enlarge(
    picture: Picture | None,
    reference: Picture | None,
    source: str,
    guide: str,
    side: float,
    scale: int,
    model: str,
    intensity: float,
    lam: float,
    steps: float,
) -> Iterator[Update]:
    """Enlarges the picture; an optimisation is shown as it goes.

    Ends early, without a word, when another picture has taken the place of this one.
    """
    if picture is None:
        raise ValueError(NO_PICTURE)
    task = problem(picture, reference, source, guide, int(side), int(scale))
    nothing = gr.update(value=None, interactive=False)
    yield shown(status=status_html("Enlarging…", 0), figures="", close=[], download=nothing, running=True)
    with suppress(Forgotten):
        yield from _enlarge(picture, task, int(scale), model, intensity, lam, int(steps or 0))


def _enlarge(
    picture: Picture, task: Problem, scale: int, model: str, intensity: float, lam: float, steps: int
) -> Iterator[Update]:
    from zoo.tasks.superres import texture_super_resolve_steps

    iterating = ranking.takes_reference(model)
    states = texture_super_resolve_steps(
        task.low,
        task.reference,
        scale,
        model=model,
        intensity=intensity,
        lam=lam,
        steps=steps or None if iterating else None,
        truth=task.truth,
        max_pixels=MOST_PIXELS if iterating else 24_000_000,
    )
    first: Image | None = None
    written, cost = time.perf_counter(), 0.0
    for step in states:
        if first is None:
            first = _interpolated(task.low, scale) if not iterating else step.image
            before = picture.save(_magnified(first), "bicubic-shown")
        if not step.done:
            pair, start = None, time.perf_counter()
            if cost <= PREVIEW_SHARE * (start - written):
                pair = (before, picture.save(_magnified(step.image), "partial"))
                written = time.perf_counter()
                cost = written - start
            yield shown(pair=pair, status=status_html(under_way(step.info), step.progress), running=True)
    assert first is not None
    after = picture.save(step.image, f"x{scale}")
    yield shown(
        pair=(before, picture.save(_magnified(step.image), "shown")),
        status=status_html(summary(step.info)),
        figures=figures_html(figures(step.info)),
        close=close_ups(picture, first, step.image, task),
        download=gr.update(value=after, interactive=True),
        running=False,
    )


def close_ups(picture: Picture, bicubic: Image, result: Image, task: Problem) -> list[tuple[str, str]]:
    """The middle of interpolation, result, truth and reference, magnified: path and caption."""
    found = {"Bicubic": bicubic, "Result": result, "Truth": task.truth, "Reference": task.reference}
    return [
        (picture.save(_magnified(_middle(image, WINDOW), CLOSE_SIDE), f"close-{name.lower()}"), name)
        for name, image in found.items()
        if image is not None
    ]


def figures(info: SuperResolveInfo) -> list[Figure]:
    """The quality where the truth is known, how well the data are met, and the size."""
    found = []
    for name, value, before in (
        ("PSNR", info.psnr, info.psnr_bicubic),
        ("Gram SNR", info.gram_snr, info.gram_snr_bicubic),
    ):
        if value is not None and before is not None:
            found.append(Figure(name, f"{value:.2f}", f"dB, bicubic {before:.2f}", gain=value > before))
    found.append(Figure("Residual", f"{info.residual:.2f}", "of 255, made small again"))
    found.append(Figure("Size", f"{info.width}×{info.height}", f"{info.scale} times as large"))
    return found


def summary(info: SuperResolveInfo) -> str:
    """How long it took, by which engine, and what guided it."""
    if info.lam is None:
        return f"Enlarged in {info.seconds:.2f} s by {info.model}."
    guided = "guided by the reference" if info.guided else "without a reference"
    return f"Enlarged in {info.seconds:.1f} s by {info.model}, {guided}, {info.iterations} iterations."


def under_way(info: SuperResolveInfo) -> str:
    """What is going on between two states."""
    value = f", objective {info.objective:.3f}" if info.objective is not None else ""
    return f"Enlarging: iteration {info.iterations}{value}"


def stop() -> tuple[str, dict[str, Any]]:
    """What the page says once it was stopped."""
    time.sleep(0.3)  # after the last state that is still on its way to the page
    return status_html("Stopped. The picture is the last one that was shown."), gr.update(interactive=False)


def _interpolated(low: Image, scale: int) -> Image:
    from zoo.tasks.superres import texture_super_resolve

    made: Image = texture_super_resolve(low, scale=scale, model=ranking.BICUBIC)
    return made


def _halves(image: Image) -> tuple[Image, Image]:
    width, height = image.size
    if width >= height:
        return image.crop((0, 0, width // 2, height)), image.crop((width // 2, 0, width, height))
    return image.crop((0, 0, width, height // 2)), image.crop((0, height // 2, width, height))


def _middle(image: Image, side: int) -> Image:
    width, height = (min(side, length) for length in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _magnified(image: Image, side: int = SHOWN_SIDE) -> Image:
    times = -(-side // max(image.size))
    return image if times <= 1 else image.resize((image.width * times, image.height * times), 0)
