"""Pictures between two pictures and pictures of nothing in particular: the second panel of the "Restore" tab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr

import zoo

from .common import guarded, new_folder
from .figures import status_html
from .pictures import Picture, forget, open_picture
from .widgets import Image as GivenImage

FRAMES = [("The face, if there is one", "auto"), ("Largest square", "square"), ("The face", "face")]


def latent_models(task: str = "restore") -> list[str]:
    """Trained priors with a latent, the best one first; for the task "sample" those that can be sampled."""
    from zoo.restore.choice import ranked

    found = [name for name in ranked() if not name.startswith("dip.")]
    if task == "sample":
        samplers = {name.split("_sampler.")[-1] for name in zoo.list_models(task="sample")}
        return [name for name in found if name.startswith("wgan_gp.") or name.split(".")[1] in samplers]
    return found


def between(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None, model: str, frame: str) -> Iterator[Any]:
    """Pictures between two pictures, along the latent and between the pixels, as two rows."""
    from zoo.tasks.latents import interpolate_steps

    one, other = open_picture(first), open_picture(second)
    try:
        for step in interpolate_steps(one.image.convert("RGB"), other.image.convert("RGB"), model, 7, box=frame):
            yield (
                _rows(one, [step.frames, step.crossfade], "between"),
                status_html("Above along the latent, below between the pixels.", None if step.done else step.progress),
            )
    finally:
        forget(other)


def draw(model: str, seed: float, temperature: float) -> tuple[str, str]:
    """Eight pictures of nothing in particular."""
    from PIL import Image

    from zoo.tasks.latents import sample

    made = sample(model, 8, int(seed or 0), temperature=temperature)
    picture = Picture(Image.new("RGB", (1, 1)), "samples", 0.0, new_folder())
    return _rows(picture, [made[:4], made[4:]], "drawn"), status_html(f"Drawn from {model}.")


def _rows(picture: Picture, rows: list[Any], name: str) -> str:
    from zoo.images import as_pil, rows_of

    return picture.save(as_pil(rows_of(*rows)), name)


def latents_panel(solver: dict[str, Any]) -> None:
    """Interpolation and samples."""
    priors, sampled = latent_models(), latent_models("sample")
    with gr.Accordion(
        "Between two pictures, and pictures of nothing in particular", open=False, elem_id="restore-more"
    ):
        if not priors:
            gr.Markdown("Both need a trained prior with a latent, and none is installed here.")
            return
        with gr.Row():
            first, second = (GivenImage(label=label, height=200) for label in ("From", "To"))
            with gr.Column():
                prior = gr.Dropdown(priors, value=priors[0], label="Prior")
                frame = gr.Radio(FRAMES, value="auto", label="What is taken of them")
                go = gr.Button("Interpolate", elem_id="restore-between")
        rows = gr.Image(label="Result", type="filepath", format="png", interactive=False, elem_id="restore-rows")
        status = gr.HTML("", padding=False, elem_id="restore-more-status")
        go.click(guarded(between), [first, second, prior, frame], [rows, status], **solver)
        if sampled:
            with gr.Row():
                drawn = gr.Dropdown(sampled, value=sampled[0], label="Prior to sample")
                seed = gr.Number(0, precision=0, minimum=0, maximum=2**31 - 1, label="Seed")
                temperature = gr.Slider(0.1, 1.5, 0.8, step=0.1, label="Temperature", info="Lower: more alike.")
                button = gr.Button("Draw eight", elem_id="restore-draw")
            button.click(guarded(draw), [drawn, seed, temperature], [rows, status], **solver)
