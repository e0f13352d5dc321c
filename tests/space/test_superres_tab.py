"""The handlers of the "Texture super-resolution" tab, called as functions."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from space import superres as handlers
from space.common import guarded
from space.examples import basket, textures
from space.pictures import Picture, open_picture
from space.superres import LARGE, NONE, OTHER, REST, SMALL
from space.tabs import superres as tab
from zoo import registry
from zoo.superres.shrink import shrink
from zoo.tasks import texture_super_resolve

MODEL = "gatys.vgg19_half"
SETTINGS: dict[str, Any] = {
    "source": LARGE,
    "guide": REST,
    "side": 30,
    "scale": 3,
    "model": MODEL,
    "intensity": 1.0,
    "lam": 50.0,
    "steps": 2,
}


def record(path: Path, image: Image.Image) -> dict[str, Any]:
    image.save(path)
    return {"path": str(path), "orig_name": path.name}


def opened(path: Path, image: Image.Image) -> Picture:
    return open_picture(record(path, image))


@pytest.fixture
def woven(tmp_path: Path) -> Picture:
    """72 × 60 pixels."""
    return opened(tmp_path / "a basket.png", basket(72).crop((0, 0, 72, 60)))


def enlarge(picture: Picture | None, reference: Picture | None = None, **changes: Any) -> list[Any]:
    return list(guarded(handlers.enlarge)(picture, reference, *(SETTINGS | changes).values()))


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def words(figures: str) -> str:
    return html.unescape(re.sub("<[^>]+>", " ", figures))


def test_a_large_picture_is_its_own_reference_and_truth(woven: Picture) -> None:
    updates = enlarge(woven)
    (before, after), status, figures, close, download, halt = updates[-1]
    left, right = woven.image.crop((0, 0, 36, 60)), woven.image.crop((36, 0, 72, 60))
    low, truth = shrink(left.crop((3, 15, 33, 45)), 3)
    expected, info = texture_super_resolve(low, right, steps=2, truth=truth, model=MODEL, return_info=True)
    result = pixels(download["value"])
    assert np.array_equal(result, np.asarray(expected)) and Path(download["value"]).name == "a-basket-x3.png"
    # on the page each pixel is a square of 16
    assert np.array_equal(pixels(after), result.repeat(16, 0).repeat(16, 1))
    bicubic = np.asarray(texture_super_resolve(low, model="bicubic")).astype(int)
    assert np.abs(pixels(before)[::16, ::16] - bicubic).max() <= 1
    assert f"{info.psnr:.2f}" in words(figures) and f"{info.gram_snr:.2f}" in words(figures)
    assert "guided by the reference" in status and "2 iterations" in status
    assert [caption for _, caption in close] == ["Bicubic", "Result", "Truth", "Reference"]
    assert np.array_equal(pixels(close[2][0])[::10, ::10], np.asarray(truth))
    assert halt == gr.update(interactive=False) and updates[0][-1] == gr.update(interactive=True)
    assert "<progress" in updates[1][1] and updates[1][4] == gr.skip()


def test_a_small_picture_has_no_truth(woven: Picture, tmp_path: Path) -> None:
    small = opened(tmp_path / "small.png", woven.image.crop((0, 0, 12, 9)))
    *_, last = enlarge(small, woven, source=SMALL, guide=OTHER)
    expected = texture_super_resolve(small.image, woven.image, steps=2, model=MODEL)
    assert np.array_equal(pixels(last[4]["value"]), np.asarray(expected))
    assert "PSNR" not in last[2] and "36×27" in words(last[2]) and "Residual" in last[2]
    assert [caption for _, caption in last[3]] == ["Bicubic", "Result", "Reference"]
    *_, last = enlarge(small, woven, source=SMALL, guide=NONE)
    assert "without a reference" in last[1]
    assert np.array_equal(pixels(last[4]["value"]), np.asarray(texture_super_resolve(small.image, steps=2)))


def test_transparency_is_kept(woven: Picture, tmp_path: Path) -> None:
    image = woven.image.crop((0, 0, 12, 9))
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    *_, last = enlarge(opened(tmp_path / "clear.png", image), source=SMALL, guide=NONE)
    assert Image.open(last[4]["value"]).mode == "RGBA"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guide": OTHER}, "reference: none was given"),
        ({"source": SMALL, "guide": OTHER}, "reference: none was given"),
        ({"model": "nothing.there"}, "unknown model"),
        ({"model": "tv2d.isotropic"}, "is for denoise"),
        ({"lam": -1}, "lam"),
    ],
)
def test_mistakes_are_explained(woven: Picture, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(gr.Error, match=message):
        enlarge(woven, **changes)


def test_pictures_of_the_wrong_size(tmp_path: Path) -> None:
    with pytest.raises(gr.Error, match="no picture was given"):
        enlarge(None)
    with pytest.raises(gr.Error, match="too small to be its own reference"):
        enlarge(opened(tmp_path / "dot.png", Image.new("RGB", (40, 9))))
    with pytest.raises(gr.Error, match="megapixels"):
        enlarge(opened(tmp_path / "big.png", Image.new("L", (400, 400))), source=SMALL, guide=NONE)


def test_a_picture_that_was_taken_away_ends_the_run(woven: Picture) -> None:
    run = handlers.enlarge(woven, None, *SETTINGS.values())
    next(run)
    handlers.without_picture(woven)
    assert list(run) == [] and not woven.folder.exists()


def test_what_can_guide() -> None:
    guide, side = handlers.choices(LARGE, MODEL)
    assert guide["value"] == REST and [value for _, value in guide["choices"]] == [REST, OTHER, NONE]
    assert side["visible"]
    guide, side = handlers.choices(SMALL, MODEL)
    assert [value for _, value in guide["choices"]] == [OTHER, NONE] and not side["visible"]
    for name in (name for name in handlers.models() if name.startswith("srcnn")):
        assert [value for _, value in handlers.choices(LARGE, name)[0]["choices"]] == [NONE]


def test_opening(tmp_path: Path, woven: Picture) -> None:
    upload = record(tmp_path / "one.png", woven.image)
    picture, status = handlers.open_upload(upload, woven)
    assert "72 × 60" in status and not woven.folder.exists()
    *_, source = handlers.open_example(upload, picture)
    assert source == LARGE
    reference = handlers.open_reference(upload, None)
    handlers.without_reference(reference)
    assert not reference.folder.exists()


def test_examples_are_textures() -> None:
    found = textures()
    assert found[-1].label == "Basket"
    for example in found:
        with Image.open(example.path) as image:
            assert min(image.size) >= 384
    assert np.array_equal(np.asarray(basket(48)), np.asarray(basket(48)))


def test_endpoint(tmp_path: Path, woven: Picture) -> None:
    small = woven.image.crop((0, 0, 10, 8))
    given, guide = record(tmp_path / "s.png", small), record(tmp_path / "r.png", woven.image)
    path, info = tab.superres(given, guide, 2, "auto", 20, 2, 1)
    expected = texture_super_resolve(small, woven.image, 2, lam=20, intensity=2, steps=1)
    assert np.array_equal(pixels(path), np.asarray(expected)) and info["guided"] and info["lam"] == 20
    path, info = tab.superres(given, None, 4, "bicubic")
    assert np.array_equal(pixels(path), np.asarray(texture_super_resolve(small, scale=4, model="bicubic")))
    assert info["model"] == "bicubic"


def test_names_of_engines() -> None:
    names = handlers.models()
    assert {registry.info(name).arch for name in names} <= {"gatys", "flexible_solver", "srcnn"}
    assert len({handlers.label(name) for name in names}) == len(names)
