"""The "Style transfer" tab: a picture, up to four styles, where and how strongly they apply, and the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from zoo.gallery import PAINTINGS
from zoo.stylize import ranking
from zoo.stylize.settings import LIMITS

from ..common import guarded
from ..examples import examples
from ..pictures import forget, open_picture
from ..stylize import handlers, paintings
from ..stylize import visit as visits
from ..stylize.controls import DEFAULT_SIDE, MOST, reference
from ..stylize.handlers import SLUG, models
from ..stylize.layout import region_controls, results, styles
from ..stylize.run import stop, transfer, transfer_live
from ..stylize.visit import FIRST_PAINTING, Visit
from ..tab import Tab
from ..widgets import Image

SCALE_NAMES = ("Finest strokes", "Fine", "Medium", "Coarse", "Coarsest shapes")
COLOURS = [("The style's", "style"), ("The picture's own", "content")]
INTENSITY_INFO = "0 leaves the picture as it is, 1 is the strength of the training."
SIZE_INFO = "Longer side of the result in pixels; smaller pictures stay as they are."
STYLE_SIZE_INFO = "Longer side of the styles; smaller makes finer strokes. 0: as they are."
STEPS_INFO = "0: all that a solver has, 100 for the optimisation."
COPY_LINK = """(text) => { navigator.clipboard.writeText(
    location.origin + location.pathname + "?stylize=" + encodeURIComponent(text)); }"""


def label(name: str) -> str:
    """What an engine is called on the page."""
    return f"{name}, reference (slow)" if name.split(".")[0] == "gatys" else name


def stylize(
    image: Mapping[str, Any],
    style: Mapping[str, Any] | None = None,
    painting: str = "night_sky",
    model: str = ranking.AUTO,
    intensity: float = 1,
    color: str = "style",
    size: int = DEFAULT_SIDE,
    seed: int = 0,
) -> tuple[str, dict[str, Any]]:
    """Style transfer: the content of one picture in the style of another.

    The style is a picture, or where none is given a painting that is drawn by code, by its name. intensity: 0 leaves
    the picture as it is, 1 is usual. color: style, or content to keep the picture's own colours. size: longer side of
    the result in pixels, at most that of the picture. seed: of the painting. Returns a lossless PNG and the record:
    engine, reason, settings, loss (L_TV in parts, before and after), iterations, seconds.
    """
    from zoo.tasks.stylize import stylize

    picture = open_picture(image)
    given: Any = reference(painting)
    if style is not None:
        opened = open_picture(style)
        forget(opened)
        given = opened.image
    limit = min(int(size or DEFAULT_SIDE), picture.longer_side)
    result, record = stylize(
        picture.image,
        given,
        intensity=intensity,
        color=color,
        size=limit,
        seed=int(seed or 0),
        model=model,
        return_info=True,
    )
    return picture.save(result, "stylized"), record.to_dict()


def warm_up() -> None:
    """Paints the gallery, and loads the first engine and runs it once."""
    from PIL import Image

    from zoo.tasks.stylize import stylize

    paintings.thumbnails()
    paintings.shown(FIRST_PAINTING, 0)
    name = models()[0]
    steps = 1 if name.split(".")[0] == "gatys" else None
    stylize(Image.effect_noise((64, 64), 25), FIRST_PAINTING, model=name, steps=steps)
    for painting in PAINTINGS:  # so that a click on one need not wait for the brush
        paintings.shown(reference(painting), 0)


def build() -> Component:
    """Lays out the tab; returns the choice of the engine."""
    names = models()
    handles = _handles()
    visit = gr.State(delete_callback=visits.leave)
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=300, elem_classes="controls"):
            content = Image(label="Picture", height=220, elem_id="style-content")
            chosen = gr.Examples(
                [[str(example.path)] for example in examples()],
                content,
                label="Examples",
                elem_id="style-content-examples",
                api_visibility="private",
            )
            gallery, slot, slots, weights = styles()
            with gr.Group():
                intensity = gr.Slider(
                    0, MOST, 1, step=0.05, label="Intensity", info=INTENSITY_INFO, elem_id="style-intensity"
                )
                color = gr.Radio(COLOURS, value="style", label="Colours", elem_id="style-color")
            with gr.Accordion("Scales of style", open=False):
                scales = [
                    gr.Slider(0, MOST, 1, step=0.05, label=name, elem_id=f"style-scale-{number}")
                    for number, name in enumerate(SCALE_NAMES, 1)
                ]
            with gr.Accordion("Regions", open=False, elem_id="style-regions"):
                canvas, masks, erase = region_controls()
            model = gr.Dropdown(
                [(label(name), name) for name in names], value=names[0], label="Engine", elem_id="style-model"
            )
            note = gr.HTML(handlers.engine_note(names[0]), padding=False, elem_id="style-note")
            with gr.Accordion("Size, seed and iterations", open=False):
                size = _whole("Size", DEFAULT_SIDE, LIMITS["size"], SIZE_INFO, "style-size")
                style_size = _whole("Style size", 0, (0, LIMITS["style_size"][1]), STYLE_SIZE_INFO, "style-style-size")
                steps = _whole("Iterations", 0, (0, 300), STEPS_INFO, "style-steps")
                seed = _whole("Seed of the paintings", 0, (0, 2**31 - 1), None, "style-seed")
        with gr.Column(scale=7, min_width=320):
            pair, start, halt, status, figures, strip, download, text, apply, link = results()
    values = [*weights, *scales, intensity, color, size, style_size, steps, seed, model]
    inputs = [visit, *values]
    outputs = [pair, status, figures, strip, download, text, halt]
    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    solver: dict[str, Any] = hidden | {"concurrency_id": "solver", "concurrency_limit": 2}
    latest: dict[str, Any] = solver | {"trigger_mode": "always_last"}
    opening: dict[str, Any] = hidden | {"preprocess": False}
    live = guarded(transfer_live)

    def then_live(event: Any) -> Any:
        """What changes the page by itself is followed by a run, as if a control had been moved."""
        return event.success(live, inputs, outputs, trigger_mode="multiple", **solver)

    opened = [content.upload, chosen.load_input_event.then]
    runs = [
        then_live(on(guarded(handlers.open_content), [content, visit], [visit, canvas], **opening)) for on in opened
    ]
    for index, (image, mask) in enumerate(zip(slots, masks, strict=True)):
        for component, put, take in (
            (image, visits.with_style, visits.without_style),
            (mask, visits.with_mask, visits.without_mask),
        ):
            runs.append(then_live(component.upload(_at(put, index), [component, visit], visit, **opening)))
            runs.append(then_live(component.clear(_at(take, index), visit, visit, **hidden)))
    runs.append(then_live(gallery.select(guarded(handlers.pick), [slot, seed, visit], [visit, *slots], **hidden)))
    runs.append(then_live(erase.click(guarded(handlers.clear_regions), visit, [visit, canvas, *masks], **hidden)))
    painted = start.click(guarded(handlers.take_regions), [canvas, visit], visit, **opening)
    runs.append(painted.success(guarded(transfer), inputs, outputs, **solver))
    content.clear(
        handlers.clear, visit, [visit, canvas, pair, status, figures, strip, download], cancels=runs, **hidden
    )

    for control in (*weights, *scales, intensity, color, size, style_size, steps):
        control.input(live, inputs, outputs, **latest)  # type: ignore[attr-defined]
    # another engine has another number of iterations
    then_live(model.input(lambda: 0, None, steps, **hidden))
    then_live(seed.input(guarded(handlers.repaint), [seed, visit], slots, **hidden))
    model.change(guarded(handlers.engine_note), model, note, queue=False, **hidden)
    applied = [visit, content, canvas, *slots, *values, status]
    runs.append(then_live(apply.click(guarded(handlers.apply_text), [text, visit], applied, **hidden)))
    link.click(None, text, None, js=COPY_LINK, **hidden)
    page = gr.context.Context.root_block
    assert page is not None
    page.load(paintings.thumbnails, None, gallery, **hidden)
    page.load(guarded(paintings.thumbnails), None, gallery, **hidden)
    then_live(page.load(guarded(handlers.arrive), visit, [handles, *applied], **hidden))
    stopped = halt.click(stop, None, [status, halt], cancels=runs, queue=False, **hidden)
    stopped.then(stop, None, [status, halt], queue=False, **hidden)  # a last state may have been under way
    _endpoint(names)
    return model


def _at(change: Callable[..., Visit], index: int) -> Callable[..., Visit]:
    """A change of one of the four styles or masks, as a handler."""

    @guarded
    def handler(*arguments: Any) -> Visit:
        return change(index, *arguments)

    return handler


def _whole(name: str, value: int, limits: tuple[int, int], about: str | None, place: str) -> gr.Number:
    low, high = limits
    return gr.Number(value, precision=0, minimum=low, maximum=high, label=name, info=about, elem_id=place)


def _handles() -> Any:
    """The row of handles that this tab is one of, for a link to choose it."""
    block: Any = gr.context.Context.block
    while block is not None and not isinstance(block, gr.Tabs):
        block = block.parent
    return gr.State() if block is None else block


def _endpoint(names: tuple[str, ...]) -> None:
    """The public endpoint `/stylize`: components that say what it takes and gives, and are never shown."""
    with gr.Row(visible=False):
        image = gr.Image(label="Picture", format="png", type="filepath", image_mode=None)
        style = gr.Image(label="Style; empty: the painting", format="png", type="filepath", image_mode=None)
        painting = gr.Dropdown(list(PAINTINGS), value="night_sky", label="Painting that is drawn by code")
        model = gr.Dropdown([ranking.AUTO, *names], value=ranking.AUTO, label="Engine")
        intensity = gr.Number(1, label="Intensity")
        color = gr.Dropdown(["style", "content"], value="style", label="Whose colours")
        size = gr.Number(DEFAULT_SIDE, precision=0, label="Longer side of the result")
        seed = gr.Number(0, precision=0, label="Seed of the painting")
        result = gr.Image(label="Result", format="png", type="filepath")
        record = gr.JSON(label="Record")
        gr.Button().click(
            guarded(stylize),
            [image, style, painting, model, intensity, color, size, seed],
            [result, record],
            preprocess=False,
            api_name="stylize",
            concurrency_id="solver",
            concurrency_limit=2,
        )


TAB = Tab(
    title="Style transfer",
    slug=SLUG,
    description=(
        "The content of one picture in the style of others, up to four of them, mixed or each in its region. The loss "
        "L_TV says how near the result comes to the styles' Gram matrices, to the content and to a smooth picture."
    ),
    models=models(),
    build=build,
    warm_up=warm_up,
    python=(
        "from PIL import Image\nfrom zoo.tasks import stylize\n\n"
        'picture = stylize(Image.open("photo.png"), [Image.open("painting.png")], model="{model}")'
    ),
    cli="zoo stylize photo.png --style painting.png --model {model} -o painted.png",
)
