"""ZeroGPU: what solves is run under the platform's decorator there, and nothing changes elsewhere."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import gradio as gr
import pytest

from space import gpu


def app() -> gr.Blocks:
    with gr.Blocks() as demo:
        text = gr.Textbox()
        gr.Button().click(lambda x: x, text, text, concurrency_id="solver")
        gr.Button().click(lambda x: x, text, text)
    return demo


def test_elsewhere_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    monkeypatch.setitem(sys.modules, "spaces", None)  # importing it would fail
    demo = app()
    before = [event.fn for event in demo.fns.values()]
    assert gpu.run_on_gpu(demo) == 0 and [event.fn for event in demo.fns.values()] == before


def test_solvers_are_decorated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    seconds = []

    def decorator(duration: int):
        seconds.append(duration)
        return lambda function: lambda *arguments: ("gpu", function(*arguments))

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=decorator))
    demo = app()
    assert gpu.run_on_gpu(demo) == 1 and seconds == [gpu.SECONDS]
    assert [event.fn("x") for event in demo.fns.values()] == [("gpu", "x"), "x"]


def test_the_app_has_solvers(demo: gr.Blocks) -> None:
    assert any(event.concurrency_id == "solver" for event in demo.fns.values())
