"""The app around the tabs: header, tabs with their model cards, footer, and how it is served."""

from __future__ import annotations

import logging
import os
import threading

import gradio as gr

from .cards import card_panel
from .common import FILE_LIFETIME
from .gpu import run_on_gpu
from .tabs import TABS
from .theme import STYLE_SHEET, theme

log = logging.getLogger("space")

TITLE = "Neural Solver Zoo"
MAX_FILE_SIZE = "40mb"
SWEEP_EVERY = 600
"""Seconds between two sweeps for old files."""

# a noisy line and its total-variation solution: what the whole project is about, in two strokes
NOISY = "2,30 5,23 9,36 13,24 17,35 20,25 23,14 27,3 30,15 34,2 38,14 41,5 44,24 48,12 52,25 56,11 62,22"
MARK = f"""<svg class="mark" viewBox="0 0 64 40" role="img" aria-label="A noisy line and its total-variation solution">
<polyline class="noisy" points="{NOISY}"/>
<polyline class="solved" points="2,29 21,29 22,9 42,9 43,18 62,18"/></svg>"""

HEADER = f"""<header class="masthead">{MARK}
<div><h1>{TITLE}</h1><p>Imaging models that are solvers: each says what it minimises, and how close it came.</p></div>
</header>"""

FOOTER = """<footer class="colophon">Your pictures stay on this server, are shown to nobody else and are deleted after
about an hour. No part of this page comes from another address.</footer>"""


def build() -> gr.Blocks:
    """Assembles the app from the listed tabs.

    Returns:
        The Gradio app, with its queue, not yet launched.
    """
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(SWEEP_EVERY, FILE_LIFETIME)) as demo:
        gr.HTML(HEADER, padding=False)
        with gr.Tabs():
            for tab in TABS:
                with gr.Tab(tab.title, id=tab.slug, elem_id=f"tab-{tab.slug}"):
                    gr.HTML(f'<p class="lead">{tab.description}</p>', padding=False)
                    card_panel(tab, tab.build())
        gr.HTML(FOOTER, padding=False)
    run_on_gpu(demo)
    # two solves at a time keep the page answering; whoever comes after waits in line
    return demo.queue(max_size=64, default_concurrency_limit=2)


def launch(demo: gr.Blocks, *, block: bool = True) -> str:
    """Serves the app.

    The address is GRADIO_SERVER_NAME (default 127.0.0.1) and GRADIO_SERVER_PORT (default 7860).

    Args:
        demo: What `build` returned.
        block: Wait until the server is stopped; False returns once it answers.

    Returns:
        The address of the page.
    """
    _, url, _ = demo.launch(
        server_name=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"),
        server_port=int(os.environ.get("GRADIO_SERVER_PORT", "7860")),
        theme=theme(),
        css_paths=[STYLE_SHEET],
        max_file_size=MAX_FILE_SIZE,
        show_error=False,
        share=False,
        ssr_mode=False,
        run_history=False,
        footer_links=["api", "settings"],
        prevent_thread_lock=True,
    )
    # torch and the kernels take seconds to load: after the page answers, before the first picture comes
    threading.Thread(target=warm_up, name="warm-up", daemon=True).start()
    if block:
        demo.block_thread()
    return url


def warm_up() -> None:
    """Loads what the tabs need and runs each once on a small picture, so that the first visitor does not wait."""
    for tab in TABS:
        if tab.warm_up is not None:
            try:
                tab.warm_up()
            except Exception:
                # a visitor will meet the same error, with a message; the server goes on
                log.exception("warming up %s failed", tab.slug)
