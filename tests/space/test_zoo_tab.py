"""The "Zoo" tab: its table is the registry, and what it shows of a model is the model's own."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from space.tabs import zoo as tab
from zoo import catalogue, registry
from zoo.checkpoints import file_sha256
from zoo.showcase import GAP, SLOW, drawn_picture, showcase
from zoo.style.loss import style_targets


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


def test_sizes_in_words() -> None:
    entry = zoo.info("lista.patches")
    shown = [catalogue.size(dataclasses.replace(entry, size_bytes=count)) for count in (0, 840, 99_999, 100_000, 6.5e6)]
    assert shown == ["no weights", "0.8 kB", "100.0 kB", "0.1 MB", "6.5 MB"]


def test_what_a_card_adds() -> None:
    """Of a card with prose, all; of one that training or publishing wrote, what the record does not say already."""

    class Carded(zoo.Entry):
        card = "# x\n\n## Use\n\n#### What it does\n\n# A comment in code.\n\nB.\n\n## Licence and source\n\nC.\n"

    assert catalogue.notes(zoo.info("tv2d.isotropic")) == zoo.info("tv2d.isotropic").card.strip()
    assert catalogue.notes(zoo.info("dncnn.sigma25")) == ""
    template = (zoo.registry.ROOT / "hub" / "templates" / "model_card.md").read_text()
    assert f"$notes{catalogue.AFTER_NOTES}" in template
    entry = zoo.info("tv2d.isotropic")
    entry = Carded(**{field.name: getattr(entry, field.name) for field in dataclasses.fields(entry)})
    assert catalogue.notes(entry) == "#### What it does\n\n# A comment in code.\n\nB."


def test_picture_is_the_models_own() -> None:
    picture, button, status = tab.show_model("tv2d.isotropic")
    assert picture["visible"] and not button["interactive"] and "solver without weights" in status
    with Image.open(picture["value"]) as shown:
        pixels = np.asarray(shown)
    expected = showcase(zoo.info("tv2d.isotropic"), picture=drawn_picture())
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
    assert one.picture(picture["value"]).size[1] == 192
    file = one.web.get(f"/gradio_api/file={button['value']['path']}")
    assert len(file.content) == zoo.info("lista.patches").size_bytes
    wrong = one.call("show_model", ["no.such"])
    assert not wrong["success"] and "no.such is not in the list of choices" in wrong["output"]["error"]


def test_visitors_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All draw the same model's picture at the same time, and each is given a whole one."""
    together = threading.Barrier(4, timeout=60)
    expected = showcase(zoo.info("lista.patches"))
    assert expected is not None

    def slowly(entry: zoo.Entry) -> Image.Image:
        together.wait()
        return expected

    monkeypatch.setattr(tab, "get_upload_folder", lambda: str(tmp_path))
    monkeypatch.setattr("zoo.showcase.showcase", slowly)
    with ThreadPoolExecutor(4) as pool:
        shown = list(pool.map(tab.show_model, ["lista.patches"] * 4))
    for picture, button, _ in shown:
        with Image.open(picture["value"]) as whole:
            assert np.array_equal(np.asarray(whole), np.asarray(expected))
        assert file_sha256(button["value"]) == zoo.info("lista.patches").sha256
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"picture.png", "lista.patches.safetensors"}


@pytest.mark.parametrize("name", zoo.list_models())
def test_every_model_has_a_picture(name: str) -> None:
    entry = zoo.info(name)
    try:
        shown = showcase(entry)
    except FileNotFoundError:
        pytest.skip("its weights are not on this machine")
    assert shown is not None and shown.height == 192 and shown.mode == "RGB" and shown.width > 2 * 192
    again = showcase(entry, picture=drawn_picture())
    assert (again is None) == (entry.arch in SLOW)
    if again is not None:
        assert np.array_equal(np.asarray(shown), np.asarray(again))


def tiles(name: str) -> list[torch.Tensor]:
    """The pictures side by side in a stored showcase, (1, 3, 192, 192) each."""
    shown = showcase(zoo.info(name))
    assert shown is not None
    pixels = torch.from_numpy(np.array(shown)).permute(2, 0, 1)[None] / 255
    return [pixels[..., left : left + 192] for left in range(0, shown.width, 192 + GAP)]


@pytest.mark.parametrize("name", [name for name in zoo.list_models() if zoo.info(name).arch == "dip"])
def test_what_a_deep_image_prior_fills_in(name: str) -> None:
    evidence, result = tiles(name)
    scale = 2 if zoo.info(name).config["width"] > 64 else 1  # the wide one works at half the size
    clean = (
        torch.nn.functional.avg_pool2d(drawn_picture(), scale).repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    )
    missing = (evidence.amax(1, keepdim=True) < 0.02).expand(-1, 3, -1, -1)
    assert 0.6 < missing.float().mean() < 0.8
    error = (result - clean)[missing].square().mean().sqrt()
    assert error < 0.25 * clean[missing].std(), "much nearer than the picture's mean is"


@pytest.mark.parametrize("name", [name for name in zoo.list_models() if zoo.info(name).arch == "srcnn"])
def test_what_super_resolution_makes(name: str) -> None:
    enlarged, result = (picture[:, :1] for picture in tiles(name))
    truth = (drawn_picture() * torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    before, after = ((picture - truth).square().mean() for picture in (enlarged, result))
    assert after < 0.6 * before


def test_what_the_optimisation_makes() -> None:
    content, painting, result = tiles("gatys.vgg19_half")
    encoder = zoo.load("vgg19_half.tiny_imagenet")
    with torch.no_grad():
        goal = style_targets(encoder, painting)
        before, after = (
            sum(float((found[layer] - goal[layer]).square().mean()) for layer in goal)
            for found in (style_targets(encoder, content), style_targets(encoder, result))
        )
    assert after < 0.2 * before, "its textures are those of the painting"
    grey = [picture.mean(1).flatten() for picture in (content, painting, result)]
    likeness = [float(torch.corrcoef(torch.stack([grey[2], other]))[0, 1]) for other in grey[:2]]
    assert likeness[0] > max(0.5, likeness[1]), "and it still shows the picture"


def test_drawn_picture() -> None:
    picture = drawn_picture(64)
    assert picture.shape == (1, 3, 64, 64) and picture.min() >= 0 and picture.max() <= 1
