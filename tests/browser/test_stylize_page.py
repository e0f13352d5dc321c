"""A visitor's way through the "Style transfer" tab, in a real browser, with an engine that is always installed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlparse

import pytest
from PIL import Image

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

PATIENCE = 60_000
SETTINGS = {"model": "gatys.vgg19_half", "steps": 2, "size": 64, "styles": ["gallery:tesserae"], "content": "Paper cut"}


def test_a_link_regions_and_the_result(visit: Callable[..., Any], server: str) -> None:
    seen = visit(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = seen.page
    page.goto(f"{server}/?stylize={quote(json.dumps(SETTINGS))}")
    expect(page.locator("#style-start")).to_be_visible(timeout=PATIENCE)
    seen.errors.clear()  # requests of the page that was left while it loaded
    expect(page.locator("#style-slot-1 img")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#style-gallery img")).to_have_count(10, timeout=PATIENCE)
    expect(page.locator("#style-status")).to_contain_text("press Transfer", timeout=PATIENCE)

    page.locator("#style-slot").get_by_text("style 2").click()
    page.locator("#style-gallery button").nth(9).click()
    expect(page.locator("#style-slot-2 img")).to_be_visible(timeout=PATIENCE)
    page.locator("#style-regions").get_by_text("Regions").first.click()
    canvas = page.locator("#style-canvas canvas").first
    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(1000)
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 - 30, box["y"] + box["height"] / 2)
    page.mouse.down()
    for step in range(6):
        page.mouse.move(box["x"] + box["width"] / 2 - 30 + 10 * step, box["y"] + box["height"] / 2)
    page.mouse.up()
    page.locator("#style-start").click()
    expect(page.locator("#style-status")).to_contain_text("Done in", timeout=PATIENCE)
    # two regions of two iterations each, and no loss for several regions
    expect(page.locator("#style-status")).to_contain_text("4 iterations")
    expect(page.locator("#style-figures")).to_contain_text("64×64")
    expect(page.locator("#style-figures")).not_to_contain_text("Loss")
    assert page.locator("#style-strip img").count() >= 3
    with page.expect_download() as download:
        page.locator("#style-download").click()
    assert download.value.suggested_filename == "paper-cut-stylized.png"
    assert Image.open(download.value.path()).size == (64, 64)

    page.locator("#style-settings").get_by_text("Settings as text").click()
    written = page.locator("#style-text textarea")
    assert json.loads(written.input_value()) == {**SETTINGS, "styles": ["gallery:tesserae", "gallery:drips"]}
    written.fill("{")
    page.locator("#style-apply").click()
    expect(page.locator(".toast-body")).to_contain_text("settings: not JSON", timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing sticks out sideways"
    assert Image.open(io.BytesIO(page.screenshot())).width == 390
    hosts = {urlparse(url).hostname for url in seen.requests if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"} and seen.errors == []
