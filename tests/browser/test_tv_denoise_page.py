"""A visitor's way through the "Denoising" tab, in a real browser."""

from __future__ import annotations

import io
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Page, expect

# the page may still be loading torch when the first test arrives
PATIENCE = 60_000


def picture_file(folder: Path, size: tuple[int, int] = (96, 64), name: str = "striped photo.png") -> Path:
    """A small picture with an edge and noise of its own."""
    width, height = size
    pixels = np.full((height, width, 3), (180, 120, 60), dtype=np.float64)
    pixels[:, width // 2 :] = (40, 90, 160)
    pixels += np.random.default_rng(0).normal(0, 12, pixels.shape)
    path = folder / name
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path


def figure(page: Page, name: str) -> str:
    return page.locator("#tv-figures div", has=page.locator("dt", has_text=name)).last.locator("dd").inner_text()


def shown(page: Page) -> list[str]:
    """The addresses of the two pictures of the before/after view."""
    return [source for source in page.locator("#tv-pair img").evaluate_all("all => all.map(image => image.src)")]


def fetched(url: str) -> np.ndarray:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url) as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())))


def upload(page: Page, path: Path) -> None:
    page.locator("#tv-picture input[type=file]").set_input_files(path)


def solved(page: Page) -> None:
    expect(page.locator("#tv-status")).to_contain_text(re.compile("(Solved|Denoised) in"), timeout=PATIENCE)


def choose(page: Page, model: str) -> None:
    page.locator("#tv-model").get_by_text(model, exact=True).click()


def test_example_noise_and_lam(desktop: Any) -> None:
    page = desktop.page
    choose(page, "Total variation, anisotropic")
    page.locator("#tv-examples button").nth(1).click()
    solved(page)
    value, before = (float(number) for number in re.findall(r"\d+\.\d+", figure(page, "PSNR")))
    assert value > before + 5, "denoising the flat example gains many decibels"
    assert "added" in figure(page, "Noise")
    assert "from" in figure(page, "SSIM")
    assert "from σ" in figure(page, "Strength")
    noisy, clean = shown(page)
    assert fetched(noisy).shape == fetched(clean).shape

    slider = page.locator("#tv-lam input[type=range]")
    slider.focus()
    for _ in range(4):
        slider.press("ArrowRight")
    expect(page.locator("#tv-figures")).to_contain_text("by hand", timeout=PATIENCE)
    expect(page.locator("#tv-auto input")).not_to_be_checked()
    page.wait_for_function("before => document.querySelectorAll('#tv-pair img')[1].src !== before", arg=clean)
    assert shown(page)[0] == noisy, "the noise stays while λ moves"
    assert (fetched(shown(page)[1]) != fetched(clean)).any()

    noise = page.locator("#tv-sigma input[type=range]")
    noise.focus()
    noise.press("ArrowRight")
    page.wait_for_function("before => document.querySelectorAll('#tv-pair img')[0].src !== before", arg=noisy)
    assert desktop.errors == []


def test_result_is_the_endpoints(desktop: Any, server: str, tmp_path: Path) -> None:
    from gradio_client import Client, handle_file

    page = desktop.page
    source = picture_file(tmp_path)
    choose(page, "Total variation, anisotropic")
    upload(page, source)
    solved(page)
    assert "estimated" in figure(page, "Noise")
    assert "PSNR" not in page.locator("#tv-figures").inner_text()
    with page.expect_download() as download:
        page.locator("#tv-download").click()
    assert download.value.suggested_filename == "striped-photo-denoised.png"
    result = np.asarray(Image.open(download.value.path()))
    answer, figures = Client(server, verbose=False).predict(handle_file(str(source)), api_name="/tv_denoise")
    assert np.array_equal(result, np.asarray(Image.open(answer)))
    assert figures["relative_gap"] <= 1e-4
    assert result.std() < np.asarray(Image.open(source)).std()


def test_other_mode_and_its_card(desktop: Any, tmp_path: Path) -> None:
    page = desktop.page
    choose(page, "Total variation, anisotropic")
    upload(page, picture_file(tmp_path))
    solved(page)
    first = shown(page)[1]
    page.get_by_text("About this model").click()
    expect(page.locator("#tv-denoise-card")).to_contain_text("tv2d.anisotropic")
    choose(page, "Total variation, isotropic")
    expect(page.locator("#tv-denoise-card")).to_contain_text("tv2d.isotropic")
    page.wait_for_function("before => document.querySelectorAll('#tv-pair img')[1].src !== before", arg=first)
    assert (fetched(shown(page)[1]) != fetched(first)).any()


def test_a_network_has_no_controls(desktop: Any, tmp_path: Path) -> None:
    page = desktop.page
    networks = page.locator("#tv-model label", has_text="DnCNN")
    if networks.count() == 0:
        pytest.skip("no denoising network is installed")
    networks.first.click()
    expect(page.locator("#tv-lam")).to_have_count(0)
    expect(page.locator("#tv-model")).to_contain_text("no strength λ")
    upload(page, picture_file(tmp_path))
    expect(page.locator("#tv-status")).to_contain_text("Denoised in", timeout=PATIENCE)
    assert "λ" not in page.locator("#tv-figures").inner_text()
    choose(page, "Total variation, isotropic")
    expect(page.locator("#tv-lam")).to_be_visible()
    expect(page.locator("#tv-status")).to_contain_text("Solved in", timeout=PATIENCE)
    assert desktop.errors == []


def test_wrong_file_is_explained(desktop: Any, tmp_path: Path) -> None:
    page = desktop.page
    wrong = tmp_path / "notes.png"
    wrong.write_text("not a picture")
    upload(page, wrong)
    toast = page.locator(".toast-body")
    expect(toast).to_contain_text("notes.png is not a picture that can be read", timeout=PATIENCE)
    assert "Traceback" not in page.content()
    expect(page.locator("#tv-picture img")).to_have_count(0)
    upload(page, picture_file(tmp_path))
    solved(page)


def test_no_picture_is_explained(desktop: Any) -> None:
    page = desktop.page
    page.locator("#tv-start").click()
    expect(page.locator(".toast-body")).to_contain_text("no picture was given", timeout=PATIENCE)


def test_stop_ends_a_large_solve(desktop: Any, tmp_path: Path) -> None:
    page = desktop.page
    upload(page, picture_file(tmp_path, (2400, 1800), "large.png"))
    stop = page.locator("#tv-stop")
    expect(page.locator("#tv-status progress")).to_be_visible(timeout=PATIENCE)
    expect(stop).to_be_enabled()
    stop.click()
    expect(page.locator("#tv-status")).to_contain_text("Stopped")
    expect(stop).to_be_disabled()
    page.wait_for_timeout(1500)
    expect(page.locator("#tv-status")).to_contain_text("Stopped")


def test_clearing_empties_the_page(desktop: Any, tmp_path: Path) -> None:
    page = desktop.page
    upload(page, picture_file(tmp_path))
    solved(page)
    address = shown(page)[1]
    page.locator("#tv-picture").get_by_label("Remove Image").click()
    expect(page.locator("#tv-pair img")).to_have_count(0)
    expect(page.locator("#tv-download")).to_be_disabled()
    with pytest.raises(urllib.error.HTTPError):
        fetched(address)


def test_nothing_comes_from_outside(desktop: Any, tmp_path: Path) -> None:
    page = desktop.page
    page.get_by_text("About this model").click()
    upload(page, picture_file(tmp_path))
    solved(page)
    page.wait_for_timeout(800)
    hosts = {urlparse(url).hostname for url in desktop.requests if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
    assert desktop.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_screen(visit: Callable[..., Any], tmp_path: Path, scheme: str) -> None:
    seen = visit(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page = seen.page
    upload(page, picture_file(tmp_path))
    solved(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing sticks out sideways"
    shot = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    assert shot.width == 390
    corner = np.asarray(shot.convert("L"))[2, 2]
    assert corner > 200 if scheme == "light" else corner < 60
    assert seen.errors == []
