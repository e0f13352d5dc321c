"""The "Denoising" tab: a picture, perhaps noise on it, a model, and the result beside what it was made from."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import gradio as gr
from gradio.components import Component

from zoo import Entry, denoisers

from ..common import guarded
from ..examples import examples
from ..figures import effort, figures_html, progress, quality, status_html, summary
from ..pictures import Forgotten, Picture, forget, open_picture
from ..tab import Tab
from ..widgets import Image as GivenImage
from ..widgets import before_and_after, start_and_stop

FAMILIES = {"dncnn": "DnCNN", "dncnn_tv": "DnCNN-TV", "tv2d": "Total variation"}
"""What a visitor reads in place of an architecture's name."""
LIVE_SIDE = 512
"""Pictures up to this many pixels on the longer side follow the sliders; larger ones wait for the button."""
EXAMPLE_SIGMA = 25
TOLERANCES = [(f"1e-{digits}", float(f"1e-{digits}")) for digits in range(2, 8)]
MAX_ITER = 1000
TOL = 1e-4
PREVIEW_SHARE = 0.25
"""A partial result is shown only while writing it takes less than this share of the time."""
HINT = "Upload a picture or choose an example."
NETWORK_INFO = "For white Gaussian noise. A network has no strength λ: training has settled what it takes away{levels}."
MODEL_INFO = "For white Gaussian noise. Total variation has a strength λ, and needs no training."
LAM_INFO = "In the units of a picture in [0, 1]; the larger, the flatter."
AUTO_INFO = "In proportion to σ: the noise added, or else the level estimated from the picture."
SIGMA_INFO = "Gaussian, 0–255 scale. 0 adds none; with known noise the quality is measured."

Update = tuple[Any, ...]


def label(entry: Entry) -> str:
    """What a denoiser is called on the page."""
    levels = denoisers.levels(entry) or entry.tag.replace("_", " ")
    return f"{FAMILIES.get(entry.arch, entry.arch)}, {levels}"


def word(entry: Entry) -> str:
    """What is to be known about a model, such as why a network has no controls."""
    levels = denoisers.levels(entry)
    text = NETWORK_INFO.format(levels=f", on noise of {levels}" if levels else "")
    return text if denoisers.is_network(entry) else MODEL_INFO


@guarded
def controls(model: str) -> tuple[dict[str, Any], ...]:
    """Shows what total variation can be told, or for a network a word on why there is nothing to tell."""
    from zoo import info

    entry = info(model)
    network = denoisers.is_network(entry)
    return gr.update(info=word(entry)), *(gr.update(visible=not network) for _ in range(4))


def shown(
    pair: Any = None,
    status: Any = None,
    figures: Any = None,
    download: Any = None,
    lam: Any = None,
    running: bool | None = None,
) -> Update:
    """New values of the outputs of `solve`: before/after, status, figures, download, λ and Stop.

    Whatever is None stays as it is.
    """
    halt = None if running is None else gr.update(interactive=running)
    return tuple(gr.skip() if value is None else value for value in (pair, status, figures, download, lam, halt))


def open_upload(payload: Mapping[str, Any] | None, last: Picture | None) -> tuple[Picture, int]:
    """A visitor's own picture, which has its own noise, so none is added."""
    return _open(payload, last), 0


def open_example(payload: Mapping[str, Any] | None, last: Picture | None) -> tuple[Picture, int]:
    """An example: it is clean, so noise is added, and the quality of the result can be measured."""
    return _open(payload, last), EXAMPLE_SIGMA


def _open(payload: Mapping[str, Any] | None, last: Picture | None) -> Picture:
    picture = open_picture(payload)
    forget(last)
    return picture


def clear(picture: Picture | None) -> tuple[Any, ...]:
    """Forgets the picture and empties the page."""
    forget(picture)
    return None, None, status_html(HINT), "", gr.update(value=None, interactive=False)


def solve(picture: Picture | None, *settings: Any) -> Iterator[Update]:
    """Denoises; a picture larger than `LIVE_SIDE` is shown as it is after each step of the solver.

    Ends early, without a word, when another picture has taken the place of this one.
    """
    if picture is None:
        raise ValueError("image: no picture was given; upload one or choose an example")
    large = picture.longer_side > LIVE_SIDE
    yield shown(status=status_html("Working…", 0 if large else None), running=large)
    with suppress(Forgotten):
        yield from _solve(picture, *settings)


def _solve(
    picture: Picture, sigma: float, seed: float, auto: bool, lam: float, model: str, max_iter: float, tol: float
) -> Iterator[Update]:
    from zoo import info
    from zoo.tasks.denoise import denoise_steps

    large = picture.longer_side > LIVE_SIDE
    noisy = picture.noisy(sigma, int(seed))
    if large:
        nothing = gr.update(value=None, interactive=False)
        yield shown(pair=(noisy.path, noisy.path), figures="", download=nothing, running=True)
    auto = auto or denoisers.is_network(info(model))
    steps = denoise_steps(
        noisy.image,
        model,
        lam=None if auto else lam,
        sigma=sigma if auto and sigma > 0 else None,
        reference=picture.image if sigma > 0 else None,
        max_iter=int(max_iter),
        tol=tol,
    )
    written, cost = time.perf_counter(), 0.0
    for step in steps:
        if large and not step.done:
            pair, start = None, time.perf_counter()
            if cost <= PREVIEW_SHARE * (start - written):
                pair = (noisy.path, picture.save(step.image, "partial"))
                written = time.perf_counter()
                cost = written - start
            yield shown(pair=pair, status=status_html(progress(step.info), step.progress), running=True)
    after = picture.save(step.image, "denoised")
    yield shown(
        pair=(noisy.path, after),
        status=status_html(summary(step.info)),
        figures=figures_html(quality(step.info, picture, noisy) + effort(step.info)),
        download=gr.update(value=after, interactive=True),
        lam=round(step.info.lam, 3) if auto and step.info.lam is not None else None,
        running=False,
    )


def solve_live(picture: Picture | None, *settings: Any) -> Iterator[Update]:
    """`solve` for a control that was moved: nothing without a picture, and a large one waits for the button."""
    if picture is None:
        yield shown()
    elif picture.longer_side > LIVE_SIDE:
        text = f"The picture is larger than {LIVE_SIDE} pixels: press Denoise to use these settings."
        yield shown(status=status_html(text))
    else:
        with suppress(Forgotten):
            yield from _solve(picture, *settings)


def solve_by_hand(picture: Picture | None, sigma: float, seed: float, _auto: bool, *rest: Any) -> Iterator[Update]:
    """`solve_live` when λ itself was moved: it counts, whatever the page still says of the automatic one."""
    yield from solve_live(picture, sigma, seed, False, *rest)


def stop() -> tuple[str, dict[str, Any]]:
    """What the page says once a solve was stopped."""
    return status_html("Stopped. The picture is the last step that was shown."), gr.update(interactive=False)


def tv_denoise(
    image: Mapping[str, Any],
    model: str = denoisers.TOTAL_VARIATION,
    lam: float | None = None,
    sigma: float | None = None,
    max_iter: int | None = None,
    tol: float | None = None,
) -> tuple[str, dict[str, Any]]:
    """Removes white Gaussian noise: by total variation, argmin over y of ½‖y − x‖² + lam·TV(y), or by a network.

    The model is a name of the list, or "auto": chosen by the noise level. For total variation give lam (strength, at
    least 0, in the units of a picture in [0, 1]) or sigma (noise level, standard deviation on the 0..255 scale, from
    which lam follows), or neither: then sigma is estimated. The solver stops at the relative duality gap tol, or after
    max_iter iterations. A network takes none of these but sigma, to choose it and to warn. Returns the denoised
    picture, a lossless PNG of the same mode and with its transparency, and the figures: model, lam, sigma, gap,
    relative_gap, iterations, seconds, backend, warning.
    """
    from zoo.tasks.denoise import denoise

    picture = open_picture(image)
    result, info = denoise(
        picture.image,
        model,
        lam,
        sigma,
        max_iter=MAX_ITER if max_iter is None else max_iter,
        tol=TOL if tol is None else tol,
        return_info=True,
    )
    return picture.save(result, "denoised"), info.to_dict()


def warm_up() -> None:
    """Loads torch, the kernels and the weights, and denoises a small picture with every model."""
    from PIL import Image

    from zoo.tasks.denoise import denoise

    picture = Image.effect_noise((128, 128), 25)
    for entry in denoisers.installed():
        denoise(picture, entry.name, sigma=25, reference=picture)


def build() -> Component:
    """Lays out the tab; returns the choice of the model."""
    entries = denoisers.installed()
    first = next(entry for entry in entries if entry.name == denoisers.default())
    solver_shown = not denoisers.is_network(first)
    session = gr.State(delete_callback=forget)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300, elem_classes="controls"):
            upload = GivenImage(label="Picture", height=230, elem_id="tv-picture")
            chosen = gr.Examples(
                [[str(example.path)] for example in examples()],
                upload,
                label="Examples",
                elem_id="tv-examples",
                api_visibility="private",
            )
            with gr.Group():
                sigma = gr.Slider(
                    0, 100, EXAMPLE_SIGMA, step=1, label="Added noise σ", info=SIGMA_INFO, elem_id="tv-sigma"
                )
            with gr.Group():
                choices = [(label(entry), entry.name) for entry in entries]
                model = gr.Radio(choices, value=first.name, label="Model", info=word(first), elem_id="tv-model")
                auto = gr.Checkbox(
                    True,
                    label="Choose λ from the noise level",
                    info=AUTO_INFO,
                    visible=solver_shown,
                    elem_id="tv-auto",
                )
                lam = gr.Slider(
                    0,
                    0.5,
                    0.07,
                    step=0.001,
                    label="Strength λ",
                    info=LAM_INFO,
                    visible=solver_shown,
                    elem_id="tv-lam",
                )
            with gr.Accordion("Advanced", open=False):
                max_iter = gr.Slider(
                    10,
                    5000,
                    MAX_ITER,
                    step=10,
                    label="Most iterations",
                    visible=solver_shown,
                    elem_id="tv-max-iter",
                )
                tol = gr.Dropdown(
                    TOLERANCES,
                    value=TOL,
                    label="Stop at this relative duality gap",
                    visible=solver_shown,
                    elem_id="tv-tol",
                )
                seed = gr.Number(
                    0, precision=0, minimum=0, maximum=2**31 - 1, label="Seed of the noise", elem_id="tv-seed"
                )
            start, halt = start_and_stop("tv", "Denoise")
        with gr.Column(scale=7, min_width=320):
            pair = before_and_after("tv")
            status = gr.HTML(status_html(HINT), padding=False, elem_id="tv-status")
            figures = gr.HTML("", padding=False, elem_id="tv-figures")
            download = gr.DownloadButton(
                "Download the result (PNG)", size="md", interactive=False, elem_id="tv-download"
            )

    settings = [session, sigma, seed, auto, lam, model, max_iter, tol]
    outputs = [pair, status, figures, download, lam, halt]
    hidden: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    solver: dict[str, Any] = hidden | {"concurrency_id": "solver", "concurrency_limit": 2}
    latest: dict[str, Any] = solver | {"trigger_mode": "always_last"}
    run = guarded(solve)

    opening: dict[str, Any] = hidden | {"preprocess": False}
    uploaded = upload.upload(guarded(open_upload), [upload, session], [session, sigma], **opening)
    picked = chosen.load_input_event.then(guarded(open_example), [upload, session], [session, sigma], **opening)
    uploaded.failure(lambda: None, None, upload, queue=False, **hidden)
    runs = [
        # "multiple": the next picture does not wait for the last one, which ends by itself
        event.success(run, settings, outputs, trigger_mode="multiple", **solver)
        for event in (uploaded, picked)
    ]
    runs.append(start.click(run, settings, outputs, **solver))
    upload.clear(clear, session, [session, pair, status, figures, download], cancels=runs, **hidden)

    model.change(controls, model, [model, auto, lam, max_iter, tol], queue=False, **hidden)
    for control in (sigma, model, auto, max_iter, tol, seed):
        control.input(guarded(solve_live), settings, outputs, **latest)
    lam.input(None, None, auto, js="() => false", **hidden)
    lam.input(guarded(solve_by_hand), settings, outputs, **latest)
    stopped = halt.click(stop, None, [status, halt], cancels=runs, queue=False, **hidden)
    stopped.then(stop, None, [status, halt], queue=False, **hidden)  # a last state may have been under way
    _endpoint()
    return model


def _endpoint() -> None:
    """The public endpoint `/tv_denoise`: components that say what it takes and gives, and are never shown."""
    with gr.Row(visible=False):
        image = gr.Image(label="Picture", format="png", type="filepath", image_mode=None)
        names = [entry.name for entry in denoisers.installed()]
        model = gr.Dropdown([*names, denoisers.AUTO], value=denoisers.TOTAL_VARIATION, label="Model")
        lam = gr.Number(None, label="Strength λ; empty: from sigma")
        sigma = gr.Number(None, label="Noise level on the 0..255 scale; empty: estimated")
        max_iter = gr.Number(MAX_ITER, precision=0, label="Most iterations")
        tol = gr.Number(TOL, label="Relative duality gap to stop at")
        result = gr.Image(label="Denoised picture", format="png", type="filepath")
        figures = gr.JSON(label="Figures")
        gr.Button().click(
            guarded(tv_denoise),
            [image, model, lam, sigma, max_iter, tol],
            [result, figures],
            preprocess=False,
            api_name="tv_denoise",
            concurrency_id="solver",
            concurrency_limit=2,
        )


def models() -> Sequence[str]:
    """Names of the models that the tab offers, the one it starts with first."""
    names = [entry.name for entry in denoisers.installed()]
    return sorted(names, key=lambda name: name != denoisers.default())


TAB = Tab(
    title="Denoising",
    slug="tv-denoise",
    description=(
        "Removes noise and keeps edges: by total variation, whose result is the picture y for which "
        "½‖y\u00a0−\u00a0x‖²\u00a0+\u00a0λ·TV(y) is smallest (the duality gap bounds how far the solver still is from "
        "that minimum), or by a trained network. All take the noise to be white and Gaussian; most of the grain of "
        "phone and of compressed pictures is not, and stays."
    ),
    models=tuple(models()),
    build=build,
    warm_up=warm_up,
    python=(
        "from PIL import Image\nfrom zoo.tasks import denoise\n\n"
        'picture = denoise(Image.open("noisy.png"), model="{model}", sigma=25)'
    ),
    cli="zoo denoise noisy.png --output clean.png --model {model} --sigma 25",
)
