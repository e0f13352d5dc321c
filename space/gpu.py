"""ZeroGPU: on a Space of that kind, whatever solves is run where the GPU is."""

from __future__ import annotations

import os

import gradio as gr

SECONDS = 60
"""Longest time that one visitor's job may hold the GPU."""


def is_zero() -> bool:
    """Whether this runs on ZeroGPU, which says so in its environment."""
    return os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "true")


def run_on_gpu(demo: gr.Blocks) -> int:
    """Put the handlers of the queue "solver" under ZeroGPU's decorator; does nothing elsewhere.

    Args:
        demo: The app, with all its events.

    Returns:
        How many there are.
    """
    if not is_zero():
        return 0
    import spaces  # the platform's own package

    solvers = [event for event in demo.fns.values() if event.concurrency_id == "solver" and event.fn is not None]
    for event in solvers:
        event.fn = spaces.GPU(duration=SECONDS)(event.fn)
    return len(solvers)
