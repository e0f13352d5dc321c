"""Components that several tabs have, each in one form: lossless, without buttons that nobody needs."""

from __future__ import annotations

import functools

import gradio as gr

Image = functools.partial(
    gr.Image,
    sources=["upload", "clipboard"],
    type="filepath",
    image_mode=None,
    format="png",
    buttons=[],
)
"""A picture that is given."""

Strip = functools.partial(gr.Gallery, height="auto", object_fit="contain", interactive=False, format="png", buttons=[])
"""Pictures that are shown side by side, as they are."""


def before_and_after(prefix: str, label: str = "Before and after", height: int = 620) -> gr.ImageSlider:
    """The slider between a picture and its result, `prefix`-pair."""
    return gr.ImageSlider(
        label=label,
        format="png",
        type="filepath",
        interactive=False,
        max_height=height,
        buttons=["fullscreen"],
        elem_id=f"{prefix}-pair",
    )


def start_and_stop(prefix: str, verb: str) -> tuple[gr.Button, gr.Button]:
    """The two buttons of a job, `prefix`-start and `prefix`-stop."""
    with gr.Row():
        start = gr.Button(verb, variant="primary", min_width=120, elem_id=f"{prefix}-start")
        halt = gr.Button("Stop", interactive=False, min_width=80, elem_id=f"{prefix}-stop")
    return start, halt


def painting_gallery(prefix: str) -> gr.Gallery:
    """The paintings that are drawn by code, to be clicked, `prefix`-gallery."""
    return gr.Gallery(
        label="Paintings, drawn by code",
        columns=5,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        format="png",
        buttons=[],
        elem_id=f"{prefix}-gallery",
    )
