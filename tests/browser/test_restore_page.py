"""A visitor's way through the "Restore" tab, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlparse

import numpy as np
import pytest
from PIL import Image

from space.damaged import damaged
from space.examples import paper_cut

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import expect

PATIENCE = 60_000


def test_examples(visit: Callable[..., Any]) -> None:
    if len(damaged()) < 4:
        pytest.skip("scikit-image's pictures are not installed")
    seen = visit(viewport={"width": 1280, "height": 900})
    page = seen.page
    page.get_by_role("tab", name="Restore").click()
    start, status = page.locator("#restore-start"), page.locator("#restore-status")
    start.click()
    expect(page.get_by_text("no picture was given").first).to_be_visible(timeout=PATIENCE)

    page.locator("#restore-examples .gallery-item").first.click()
    expect(page.locator("#restore-model input")).to_have_value("lcm.faces128", timeout=PATIENCE)
    seen.number("#restore-seconds", 2)
    page.wait_for_timeout(1500)  # the editor has taken over picture and paint
    start.click()
    expect(status).to_contain_text("by lcm.faces128", timeout=PATIENCE)
    expect(page.locator("#restore-figures")).to_contain_text("from the encoder's start")
    with page.expect_download() as download:
        page.locator("#restore-download").click()
    result = np.asarray(Image.open(download.value.path()).convert("RGB")).astype(int)
    given, holes = np.asarray(damaged()[0].picture).astype(int), np.asarray(damaged()[0].holes) > 127
    assert np.array_equal(result[~holes], given[~holes]), "what is known stays"
    # the picture under the paint is whole: what was filled in is near it
    assert np.abs(result - given)[holes].mean() < 25

    page.locator("#restore-examples .gallery-item").nth(1).click()
    expect(page.get_by_label("Give colour")).to_be_checked(timeout=PATIENCE)
    page.wait_for_timeout(1500)
    start.click()
    expect(status).to_contain_text("Restoring", timeout=PATIENCE)
    expect(status).to_contain_text("by lcm.faces128", timeout=PATIENCE)
    assert seen.errors == []


def test_painting_stopping_and_latents(visit: Callable[..., Any], encoded: Callable[..., bytes]) -> None:
    seen = visit(viewport={"width": 1280, "height": 900}, color_scheme="dark")
    page = seen.page
    page.get_by_role("tab", name="Restore").click()
    start, halt, status = (page.locator(f"#restore-{name}") for name in ("start", "stop", "status"))
    expect(page.locator("#restore-canvas canvas").first).to_be_visible(timeout=PATIENCE)
    page.wait_for_timeout(3000)  # the editor takes files some time after it is seen
    page.locator("#restore-canvas input[type=file]").first.set_input_files(
        {"name": "paper.png", "mimeType": "image/png", "buffer": encoded(paper_cut(96))}
    )
    page.wait_for_timeout(3000)
    start.click()
    expect(page.get_by_text("nothing was painted").first).to_be_visible(timeout=PATIENCE)
    page.locator("#restore-canvas canvas").first.scroll_into_view_if_needed()
    box = page.locator("#restore-canvas canvas").first.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 20, y + 8, steps=5)
    page.mouse.up()
    page.wait_for_timeout(1000)
    seen.number("#restore-seconds", 60)
    start.click()
    expect(status).to_contain_text("Restoring: step", timeout=PATIENCE)
    halt.click()
    expect(status).to_contain_text("Stopped", timeout=PATIENCE)

    page.get_by_text("Between two pictures, and pictures of nothing in particular").click()
    page.locator("#restore-draw").click()
    expect(page.locator("#restore-more-status")).to_contain_text("Drawn from lcm.faces128", timeout=PATIENCE)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing sticks out sideways"
    hosts = {urlparse(url).hostname for url in seen.requests if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"} and seen.errors == []
