"""The "Photo and video" tab: a photograph or a video in the style of a picture, photorealistic and without flicker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from zoo.gallery import PAINTINGS
from zoo.stylize import ranking
from zoo.stylize.settings import LIMITS

from ..common import guarded, new_folder, result_path
from ..examples import examples
from ..figures import status_html
from ..photo_video import visit as visits
from ..photo_video.clips import CLIPS, clip
from ..photo_video.run import MOST_FRAMES, PHOTO, VIDEO, open_style, run, stop
from ..pictures import open_picture
from ..stylize import paintings
from ..stylize.controls import reference
from ..stylize.handlers import models
from ..tab import Tab
from ..widgets import Image, before_and_after, painting_gallery, start_and_stop

KINDS = [("A photograph", PHOTO), ("A video", VIDEO)]
MODES = [("A painting that moves", "artistic"), ("Still a photograph", "photo")]
WAYS = [("in every step of the engine", "inside"), ("after the engine", "after"), ("not at all", "off")]
HINTS = {
    PHOTO: "Choose a photograph and another one whose colours and light it shall have, and press Stylise.",
    VIDEO: "Choose a video and a style, and press Stylise. Each frame is shown as it is done.",
}
LAM_INFO = "λ_L: how strictly the picture's own lines are kept. 0: not at all."
TEMPORAL_INFO = "λ: how strongly a frame follows the last one."
SIDE = 256
FRAMES = 24
FIRST = "dusk"
STEPS_INFO = "0: all that a solver has; of the optimisation 100, or 60 and 20 for the first and the other frames."


def photo_stylize(
    image: Mapping[str, Any],
    style: Mapping[str, Any] | None = None,
    painting: str = FIRST,
    lam: float = 50,
    model: str = ranking.AUTO,
    size: int = 512,
    steps: int = 0,
) -> tuple[str, dict[str, Any]]:
    """Photo style transfer: the colours and the light of one photograph on another, whose lines stay where they are.

    The style is a picture, or where none is given a painting that is drawn by code, by its name. lam: photorealism, 0
    for none. size: longer side of the result in pixels. steps: 0 for all. Returns a lossless PNG and the record:
    engine, method, loss (L_TV before and after), likeness of the edges, seconds.
    """
    from zoo.tasks.photo_stylize import photo_stylize

    picture = open_picture(image)
    look: Any = open_style(style) if style is not None else reference(painting)
    side = min(int(size or 512), picture.longer_side)
    result, info = photo_stylize(
        picture.image, look, lam=float(lam), model=model, size=side, steps=int(steps) or None, return_info=True
    )
    return picture.save(result, "stylized"), info.to_dict()


def stylize_video(
    video: Mapping[str, Any],
    style: Mapping[str, Any] | None = None,
    painting: str = FIRST,
    mode: str = "artistic",
    temporal_lam: float = 0.37,
    photo_lam: float = 50,
    model: str = ranking.AUTO,
    size: int = SIDE,
    frames: int = FRAMES,
    steps: int = 0,
) -> tuple[str, dict[str, Any]]:
    """Video style transfer: each frame follows the last one's result along optical flow; the sound stays.

    The style is a picture, or where none is given a painting that is drawn by code, by its name. mode: artistic, or
    photo to keep each frame photorealistic. size: longer side in pixels. frames: only the first so many. Returns an
    H.264 MP4 and the record: engine, frames, warping error, seconds.
    """
    from zoo.tasks.stylize_video import stylize_video

    film = visits.open_clip(video)
    look: Any = open_style(style) if style is not None else reference(painting)
    path = result_path(new_folder(), f"{film.stem}-stylized.mp4")
    info = stylize_video(
        film.path,
        path,
        look,
        mode,
        temporal_lam=float(temporal_lam),
        photo_lam=float(photo_lam),
        model=model,
        size=min(int(size or SIDE), max(film.width, film.height)),
        frames=min(MOST_FRAMES, int(frames or FRAMES)),
        steps=int(steps) or None,
    )
    return str(path), info.to_dict() | {"target": Path(path).name}


def warm_up() -> None:
    """Draws the clips; the engines are those of the style tab, which loads them."""
    for label in CLIPS:
        clip(label)


def pick(event: gr.SelectData) -> str:
    """A painting was clicked: it becomes the style."""
    return paintings.shown(reference(list(PAINTINGS)[int(event.index)]), 0)


def switch(kind: str, mode: str, model: str) -> tuple[Any, ...]:
    """Shows what belongs to photographs, or to videos; the best engine for the one becomes the best for the other.

    Photorealism belongs to photographs and to videos that shall be such. An engine that was chosen by hand stays.
    """
    photo = kind == PHOTO
    shown = [gr.update(visible=photo)] * 3 + [gr.update(visible=not photo)] * 5
    engine: tuple[Any, ...] = (gr.skip(), gr.skip())
    if model == ranking.choose(moving=photo).name:
        engine = (ranking.choose(moving=not photo).name, 0)
    return *shown, lam_for(kind, mode), *engine, status_html(HINTS[kind]), ""


def lam_for(kind: str, mode: str) -> dict[str, Any]:
    """Whether photorealism has a slider."""
    return gr.update(visible=kind == PHOTO or mode == "photo")


def build() -> Component:
    """Lays out the tab; returns the choice of the engine."""
    names = models()
    visit = gr.State(delete_callback=visits.leave)
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=300, elem_classes="controls"):
            kind = gr.Radio(KINDS, value=PHOTO, label="What to stylise", elem_id="pv-kind")
            with gr.Column() as photo_inputs:
                image = Image(label="Photograph", height=220, elem_id="pv-image")
                gr.Examples(
                    [[str(example.path)] for example in examples()],
                    image,
                    label="Examples",
                    elem_id="pv-image-examples",
                    api_visibility="private",
                )
            with gr.Column(visible=False) as video_inputs:
                video = gr.Video(label="Video", sources=["upload"], height=220, buttons=[], elem_id="pv-video")
                with gr.Row():
                    drawn = [gr.Button(label, size="sm", min_width=80, elem_classes="pv-clip") for label in CLIPS]
            style = Image(label="Style", height=180, elem_id="pv-style")
            gallery = painting_gallery("pv")
            gr.Examples(
                [[str(example.path)] for example in examples()],
                style,
                label="Photographs as styles",
                elem_id="pv-style-examples",
                api_visibility="private",
            )
            with gr.Group():
                mode = gr.Radio(MODES, value="artistic", label="The result is", visible=False, elem_id="pv-mode")
                lam = gr.Slider(0, 200, 50, step=1, label="Photorealism", info=LAM_INFO, elem_id="pv-lam")
                temporal_lam = gr.Slider(
                    0, 2, 0.37, step=0.01, label="Consistency", info=TEMPORAL_INFO, visible=False, elem_id="pv-temporal"
                )
            with gr.Accordion("Regions", open=False) as regions:
                gr.HTML(
                    status_html("Two maps in the same colours: a region takes after the style's region of its colour."),
                    padding=False,
                )
                with gr.Row(elem_classes="style-slots"):
                    content_map = Image(label="Map of the photograph", height=130, elem_id="pv-content-map")
                    style_map = Image(label="Map of the style", height=130, elem_id="pv-style-map")
            with gr.Accordion("Engine, size and length", open=False, elem_id="pv-more"):
                model = gr.Dropdown(list(names), value=names[0], label="Engine", elem_id="pv-model")
                size = _whole("Size", SIDE, LIMITS["size"], "Longer side of the result in pixels.", "pv-size")
                steps = _whole("Iterations", 0, (0, 300), STEPS_INFO, "pv-steps")
                with gr.Column(visible=False) as length:
                    frames = _whole("Frames", FRAMES, (1, MOST_FRAMES), "Only the first so many.", "pv-frames")
                    temporal = gr.Radio(WAYS, value="inside", label="Consistency acts", elem_id="pv-way")
                    beside = gr.Checkbox(False, label="Original and result side by side", elem_id="pv-beside")
        with gr.Column(scale=7, min_width=320):
            pair = before_and_after("pv", height=560)
            with gr.Column(visible=False) as video_results:
                result = gr.Video(label="Result", interactive=False, height=340, elem_id="pv-result")
                frame = gr.Image(
                    label="Last frame that is done",
                    format="png",
                    type="filepath",
                    interactive=False,
                    height=300,
                    buttons=[],
                    elem_id="pv-frame",
                )
            start, halt = start_and_stop("pv", "Stylise")
            status = gr.HTML(status_html(HINTS[PHOTO]), padding=False, elem_id="pv-status")
            figures = gr.HTML("", padding=False, elem_id="pv-figures")
            download = gr.DownloadButton("Download the result", size="md", interactive=False, elem_id="pv-download")
    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    inputs = [visit, kind, image, video, style, content_map, style_map, mode, lam, temporal_lam, temporal, beside]
    inputs += [model, size, frames, steps]
    outputs = [pair, frame, result, status, figures, download, halt]
    gone = start.click(guarded(visits.arrive), visit, visit, queue=False, **hidden)
    solver: dict[str, Any] = {"concurrency_id": "solver", "concurrency_limit": 2, "preprocess": False}
    ran = gone.success(guarded(run), inputs, outputs, **hidden, **solver)
    ran.failure(lambda: gr.update(interactive=False), None, halt, queue=False, **hidden)
    halt.click(stop, visit, [status, halt], queue=False, **hidden)
    parts = [photo_inputs, pair, regions, video_inputs, video_results, mode, length, temporal_lam, lam]
    kind.change(switch, [kind, mode, model], [*parts, model, steps, status, figures], queue=False, **hidden)
    mode.change(lam_for, [kind, mode], lam, queue=False, **hidden)
    # another engine has another number of iterations
    model.input(lambda: 0, None, steps, queue=False, **hidden)
    for button in drawn:
        button.click(guarded(clip), button, video, **hidden)
    gallery.select(guarded(pick), None, style, **hidden)
    page = gr.context.Context.root_block
    assert page is not None
    page.load(guarded(paintings.thumbnails), None, gallery, **hidden)
    page.load(lambda: paintings.shown(reference(FIRST), 0), None, style, **hidden)
    _endpoints(names)
    return model


def _whole(name: str, value: int, limits: tuple[int, int], about: str | None, place: str) -> gr.Number:
    low, high = limits
    return gr.Number(value, precision=0, minimum=low, maximum=high, label=name, info=about, elem_id=place)


def _endpoints(names: tuple[str, ...]) -> None:
    """The public endpoints: components that say what they take and give, and are never shown."""
    with gr.Row(visible=False):
        image = gr.Image(label="Photograph", format="png", type="filepath", image_mode=None)
        video = gr.Video(label="Video")
        style = gr.Image(label="Style; empty: the painting", format="png", type="filepath", image_mode=None)
        painting = gr.Dropdown(list(PAINTINGS), value=FIRST, label="Painting that is drawn by code")
        mode = gr.Dropdown(["artistic", "photo"], value="artistic", label="What the video shall be")
        lam = gr.Number(50, label="Photorealism")
        temporal_lam = gr.Number(0.37, label="Consistency")
        model = gr.Dropdown([ranking.AUTO, *names], value=ranking.AUTO, label="Engine")
        photo_size = gr.Number(512, precision=0, label="Longer side of the result")
        size = gr.Number(SIDE, precision=0, label="Longer side of the frames")
        frames = gr.Number(FRAMES, precision=0, label="Only the first so many frames")
        steps = gr.Number(0, precision=0, label="Iterations; 0: all")
        picture, record = gr.Image(label="Result", format="png", type="filepath"), gr.JSON(label="Record")
        made = gr.Video(label="Result")
        options: dict[str, Any] = {"preprocess": False, "concurrency_id": "solver", "concurrency_limit": 2}
        gr.Button().click(
            guarded(photo_stylize),
            [image, style, painting, lam, model, photo_size, steps],
            [picture, record],
            api_name="photo",
            **options,
        )
        gr.Button().click(
            guarded(stylize_video),
            [video, style, painting, mode, temporal_lam, lam, model, size, frames, steps],
            [made, record],
            api_name="video",
            **options,
        )


TAB = Tab(
    title="Photo and video",
    slug="photo-video",
    description=(
        "The colours and the light of one photograph on another, with every line where it was; and videos in the style "
        "of a picture that do not flicker. Both are operators that are put into the same engines at run time."
    ),
    models=models(),
    build=build,
    warm_up=warm_up,
    python=(
        "from PIL import Image\nfrom zoo.tasks import photo_stylize, stylize_video\n\n"
        'photo = photo_stylize(Image.open("photo.png"), Image.open("evening.png"), model="{model}")\n'
        'stylize_video("clip.mp4", "stylized.mp4", "gallery:dusk", model="{model}")'
    ),
    cli="zoo photo photo.png --style evening.png --model {model}\n"
    "zoo video clip.mp4 --style gallery:dusk --model {model}",
)
