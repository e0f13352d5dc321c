"""The "Texture super-resolution" tab: a small picture of a texture, a sharp one of a similar texture, the result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from zoo.superres import ranking
from zoo.superres.settings import LAM, SCALES

from .. import superres as handlers
from ..common import guarded
from ..examples import textures
from ..figures import status_html
from ..pictures import forget, open_picture
from ..superres import GUIDES, HINT, LARGE, MOST_PIXELS, OTHER, REST, SIDE, SOURCES
from ..tab import Tab
from ..widgets import Image, Strip, before_and_after, start_and_stop

SIDE_INFO = "Pixels of its middle that are made small and found again, so that the result can be measured."
INTENSITY_INFO = "How much the reference counts."
LAM_INFO = "How exactly the result, made small again, is the input."
STEPS_INFO = "0: all that a solver has, 30 for the optimisation."


def superres(
    image: Mapping[str, Any],
    reference: Mapping[str, Any] | None = None,
    scale: int = 3,
    model: str = ranking.AUTO,
    lam: float = LAM,
    intensity: float = 1,
    steps: int = 0,
) -> tuple[str, dict[str, Any]]:
    """Texture super-resolution: a small picture of a texture, enlarged so that it has the details of a reference.

    The reference is a sharp picture of a similar texture; without one the result is not guided. scale: 2, 3 or 4.
    model: auto, bicubic, or an engine of the list; srcnn and bicubic take no reference. lam: weight of the data.
    intensity: weight of the reference. steps: iterations, 0 for the usual number. Returns a lossless PNG and the
    record: model, reason, guided, iterations, seconds, objective, residual.
    """
    from zoo.tasks.superres import texture_super_resolve

    picture = open_picture(image)
    guide = None
    if reference is not None:
        opened = open_picture(reference)
        forget(opened)
        guide = opened.image
    iterating = ranking.takes_reference(model)
    result, info = texture_super_resolve(
        picture.image,
        guide,
        int(scale or 3),
        model=model,
        lam=LAM if lam is None else lam,
        intensity=1.0 if intensity is None else intensity,
        steps=int(steps or 0) or None,
        max_pixels=MOST_PIXELS if iterating else None,
        return_info=True,
    )
    return picture.save(result, f"x{info.scale}"), info.to_dict()


def warm_up() -> None:
    """Runs every engine once on a small picture."""
    from PIL import Image as PIL

    from zoo.tasks.superres import texture_super_resolve

    picture = PIL.effect_noise((16, 16), 25)
    for name in handlers.models():
        texture_super_resolve(picture, model=name, steps=1)


def build() -> Component:
    """Lays out the tab; returns the choice of the engine."""
    names = handlers.models()
    session, guiding = gr.State(delete_callback=forget), gr.State(delete_callback=forget)
    examples = [[str(example.path)] for example in textures()]
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=300, elem_classes="controls"):
            upload = Image(label="Picture", height=200, elem_id="superres-picture")
            chosen = gr.Examples(
                examples, upload, label="Examples", elem_id="superres-picture-examples", api_visibility="private"
            )
            with gr.Group():
                source = gr.Radio(SOURCES, value=LARGE, label="The picture is", elem_id="superres-source")
                side = gr.Slider(60, 480, SIDE, step=12, label="Part of it", info=SIDE_INFO, elem_id="superres-side")
            guide = gr.Radio(GUIDES[LARGE], value=REST, label="Guided by", elem_id="superres-guide")
            with gr.Column(visible=False, elem_id="superres-reference-column") as column:
                reference = Image(label="Reference, sharp", height=160, elem_id="superres-reference")
                similar = gr.Examples(
                    examples,
                    reference,
                    label="Examples of references",
                    elem_id="superres-reference-examples",
                    api_visibility="private",
                )
            with gr.Group():
                scale = gr.Radio(
                    [(f"×{number}", number) for number in SCALES], value=3, label="Enlarge", elem_id="superres-scale"
                )
                model = gr.Dropdown(
                    [(handlers.label(name), name) for name in names],
                    value=names[0],
                    label="Engine",
                    elem_id="superres-model",
                )
            with gr.Accordion("Advanced", open=False):
                intensity = gr.Slider(
                    0, 5, 1, step=0.1, label="Intensity", info=INTENSITY_INFO, elem_id="superres-intensity"
                )
                lam = gr.Slider(0, 200, LAM, step=1, label="Data weight λ", info=LAM_INFO, elem_id="superres-lam")
                steps = gr.Slider(0, 200, 0, step=1, label="Iterations", info=STEPS_INFO, elem_id="superres-steps")
            start, halt = start_and_stop("superres", "Enlarge")
        with gr.Column(scale=7, min_width=320):
            pair = before_and_after("superres", "Bicubic interpolation and result")
            status = gr.HTML(status_html(HINT), padding=False, elem_id="superres-status")
            figures = gr.HTML("", padding=False, elem_id="superres-figures")
            close = Strip(label="Close up", columns=4, elem_id="superres-close")
            download = gr.DownloadButton(
                "Download the result (PNG)", size="md", interactive=False, elem_id="superres-download"
            )
    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    solver: dict[str, Any] = hidden | {"concurrency_id": "solver", "concurrency_limit": 2}
    opening: dict[str, Any] = hidden | {"preprocess": False}
    uploaded = upload.upload(guarded(handlers.open_upload), [upload, session], [session, status], **opening)
    uploaded.failure(lambda: None, None, upload, queue=False, **hidden)
    picked = [upload, session], [session, status, source]
    chosen.load_input_event.then(guarded(handlers.open_example), *picked, **opening)
    for event in (reference.upload, similar.load_input_event.then):
        event(guarded(handlers.open_reference), [reference, guiding], guiding, **opening)
    reference.clear(handlers.without_reference, guiding, guiding, **hidden)
    settings = [session, guiding, source, guide, side, scale, model, intensity, lam, steps]
    run = start.click(guarded(handlers.enlarge), settings, [pair, status, figures, close, download, halt], **solver)
    upload.clear(
        handlers.without_picture, session, [session, pair, status, figures, close, download], cancels=[run], **hidden
    )
    for control in (source, model):
        control.change(handlers.choices, [source, model], [guide, side], queue=False, **hidden)
    guide.change(lambda value: gr.update(visible=value == OTHER), guide, column, queue=False, **hidden)
    stopped = halt.click(handlers.stop, None, [status, halt], cancels=[run], queue=False, **hidden)
    stopped.then(handlers.stop, None, [status, halt], queue=False, **hidden)  # a last state may have been under way
    _endpoint(names)
    return model


def _endpoint(names: tuple[str, ...]) -> None:
    """The public endpoint `/superres`: components that say what it takes and gives, and are never shown."""
    with gr.Row(visible=False):
        image = gr.Image(label="Small picture", format="png", type="filepath", image_mode=None)
        reference = gr.Image(label="Reference; empty: not guided", format="png", type="filepath", image_mode=None)
        scale = gr.Dropdown(list(SCALES), value=3, label="How many times as large")
        model = gr.Dropdown([ranking.AUTO, ranking.BICUBIC, *names], value=ranking.AUTO, label="Engine")
        lam = gr.Number(LAM, label="Weight of the data")
        intensity = gr.Number(1, label="Weight of the reference")
        steps = gr.Number(0, precision=0, label="Iterations; 0: the usual number")
        result = gr.Image(label="Result", format="png", type="filepath")
        record = gr.JSON(label="Record")
        gr.Button().click(
            guarded(superres),
            [image, reference, scale, model, lam, intensity, steps],
            [result, record],
            preprocess=False,
            api_name="superres",
            concurrency_id="solver",
            concurrency_limit=2,
        )


TAB = Tab(
    title="Texture super-resolution",
    slug="superres",
    description=(
        "Enlarges a picture of a texture. Made small again the result is the input, and its Gram matrices are those of "
        "a sharp picture of a similar texture, from which it takes the details that the input has lost: they look "
        "right, and are invented."
    ),
    models=handlers.models(),
    build=build,
    warm_up=warm_up,
    python=(
        "from PIL import Image\nfrom zoo.tasks import texture_super_resolve\n\n"
        'large = texture_super_resolve(Image.open("small.png"), scale=3, model="{model}")'
    ),
    cli="zoo superres small.png --scale 3 --model {model} -o large.png",
)
