"""The "Zoo" tab: its table is the registry, and what it shows of a model is the model's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

import zoo
from space.examples import paper_cut
from space.tabs import zoo as tab
from zoo import catalogue, registry
from zoo.checkpoints import file_sha256
from zoo.images import to_picture
from zoo.showcase import DRAWERS, drawn_picture, showcase


def test_the_table_is_the_registry() -> None:
    table = tab.rows("", tab.EVERY)
    assert {row[0] for row in table} >= set(zoo.list_models())
    assert all(len(row) == len(tab.HEADERS) == len(tab.WIDTHS) for row in table)
    row = next(row for row in table if row[0] == "lista.patches")
    entry = zoo.info("lista.patches")
    assert row[1:5] == ["sparse_code", "0.4 MB", ", ".join(entry.data), "Apache-2.0"] and row[6] == entry.summary
    assert f"{entry.metrics[0].value:g}" in row[5]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("TV2D isotropic", "tv2d.isotropic"), ("gregor lecun", "lista.patches"), ("tiny-imagenet", "vgg19_half")],
)
def test_search(words: str, expected: str) -> None:
    found = [entry.name for entry in catalogue.find(words)]
    assert any(name.startswith(expected) for name in found) and len(found) < len(zoo.list_models())


def test_search_and_choice() -> None:
    table, choice, count = tab.search("tv2d", "denoise", "lista.patches")
    assert {row[0] for row in table} == {"tv2d.anisotropic", "tv2d.isotropic"}
    assert choice["value"] == "tv2d.anisotropic" and "2 models" in count
    assert tab.search("tv2d", tab.EVERY, "tv2d.isotropic")[1]["value"] == "tv2d.isotropic"
    table, choice, count = tab.search("no such words", tab.EVERY, "tv2d.isotropic")
    assert table == [] and choice["value"] == "tv2d.isotropic" and "No model fits" in count
    assert catalogue.find("", "no task") == []


def test_figures_beside_the_papers() -> None:
    metrics = (zoo.registry.Metric("Set12", "PSNR", 28.5, 28.61), *[zoo.registry.Metric("x", "y", 1.0)] * 2)
    entry = dataclasses.replace(zoo.info("tv2d"), metrics=metrics)
    assert catalogue.figures(entry) == "PSNR 28.5 (paper 28.61), Set12; y 1, x; 1 more"


def test_picture_is_the_models_own() -> None:
    picture, button, status = tab.show_model("tv2d.isotropic")
    assert picture["visible"] and not button["interactive"] and "solver without weights" in status
    with Image.open(picture["value"]) as shown:
        pixels = np.asarray(shown)
    expected = showcase(zoo.info("tv2d.isotropic"), picture=to_picture(paper_cut(tab.SIDE)).tensor)
    assert expected is not None and np.array_equal(pixels, np.asarray(expected))
    half = (pixels.shape[1] - 6) // 2
    rough = [np.abs(np.diff(part.astype(int), axis=0)).mean() for part in (pixels[:, :half], pixels[:, -half:])]
    assert rough[0] > 4 * rough[1], "noise on the left, none on the right"


def test_download_is_the_registered_file() -> None:
    _, button, status = tab.show_model("lista.patches")
    assert button["interactive"] and "0.4 MB" in button["label"]
    entry = zoo.info("lista.patches")
    assert file_sha256(button["value"]) == entry.sha256 and str(entry.sha256) in status
    assert Path(button["value"]).name == "lista.patches.safetensors"


def test_what_is_not_here_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    entry = dataclasses.replace(zoo.info("lista.patches"), name="lista.elsewhere", sha256="0" * 64, hub="lab/lista@v1")
    entries = {**registry._entries(), entry.name: entry}
    monkeypatch.setattr(registry, "_entries", lambda: entries)
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path)
    picture, button, status = tab.show_model("lista.elsewhere")
    assert not picture["visible"] and not button["interactive"] and "zoo pull lista.elsewhere" in status


def test_the_page(visitor: Callable[[], Any], demo: gr.Blocks) -> None:
    one = visitor()
    answer = one.call("show_model", ["lista.patches"])
    assert answer["success"], answer
    picture, button, _ = answer["output"]["data"]
    assert one.picture(picture["value"]).size[1] == tab.SIDE
    file = one.web.get(f"/gradio_api/file={button['value']['path']}")
    assert len(file.content) == zoo.info("lista.patches").size_bytes
    wrong = one.call("show_model", ["no.such"])
    assert not wrong["success"] and "no.such is not in the list of choices" in wrong["output"]["error"]


@pytest.mark.parametrize("name", [name for name in zoo.list_models() if set(zoo.info(name).tasks) & set(DRAWERS)])
def test_showcase(name: str) -> None:
    entry = zoo.info(name)
    try:
        shown = showcase(entry)
    except FileNotFoundError:
        pytest.skip("its weights are not on this machine")
    assert shown is not None and shown.height == 192 and shown.mode == "RGB"
    again = showcase(entry, picture=drawn_picture())
    assert again is not None and np.array_equal(np.asarray(shown), np.asarray(again))


def test_drawn_picture() -> None:
    picture = drawn_picture(64)
    assert picture.shape == (1, 3, 64, 64) and picture.min() >= 0 and picture.max() <= 1
