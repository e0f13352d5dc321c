"""The handlers of the "Denoising" tab, called as functions."""

from __future__ import annotations

import functools
import html
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from space.pictures import Picture, forget, open_picture
from space.tabs import tv_denoise as tab
from zoo.tasks.denoise import denoise

TV = ("tv2d.anisotropic", "tv2d.isotropic")
SETTINGS: dict[str, Any] = {
    "sigma": 0,
    "seed": 0,
    "auto": True,
    "lam": 0.1,
    "model": "tv2d.anisotropic",
    "max_iter": 1000,
    "tol": 1e-4,
}


def opened(folder: Path, image: Image.Image) -> Picture:
    path = folder / "a picture.png"
    image.save(path)
    return open_picture({"path": str(path), "orig_name": path.name})


def solve(picture: Picture | None, handler: Any = tab.solve, **changes: Any) -> list[tuple[Any, ...]]:
    return list(handler(picture, *(SETTINGS | changes).values()))


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the test's small pictures large ones: streamed, and in steps of a few iterations."""
    task = importlib.import_module("zoo.tasks.denoise")
    monkeypatch.setattr(task, "denoise_steps", functools.partial(task.denoise_steps, chunk=5))
    monkeypatch.setattr(tab, "LIVE_SIDE", 64)


def skipped(value: Any) -> bool:
    return isinstance(value, dict) and value == gr.skip()


def pixels(path: str) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def text(page: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


@pytest.mark.parametrize("model", TV)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_result_is_the_tasks(tmp_path: Path, noisy: Image.Image, model: str, mode: str) -> None:
    image = noisy.convert(mode)
    if mode == "RGBA":
        image.putalpha(128)
    *_, (pair, status, figures, download, lam, halt) = solve(opened(tmp_path, image), model=model)
    expected, info = denoise(image, model, return_info=True)
    assert np.array_equal(pixels(pair[0]), np.asarray(image))
    assert np.array_equal(pixels(pair[1]), np.asarray(expected))
    assert download == gr.update(value=pair[1], interactive=True)
    assert lam == round(info.lam, 3)
    assert f"{info.relative_gap:.1e}" in figures and "estimated" in figures
    assert "Solved in" in status and "PSNR" not in figures
    assert halt == gr.update(interactive=False)


def test_added_noise_is_measured(tmp_path: Path, cartoon: np.ndarray) -> None:
    picture = opened(tmp_path, Image.fromarray(cartoon))
    *_, (pair, _, figures, *_) = solve(picture, sigma=25, seed=3)
    noisy = picture.noisy(25, 3).image
    result, info = denoise(noisy, sigma=25, reference=picture.image, return_info=True)
    assert np.array_equal(pixels(pair[1]), np.asarray(result))
    shown = text(figures)
    assert f"{info.psnr:.2f}" in shown and f"from {info.psnr_noisy:.2f}" in shown and f"{info.ssim:.3f}" in shown
    error = np.asarray(result).astype(float) - cartoon
    assert info.psnr == pytest.approx(10 * np.log10(255**2 / np.mean(error**2)), abs=1e-4)
    assert "25" in shown and "added" in shown


def test_lam_by_hand(tmp_path: Path, noisy: Image.Image) -> None:
    picture = opened(tmp_path, noisy)
    *_, (pair, _, figures, _, lam, _) = solve(picture, tab.solve_by_hand, lam=0.2, auto=True)
    assert np.array_equal(pixels(pair[1]), np.asarray(denoise(noisy, lam=0.2)))
    assert skipped(lam), "the visitor's slider is left alone"
    assert "by hand" in figures and "0.2000" in figures


def test_large_picture_is_streamed(tmp_path: Path, noisy: Image.Image, large: None) -> None:
    picture = opened(tmp_path, noisy)
    updates = solve(picture, lam=0.4, auto=False, tol=1e-7)
    assert len(updates) >= 4
    first, start, *middle, last = updates
    assert start[0][0] == start[0][1] and start[2] == "", "the last picture's result is gone"
    assert not start[3]["interactive"], "there is nothing to download yet"
    assert first[-1] == gr.update(interactive=True) and last[-1] == gr.update(interactive=False)
    assert all("iterations" in update[1] and "<progress" in update[1] for update in middle)
    expected = denoise(noisy, lam=0.4, tol=1e-7)
    difference = pixels(last[0][1]).astype(int) - np.asarray(expected)
    assert np.abs(difference).max() <= 1, "steps of another size end at the same minimum"


def test_large_picture_waits_for_the_button(
    tmp_path: Path, noisy: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tab, "LIVE_SIDE", 64)
    [update] = solve(opened(tmp_path, noisy), tab.solve_live)
    assert "press Denoise" in update[1]
    assert all(skipped(value) for index, value in enumerate(update) if index != 1)


def test_without_a_picture() -> None:
    with pytest.raises(ValueError, match="no picture"):
        solve(None)
    [update] = solve(None, tab.solve_live)
    assert all(skipped(value) for value in update)


def test_opening_takes_the_place_of_the_last(tmp_path: Path, noisy: Image.Image) -> None:
    first = opened(tmp_path, noisy)
    path = tmp_path / "next.png"
    noisy.save(path)
    second, sigma = tab.open_example({"path": str(path), "orig_name": "next.png"}, first)
    assert sigma > 0 and second.stem == "next"
    assert not first.folder.exists() and second.folder.exists()
    _, none = tab.open_upload({"path": str(path), "orig_name": "next.png"}, None)
    assert none == 0, "a visitor's picture has its own noise"
    with pytest.raises(ValueError):
        tab.open_upload({"path": str(tmp_path / "missing.png")}, second)
    assert second.folder.exists(), "a file that cannot be read takes nothing away"


def test_solve_ends_when_the_picture_is_gone(
    tmp_path: Path, noisy: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tab, "LIVE_SIDE", 64)
    picture = opened(tmp_path, noisy)
    updates = tab.solve(picture, *(SETTINGS | {"lam": 0.4, "auto": False, "tol": 1e-7}).values())
    for _ in range(3):
        next(updates)
    forget(picture)
    assert len(list(updates)) <= 1
    assert not picture.folder.exists(), "nothing is written for a picture that is gone"


def test_clear(tmp_path: Path, noisy: Image.Image) -> None:
    picture = opened(tmp_path, noisy)
    session, pair, status, figures, download = tab.clear(picture)
    assert session is None and pair is None and figures == "" and "Upload" in status
    assert download["value"] is None and not picture.folder.exists()


@settings(max_examples=15)
@given(
    size=st.tuples(st.integers(1, 14), st.integers(1, 14)),
    sigma=st.sampled_from([0, 10, 100]),
    lam=st.sampled_from([0.0, 0.05, 0.5]),
    auto=st.booleans(),
    model=st.sampled_from(TV),
    mode=st.sampled_from(["L", "RGB", "LA"]),
)
def test_any_small_picture(
    tmp_path_factory: pytest.TempPathFactory,
    size: tuple[int, int],
    sigma: int,
    lam: float,
    auto: bool,
    model: str,
    mode: str,
) -> None:
    picture = opened(tmp_path_factory.mktemp("any"), Image.effect_noise(size, 60).convert(mode))
    *_, (pair, *_) = solve(picture, sigma=sigma, lam=lam, auto=auto, model=model)
    before, after = (Image.open(path) for path in pair)
    assert before.size == after.size == size
    assert before.mode == after.mode == mode
    if lam == 0 and not auto:
        assert np.array_equal(np.asarray(before), np.asarray(after)), "λ = 0 changes nothing"
    forget(picture)


def test_warm_up_uses_every_model(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []

    def spy(image: Any, model: str, **options: Any) -> Any:
        used.append(model)
        return denoise(image, model, **options)

    monkeypatch.setattr(importlib.import_module("zoo.tasks.denoise"), "denoise", spy)
    tab.warm_up()
    assert sorted(used) == sorted(tab.models()) and set(TV) <= set(used)


def test_preview_only_while_cheap(
    tmp_path: Path, noisy: Image.Image, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a clock on which writing takes ten seconds and solving none: only the first partial result is shown
    clock = iter(range(0, 10_000, 10))
    monkeypatch.setattr(tab, "time", SimpleNamespace(perf_counter=lambda: float(next(clock))))
    updates = solve(opened(tmp_path, noisy), lam=0.4, auto=False, tol=1e-9, max_iter=600)
    partial: Iterator[Any] = (update[0] for update in updates[2:-1])
    assert [skipped(pair) for pair in partial][:2] == [False, True]


@pytest.fixture
def networks(install_denoiser: Any) -> None:
    install_denoiser("dncnn.sigma25", (25, 25))
    install_denoiser("dncnn_tv.blind", (0, 55))


def test_networks_are_offered_where_they_are(networks: None, install_denoiser: Any) -> None:
    install_denoiser("other.network", None)
    assert tab.models()[0] == "dncnn_tv.blind" and set(TV) < set(tab.models())
    with gr.Blocks() as page:
        choice = tab.build()
    assert choice.value == "dncnn_tv.blind"
    assert [text for text, _ in choice.choices] == [
        "DnCNN-TV, σ from 0 to 55",
        "DnCNN, σ = 25",
        "other, network",
        "Total variation, anisotropic",
        "Total variation, isotropic",
    ]
    parts = {block.elem_id: block for block in page.blocks.values() if getattr(block, "elem_id", None)}
    hidden = {name for name, block in parts.items() if not getattr(block, "visible", True)}
    assert {"tv-auto", "tv-lam", "tv-max-iter", "tv-tol"} <= hidden
    assert "no strength λ" in choice.info and "σ from 0 to 55" in choice.info


def test_controls_follow_the_model(networks: None) -> None:
    why, *rest = tab.controls("dncnn.sigma25")
    assert "no strength λ" in why["info"] and "σ = 25" in why["info"]
    assert len(rest) == 4 and not any(update["visible"] for update in rest)
    why, *rest = tab.controls("tv2d.isotropic")
    assert "no strength" not in why["info"] and all(update["visible"] for update in rest)


def test_a_network_denoises(tmp_path: Path, noisy: Image.Image, networks: None) -> None:
    picture = opened(tmp_path, noisy)
    # what the hidden controls say does not matter
    *_, (pair, status, figures, download, lam, halt) = solve(picture, model="dncnn_tv.blind", auto=False, lam=0.3)
    assert np.array_equal(pixels(pair[1]), np.asarray(denoise(noisy, "dncnn_tv.blind")))
    assert "by dncnn_tv.blind" in status and "trained" not in status
    assert "estimated" in figures and "λ" not in figures and "gap" not in figures
    assert skipped(lam) and download["value"] == pair[1] and halt == gr.update(interactive=False)


def test_a_level_that_a_network_was_not_trained_for_is_said(
    tmp_path: Path, cartoon: np.ndarray, networks: None
) -> None:
    picture = opened(tmp_path, Image.fromarray(cartoon))
    *_, (_, status, figures, *_) = solve(picture, model="dncnn.sigma25", sigma=40)
    assert "dncnn.sigma25; it was trained for σ = 25, and the noise is 40: dncnn_tv.blind fits better." in text(status)
    assert "PSNR" in figures
    *_, (_, status, *_) = solve(picture, model="dncnn.sigma25", sigma=25)
    assert "trained" not in status


def test_a_large_picture_comes_part_by_part(
    tmp_path: Path, noisy: Image.Image, networks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tab, "LIVE_SIDE", 64)
    picture = opened(tmp_path, noisy.resize((800, 300)))
    updates = solve(picture, model="dncnn_tv.blind")
    assert [re.search(r'value="([\d.]+)"', update[1])[1] for update in updates[2:-1]] == ["0.333", "0.667"]
    assert all("part by part" in update[1] for update in updates[2:-1])
    assert np.array_equal(pixels(updates[-1][0][1]), np.asarray(denoise(picture.image, "dncnn_tv.blind")))


def test_endpoint_takes_networks(tmp_path: Path, noisy: Image.Image, networks: None) -> None:
    noisy.save(tmp_path / "a.png")
    record = {"path": str(tmp_path / "a.png"), "orig_name": "a.png"}
    path, figures = tab.tv_denoise(record, "auto")
    assert figures["model"] == "dncnn.sigma25" and figures["sigma"] == pytest.approx(25, abs=2.5)
    assert np.array_equal(pixels(path), np.asarray(denoise(noisy, "dncnn.sigma25")))
