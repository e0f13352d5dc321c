"""A visitor's way through the "Texture super-resolution" tab, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse

import pytest
from PIL import Image

from space.examples import basket

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

PATIENCE = 60_000


def test_a_large_picture_and_then_a_small_one(visit: Callable[..., Any], encoded: Callable[..., bytes]) -> None:
    seen = visit(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    page = seen.page
    page.get_by_role("tab", name="Texture super-resolution").click()
    start, status = page.locator("#superres-start"), page.locator("#superres-status")
    start.click()
    expect(page.get_by_text("no picture was given").first).to_be_visible(timeout=PATIENCE)

    page.locator("#superres-picture input[type=file]").set_input_files(
        {"name": "weave.png", "mimeType": "image/png", "buffer": encoded(basket(120))}
    )
    expect(status).to_contain_text("120 × 120 pixels: press Enlarge", timeout=PATIENCE)
    page.get_by_text("Advanced").locator("visible=true").click()
    seen.number("#superres-steps", 3)
    seen.number("#superres-side", 60)
    start.click()
    expect(status).to_contain_text("guided by the reference, 3 iterations", timeout=PATIENCE)
    expect(page.locator("#superres-figures")).to_contain_text("Gram SNR")
    expect(page.locator("#superres-figures")).to_contain_text("60×60")
    expect(page.locator("#superres-close img")).to_have_count(4, timeout=PATIENCE)
    with page.expect_download() as download:
        page.locator("#superres-download").click()
    assert download.value.suggested_filename == "weave-x3.png"
    assert Image.open(download.value.path()).size == (60, 60)

    page.locator("#superres-source").get_by_text("small: enlarge it").click()
    expect(page.locator("#superres-reference")).to_be_visible(timeout=PATIENCE)
    start.click()
    expect(page.get_by_text("reference: none was given").first).to_be_visible(timeout=PATIENCE)
    page.locator("#superres-guide").get_by_text("Nothing").click()
    page.locator("#superres-scale").get_by_text("×2").click()
    start.click()
    expect(status).to_contain_text("without a reference, 3 iterations", timeout=PATIENCE)
    expect(page.locator("#superres-figures")).to_contain_text("240×240")
    expect(page.locator("#superres-figures")).not_to_contain_text("PSNR")
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.locator("#superres-pair")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing sticks out sideways"
    hosts = {urlparse(url).hostname for url in seen.requests if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"} and seen.errors == []
