"""The app as a whole: what it is made of, what it offers, and that nothing of it comes from elsewhere."""

from __future__ import annotations

import dataclasses
import re
import socket
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

import zoo
from space.cards import card_markdown
from space.examples import examples, paper_cut
from space.figures import Figure, figures_html, status_html
from space.tab import Tab
from space.tabs import TABS
from space.theme import STYLE_SHEET, theme
from zoo.registry import Metric


def test_tabs_are_complete() -> None:
    assert len({tab.slug for tab in TABS}) == len(TABS)
    for tab in TABS:
        assert re.fullmatch(r"[a-z0-9-]+", tab.slug)
        assert tab.title and tab.description
        for model in tab.models:
            assert zoo.info(model).name == model
            assert "{model}" in tab.python and "{model}" in tab.cli


def test_every_tab_is_a_file_of_its_own() -> None:
    folder = Path(__file__).parents[2] / "space" / "tabs"
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert files == {tab.build.__module__.split(".")[-1] for tab in TABS}


def test_page_has_the_tabs(demo: gr.Blocks) -> None:
    components = demo.get_config_file()["components"]
    labels = [part["props"]["label"] for part in components if part["type"] == "tabitem"]
    assert labels == [tab.title for tab in TABS]


def test_only_the_endpoints_are_public(demo: gr.Blocks) -> None:
    endpoints = demo.get_api_info()["named_endpoints"]
    assert list(endpoints) == ["/tv_denoise", "/stylize", "/photo", "/video", "/superres", "/restore"]
    parameters = endpoints["/tv_denoise"]["parameters"]
    assert [one["parameter_name"] for one in parameters] == ["image", "model", "lam", "sigma", "max_iter", "tol"]
    assert [one["parameter_has_default"] for one in parameters] == [False, True, True, True, True, True]
    assert [one["component"] for one in endpoints["/tv_denoise"]["returns"]] == ["Image", "Json"]
    assert "lam" in endpoints["/tv_denoise"]["description"]


def test_pictures_are_never_lossy(demo: gr.Blocks) -> None:
    formats = {block.format for block in demo.blocks.values() if isinstance(block, (gr.Image, gr.ImageSlider))}
    assert formats == {"png"}, "Gradio's own default, webp, changes the pixels"


def test_old_files_are_swept(demo: gr.Blocks) -> None:
    assert demo.delete_cache is not None
    assert all(0 < seconds <= 3600 for seconds in demo.delete_cache)


def test_theme_is_bundled() -> None:
    look = theme()
    assert look._stylesheets == []
    for text in (STYLE_SHEET.read_text(), look._get_theme_css()):
        assert not re.search(r"url\(['\"]?(https?:)?//|@import", text)


def test_building_needs_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    from space.shell import build

    def refuse(*_: Any) -> None:
        raise AssertionError("the app reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert build().fns


def test_examples_are_local_pictures() -> None:
    found = examples()
    assert 4 <= len(found) <= 6
    for example in found:
        with Image.open(example.path) as image:
            assert image.size[0] > 100
    assert sum(max(Image.open(example.path).size) <= 512 for example in found) >= 4, "most of them are solved live"


def test_drawn_example_is_flat() -> None:
    pixels = np.asarray(paper_cut(120)).astype(int)
    assert pixels.shape == (120, 120, 3)
    flat = (np.abs(np.diff(pixels, axis=0)).max(-1) == 0).mean()
    assert flat > 0.7, "piecewise constant, as total variation likes it"
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 8


def test_card_shows_the_record() -> None:
    metrics = (Metric("Set12", "PSNR", 28.5, 28.61, "sigma 25"), Metric("A | B", "SSIM", 0.8))
    entry = dataclasses.replace(zoo.info("tv2d"), metrics=metrics, num_params=12345, size_bytes=2_500_000)
    text = card_markdown(entry, python='load("{model}")', cli="zoo denoise --model {model}")
    assert entry.summary in text and entry.paper.title in text and entry.licence in text
    assert "| Set12 | PSNR | 28.5 | 28.61 | sigma 25 |" in text
    assert "A \\| B" in text and "–" in text
    assert 'load("tv2d.anisotropic")' in text and "--model tv2d.anisotropic" in text
    assert "12 345" in text and "2.5 MB" in text
    bare = card_markdown(dataclasses.replace(zoo.info("tv2d"), metrics=()))
    assert "In the paper" not in bare and "```" not in bare.replace(zoo.info("tv2d").card.strip(), "")


def test_figures_are_escaped() -> None:
    page = figures_html([Figure("a<b", "<script>", "&", gain=True)])
    assert "<script>" not in page and "&lt;script&gt;" in page and "a&lt;b" in page and "&amp;" in page
    assert "<b>" not in status_html("<b>")
    assert "<progress" not in status_html("done")
    assert 'value="0.250"' in status_html("half way", 0.25)


def test_warm_up_survives_a_broken_tab(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from space import shell

    ran = []

    def broken() -> None:
        raise RuntimeError("no kernels")

    def tab(slug: str, warm_up: Any) -> Tab:
        return Tab(slug, slug, slug, ("tv2d.anisotropic",), lambda: None, warm_up)

    tabs = (tab("a", broken), tab("b", None), tab("c", lambda: ran.append("c")))
    monkeypatch.setattr(shell, "TABS", tabs)
    shell.warm_up()
    assert ran == ["c"]
    assert "no kernels" in caplog.text
