"""Groups of controls of the "Style transfer" tab; what they do is in the tab's own file."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..figures import status_html
from ..widgets import Image, Strip, before_and_after, painting_gallery, start_and_stop
from .regions import COLOURS
from .visit import SLOTS

HINT = "Upload a picture or choose an example; click a painting to choose the style."
PAINT_HINT = "Paint where each style applies, in its colour, then press Transfer. What is not painted takes the rest."


def styles() -> tuple[gr.Gallery, gr.Radio, list[gr.Image], list[gr.Slider]]:
    """The gallery of paintings, which style a click sets, and the four styles with their weights."""
    gallery = painting_gallery("style")
    slot = gr.Radio(
        [(f"style {number}", number) for number in range(1, SLOTS + 1)],
        value=1,
        label="A click sets",
        elem_id="style-slot",
    )
    slots, weights = [], []
    with gr.Row(elem_classes="style-slots"):
        for number, colour in enumerate(COLOURS, 1):
            with gr.Column(min_width=120, elem_classes="style-slot"):
                slots.append(Image(label=f"Style {number}, {colour}", height=150, elem_id=f"style-slot-{number}"))
                weights.append(gr.Slider(0, 1, 1, step=0.05, label="Weight", elem_id=f"style-weight-{number}"))
    return gallery, slot, slots, weights


def region_controls() -> tuple[gr.ImageEditor, list[gr.Image], gr.Button]:
    """The canvas, a place for a mask of each style, and the button that clears both."""
    codes = list(COLOURS.values())
    gr.HTML(status_html(PAINT_HINT), padding=False)
    canvas = gr.ImageEditor(
        label="Regions",
        type="filepath",
        sources=(),
        brush=gr.Brush(default_size=28, colors=codes, default_color=codes[0], color_mode="fixed"),  # type: ignore[arg-type]
        layers=False,
        transforms=(),
        format="png",
        height=420,
        buttons=[],
        elem_id="style-canvas",
    )
    with gr.Row(elem_classes="style-slots"):
        masks = [
            Image(label=f"Mask {number}, white", height=120, elem_id=f"style-mask-{number}")
            for number in range(1, SLOTS + 1)
        ]
    return canvas, masks, gr.Button("Clear the regions", size="sm", elem_id="style-erase")


def results() -> tuple[Any, ...]:
    """Before and after, Transfer and Stop, status, figures, strip, download, settings and their two buttons."""
    pair = before_and_after("style")
    start, halt = start_and_stop("style", "Transfer")
    status = gr.HTML(status_html(HINT), padding=False, elem_id="style-status")
    figures = gr.HTML("", padding=False, elem_id="style-figures")
    strip = Strip(label="X(0) … X(N)", columns=5, elem_id="style-strip")
    download = gr.DownloadButton("Download the result (PNG)", size="md", interactive=False, elem_id="style-download")
    with gr.Accordion("Settings as text", open=False, elem_id="style-settings"):
        text = gr.Textbox(
            label="JSON",
            info="Of the last result, without uploaded pictures. Paste here and press Apply.",
            lines=3,
            max_lines=8,
            buttons=["copy"],
            elem_id="style-text",
        )
        with gr.Row():
            apply = gr.Button("Apply", size="sm", min_width=80, elem_id="style-apply")
            link = gr.Button("Copy a link", size="sm", min_width=80, elem_id="style-link")
    return pair, start, halt, status, figures, strip, download, text, apply, link
