"""The "Restore" tab: a picture with holes painted into it, without colour or too small, and a prior that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.components import Component

from ..common import guarded, new_folder
from ..damaged import damaged
from ..figures import Figure, figures_html, status_html
from ..latents import FRAMES, latent_models, latents_panel
from ..pictures import MAX_PIXELS, Forgotten, Picture, forget, open_picture
from ..tab import Tab
from ..widgets import Image as GivenImage
from ..widgets import before_and_after, start_and_stop

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from zoo.tasks.restore import RestoreInfo

KINDS = [
    ("Fill in holes", "inpaint"),
    ("Give colour", "colourise"),
    ("Repair JPEG", "jpeg"),
    ("Take off noise", "denoise"),
]
SIZES = [("as it is", ""), ("×2", "x2"), ("×4", "x4"), ("×8", "x8")]
PAINTED, UPLOADED = "painted", "uploaded"
HOLES = [
    ("What is painted", PAINTED),
    ("An uploaded mask", UPLOADED),
    ("Square in the centre", "centre"),
    ("Right half", "half"),
    ("95 % of the pixels", "random95"),
]
SECONDS = 5
MOST_SECONDS = 120
HINT = "Upload a picture or take an example, paint over what is missing, and press Restore."
UNTRAINED = (
    "No trained prior is installed here: the deep image prior below needs no training, and knows nothing but that "
    "pictures are smooth and repeat themselves. It fills scratches and text, not faces."
)
TRAINED = (
    "A trained prior knows one kind of picture: faces, or bedrooms. Of others it makes the nearest it knows, faces "
    "where there are none; for these take a deep image prior (dip), which needs no training."
)
MASK_COLOUR = "#00b894"

Update = tuple[Any, ...]


def models() -> tuple[str, ...]:
    """The priors that are installed, the best one first."""
    from zoo.restore.choice import ranked

    return ranked()


def shown(
    pair: Any = None, status: Any = None, figures: Any = None, download: Any = None, running: bool | None = None
) -> Update:
    """New values of the outputs of `solve`: before/after, status, figures, download and Stop; None: as it is."""
    halt = None if running is None else gr.update(interactive=running)
    return tuple(gr.skip() if value is None else value for value in (pair, status, figures, download, halt))


def opened(canvas: Mapping[str, Any] | None) -> Picture:
    """The picture on the canvas.

    Raises:
        ValueError: there is none, or it is too large.
    """
    image = (canvas or {}).get("background")
    if image is None:
        raise ValueError("image: no picture was given; upload one")
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(
            f"image: {image.width} × {image.height} is too large; {MAX_PIXELS / 1e6:g} megapixels can be taken"
        )
    return Picture(image.convert("RGB"), "picture", 0.0, new_folder())


def painted_holes(canvas: Mapping[str, Any], width: int, height: int) -> np.ndarray | None:
    """Where a visitor has painted, bool (height, width); None for nowhere.

    The browser may send layers of another size than the picture: they are scaled to it.
    """
    import numpy as np
    from PIL import Image

    holes = np.zeros((height, width), bool)
    for layer in canvas.get("layers") or ():
        alpha = layer.convert("RGBA").getchannel("A")
        if alpha.size != (width, height):
            alpha = alpha.resize((width, height), Image.Resampling.NEAREST)
        holes |= np.asarray(alpha) > 0
    return holes if holes.any() else None


def uploaded_holes(file: str | None, width: int, height: int) -> np.ndarray:
    """A mask from a file, bright where pixels are missing, scaled to the picture: bool (height, width)."""
    import numpy as np
    from PIL import Image

    if not file:
        raise ValueError("mask: no file was given; upload one, or paint")
    mask = open_picture({"path": file, "orig_name": Path(file).name})
    try:
        grey = mask.image.convert("L").resize((width, height), Image.Resampling.NEAREST)
        return np.asarray(grey) > 127
    finally:
        forget(mask)


def before(image: Image, degradation: str, holes: np.ndarray | None, size: tuple[int, int]) -> Image:
    """The evidence as it is shown beside the result: holes grey, colour gone, at the size of the result."""
    import numpy as np
    from PIL import Image as PIL

    pixels = np.asarray(image.convert("RGB")).copy()
    if "colourise" in degradation:
        pixels[:] = pixels.mean(-1, keepdims=True).round().astype(np.uint8)
    if holes is not None:
        pixels[holes] = 128
    made = PIL.fromarray(pixels)
    return made if made.size == size else made.resize(size, PIL.Resampling.BICUBIC)


def words(kinds: list[str], enlarge: str) -> str:
    """The degradation as `zoo.tasks.restore` takes it.

    Raises:
        ValueError: nothing was chosen.
    """
    chosen = [*(kinds or []), *([enlarge] if enlarge else [])]
    if not chosen:
        raise ValueError("task: choose at least one thing that happened to the picture")
    return "+".join(chosen)


def solve(
    canvas: Mapping[str, Any] | None,
    mask: str | None,
    kinds: list[str],
    enlarge: str,
    source: str,
    frame: str,
    model: str,
    seconds: float,
    seed: float,
) -> Iterator[Update]:
    """Restores what is on the canvas; the result is shown as it gets better."""
    degradation = words(kinds, enlarge)
    picture = opened(canvas)
    width, height = picture.image.size
    hole: Any = None
    if "inpaint" in degradation:
        if source == PAINTED:
            hole = painted_holes(canvas or {}, width, height)
            if hole is None:
                raise ValueError("mask: nothing was painted; paint over what is missing, or choose other holes")
        else:
            hole = uploaded_holes(mask, width, height) if source == UPLOADED else source
    yield shown(status=status_html("Restoring…", 0), figures="", running=True)
    with suppress(Forgotten):
        yield from _solve(picture, degradation, hole, frame, model, seconds, int(seed or 0))


def _solve(
    picture: Picture, degradation: str, hole: Any, frame: str, model: str, seconds: float, seed: int
) -> Iterator[Update]:
    from zoo.restore.masks import preset
    from zoo.tasks.restore import restore_steps

    width, height = picture.image.size
    budget = min(max(float(seconds), 0.5), MOST_SECONDS)
    steps = restore_steps(picture.image, degradation, hole, model, seconds=budget, seed=seed, box=frame, every=0.7)
    where = preset(hole, height, width, seed).numpy() if isinstance(hole, str) else hole
    first = None
    for step in steps:
        if first is None:
            first = picture.save(before(picture.image, degradation, where, step.image.size), "before")
        after = picture.save(step.image, "restored" if step.done else "partial")
        if not step.done:
            text = f"Restoring: step {step.info.steps}, energy {step.info.energy:.1e}"
            yield shown(pair=(first, after), status=status_html(text, step.progress), running=True)
    text = f"Restored in {step.info.seconds:.1f} s by {step.info.model}."
    yield shown(
        pair=(first, after),
        status=status_html(text),
        figures=figures_html(facts(step.info)),
        download=gr.update(value=after, interactive=True),
        running=False,
    )


def facts(info: RestoreInfo) -> list[Figure]:
    """How the result came about."""
    left, top, width, height = info.box
    turned = f", turned by {info.angle:.0f}°" if info.angle else ""
    start = "from the encoder's start" if info.start == "encoder" else f"seed {info.seed}"
    return [
        Figure("Steps", str(info.steps), start),
        Figure("Energy", f"{info.energy:.2e}", "error of the evidence"),
        Figure("Seen by the prior", f"{width}×{height}", f"from {left}, {top}{turned}"),
    ]


def stop() -> tuple[str, dict[str, Any]]:
    """What the page says once a restoration was stopped."""
    return status_html("Stopped. The picture is the best that was found so far."), gr.update(interactive=False)


def example(index: int) -> tuple[Any, ...]:
    """The canvas and the settings of an example."""
    one = damaged()[index]
    names = models()
    # a prior of faces for faces; for the rest the quickest that needs no training
    model = next((name for name in names if name.startswith("dip.") != one.face), names[0])
    return one.canvas(MASK_COLOUR), list(one.kinds), one.enlarge, PAINTED, model


def restore(
    image: Mapping[str, Any],
    task: str = "inpaint",
    mask: Mapping[str, Any] | None = None,
    model: str | None = None,
    seconds: float = SECONDS,
    seed: int = 0,
    box: str = "auto",
) -> tuple[str, dict[str, Any]]:
    """Restoration with an image prior: the image, among those that the prior can make, that explains the evidence best.

    task: inpaint, colourise, x2, x4, x8, jpeg, denoise, or several joined by +. mask, for inpaint: a picture as large
    as the image, bright where pixels are missing; none: a square in the centre. box, what a trained prior sees: auto
    (the face, if there is one), square or face. Returns a lossless PNG and the record: model, steps, seconds, energy,
    box, angle, start.
    """
    from zoo.tasks.restore import restore

    picture = open_picture(image)
    hole: Any = None
    if "inpaint" in task:
        hole = uploaded_holes(str(mask["path"]), *picture.image.size) if mask else "centre"
    budget = min(max(float(SECONDS if seconds is None else seconds), 0.5), MOST_SECONDS)
    result, info = restore(
        picture.image.convert("RGB"),
        task,
        hole,
        model,
        seconds=budget,
        seed=int(seed or 0),
        box=box,
        return_info=True,
    )
    return picture.save(result, "restored"), info.to_dict()


def warm_up() -> None:
    """Loads the first prior and fits it once."""
    from PIL import Image

    from zoo.tasks.restore import restore

    restore(Image.new("RGB", (32, 32), "grey"), "inpaint", "centre", models()[0], steps=1)


def build() -> Component:
    """Lays out the tab; returns the choice of the model."""
    names = models()
    trained = bool(latent_models())
    gr.Markdown(TRAINED if trained else UNTRAINED, elem_id="restore-note")
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320, elem_classes="controls"):
            canvas = gr.ImageEditor(
                label="Picture; paint over what is missing",
                type="pil",
                sources=["upload", "clipboard"],
                brush=gr.Brush(default_size=24, colors=[MASK_COLOUR], default_color=MASK_COLOUR, color_mode="fixed"),
                layers=False,
                transforms=(),
                format="png",
                height=380,
                buttons=[],
                elem_id="restore-canvas",
            )
            chosen = gr.Dataset(
                label="Examples",
                components=[GivenImage(visible=False)],
                samples=[[str(one.thumbnail(MASK_COLOUR))] for one in damaged()],
                type="index",
                layout="gallery",
                elem_id="restore-examples",
            )
            with gr.Group():
                kinds = gr.CheckboxGroup(KINDS, value=["inpaint"], label="What happened to it", elem_id="restore-kinds")
                enlarge = gr.Radio(SIZES, value="", label="Enlarge", elem_id="restore-enlarge")
                source = gr.Dropdown(HOLES, value=PAINTED, label="Holes", elem_id="restore-source")
            # a file, so that what cannot be read is refused by us
            mask = gr.File(
                label="Mask, bright where pixels are missing",
                file_types=["image"],
                type="filepath",
                height=100,
                visible=False,
                elem_id="restore-mask",
            )
            with gr.Group():
                model = gr.Dropdown(list(names), value=names[0], label="Prior", elem_id="restore-model")
                seconds = gr.Slider(
                    1,
                    60,
                    SECONDS,
                    step=1,
                    label="Time budget",
                    info="Seconds on the server.",
                    elem_id="restore-seconds",
                )
            with gr.Accordion("Advanced", open=False):
                frame = gr.Radio(
                    FRAMES, value="auto", label="What a trained prior sees of the picture", elem_id="restore-frame"
                )
                seed = gr.Number(0, precision=0, minimum=0, maximum=2**31 - 1, label="Seed", elem_id="restore-seed")
            start, halt = start_and_stop("restore", "Restore")
        with gr.Column(scale=6, min_width=320):
            pair = before_and_after("restore", height=560)
            status = gr.HTML(status_html(HINT), padding=False, elem_id="restore-status")
            figures = gr.HTML("", padding=False, elem_id="restore-figures")
            download = gr.DownloadButton(
                "Download the result (PNG)", size="md", interactive=False, elem_id="restore-download"
            )
    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    solver: dict[str, Any] = hidden | {"concurrency_id": "solver", "concurrency_limit": 2}
    inputs = [canvas, mask, kinds, enlarge, source, frame, model, seconds, seed]
    run = start.click(guarded(solve), inputs, [pair, status, figures, download, halt], **solver)
    stopped = halt.click(stop, None, [status, halt], cancels=[run], queue=False, **hidden)
    stopped.then(stop, None, [status, halt], queue=False, **hidden)  # a last state may have been under way
    source.change(lambda value: gr.update(visible=value == UPLOADED), source, mask, queue=False, **hidden)
    chosen.click(example, chosen, [canvas, kinds, enlarge, source, model], queue=False, **hidden)
    latents_panel(solver | {"preprocess": False})
    _endpoint(names)
    return model


def _endpoint(names: tuple[str, ...]) -> None:
    """The public endpoint `/restore`: components that say what it takes and gives, and are never shown."""
    with gr.Row(visible=False):
        image = gr.Image(label="Picture", format="png", type="filepath", image_mode=None)
        task = gr.Textbox("inpaint", label="inpaint, colourise, x2, x4, x8, jpeg, denoise, joined by +")
        mask = gr.Image(label="Holes, bright; empty: a square in the centre", format="png", type="filepath")
        model = gr.Dropdown(list(names), value=names[0], label="Prior")
        seconds = gr.Number(SECONDS, label="Time budget in seconds")
        seed = gr.Number(0, precision=0, label="Seed")
        box = gr.Dropdown(["auto", "square", "face"], value="auto", label="What a trained prior sees")
        result = gr.Image(label="Restored picture", format="png", type="filepath")
        figures = gr.JSON(label="Figures")
        gr.Button().click(
            guarded(restore),
            [image, task, mask, model, seconds, seed, box],
            [result, figures],
            preprocess=False,
            api_name="restore",
            concurrency_id="solver",
            concurrency_limit=2,
        )


TAB = Tab(
    title="Restore",
    slug="restore",
    description=(
        "Fills holes, gives colour, enlarges and repairs: of all images that a prior can make, the result is the one "
        "that explains the picture best. What is known of the picture stays as it is."
    ),
    models=models(),
    build=build,
    warm_up=warm_up,
    python=(
        "from PIL import Image\nfrom zoo.tasks import restore\n\n"
        'picture = restore(Image.open("torn.png"), "inpaint", mask=Image.open("mask.png"), model="{model}", seconds=5)'
    ),
    cli="zoo restore torn.png --mask mask.png --model {model} --seconds 5 -o whole.png",
)
