"""A visitor's way through the "Photo and video" tab, in a real browser, with an engine that is always installed."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlparse

import pytest
from PIL import Image

pytest.importorskip("playwright", reason="playwright is not installed")
pytest.importorskip("av")

from playwright.sync_api import expect

PATIENCE = 240_000


def number(page: Any, place: str, value: int) -> None:
    box = page.locator(f"#{place} input")
    box.fill(str(value))
    box.blur()


def test_a_photograph_then_a_video(desktop: Any, tmp_path: Any) -> None:
    page = desktop.page
    page.get_by_role("tab", name="Photo and video").click()
    expect(page.locator("#pv-style img")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#pv-gallery img")).to_have_count(10, timeout=PATIENCE)
    page.locator("#pv-start").click()
    expect(page.locator(".toast-body")).to_contain_text("no picture was given", timeout=PATIENCE)

    page.locator("#pv-image-examples .gallery-item").nth(1).click()
    expect(page.locator("#pv-image img")).to_be_visible(timeout=PATIENCE)
    page.locator("#pv-style-examples .gallery-item").nth(0).click()
    page.locator("#pv-more").get_by_text("Engine, size and length").click()
    # the optimisation is always installed, and slow enough to be stopped
    page.locator("#pv-model input").click()
    page.get_by_role("option", name="gatys.vgg19_half").click()
    page.wait_for_timeout(1000)
    number(page, "pv-size", 48)
    number(page, "pv-steps", 2)
    page.locator("#pv-start").click()
    expect(page.locator("#pv-status")).to_contain_text("Done in", timeout=PATIENCE)
    expect(page.locator("#pv-figures")).to_contain_text("Edges")
    expect(page.locator("#pv-stop")).to_be_disabled()
    with page.expect_download() as download:
        page.locator("#pv-download").click()
    assert download.value.suggested_filename.endswith("-stylized.png")
    assert max(Image.open(download.value.path()).size) == 48

    page.locator("#pv-kind").get_by_text("A video").click()
    expect(page.locator("#pv-temporal")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#pv-image")).to_be_hidden()
    page.locator(".pv-clip").first.click()
    expect(page.locator("#pv-video video")).to_be_visible(timeout=PATIENCE)
    number(page, "pv-frames", 3)
    page.locator("#pv-start").click()
    expect(page.locator("#pv-status")).to_contain_text("3 frames in", timeout=PATIENCE)
    expect(page.locator("#pv-frame img")).to_be_visible()
    expect(page.locator("#pv-figures")).to_contain_text("Warping error")
    playable = "document.querySelector('#pv-result video').readyState >= 2"
    page.wait_for_function(playable, timeout=PATIENCE)
    assert page.evaluate("document.querySelector('#pv-result video').videoWidth") == 48

    number(page, "pv-frames", 20)
    number(page, "pv-steps", 60)  # so many that it cannot be over before it is stopped
    page.locator("#pv-start").click()
    expect(page.locator("#pv-status")).to_contain_text("of 20", timeout=PATIENCE)
    page.locator("#pv-stop").click()
    expect(page.locator("#pv-status")).to_contain_text("What was done is kept", timeout=PATIENCE)
    page.wait_for_function(playable, timeout=PATIENCE)
    with page.expect_download() as download:
        page.locator("#pv-download").click()
    assert download.value.suggested_filename == "sunrise-stylized.mp4"
    assert download.value.path().stat().st_size > 500

    wrong = tmp_path / "broken.mp4"
    wrong.write_bytes(b"not a video")
    page.locator("#pv-video").get_by_label("Clear").click()
    page.locator("#pv-video input[type=file]").set_input_files(wrong)
    page.wait_for_timeout(1500)
    page.locator("#pv-start").click()
    expect(page.locator(".toast-body").last).to_contain_text("broken.mp4 cannot be read", timeout=PATIENCE)
    hosts = {urlparse(url).hostname for url in desktop.requests if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}


def test_nothing_sticks_out_on_a_phone(visit: Any) -> None:
    page = visit(viewport={"width": 390, "height": 844}, color_scheme="dark").page
    handle = page.get_by_role("tab", name="Photo and video").locator("visible=true")
    menu = page.locator(".overflow-menu > button")
    expect(handle.or_(menu).first).to_be_visible(timeout=PATIENCE)
    if menu.is_visible():
        menu.click()
        page.locator(".overflow-dropdown").get_by_text("Photo and video").click()
    else:
        handle.click()
    page.locator("#pv-kind").get_by_text("A video").click()
    expect(page.locator("#pv-temporal")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#pv-lam")).to_be_hidden()
    page.locator("#pv-mode").get_by_text("Still a photograph").click()
    expect(page.locator("#pv-lam")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
