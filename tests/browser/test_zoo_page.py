"""A visitor's way through the "Zoo" tab, in a real browser."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Page, expect

import zoo

PATIENCE = 60_000


def open_tab(page: Page) -> None:
    handle = page.get_by_role("tab", name="Zoo", exact=True).locator("visible=true")
    menu = page.locator(".overflow-menu > button")
    expect(handle.or_(menu).first).to_be_visible()
    if handle.count() == 0:  # a narrow screen has no room for all handles
        menu.click()
        page.locator(".overflow-dropdown").get_by_text("Zoo", exact=True).click()
    else:
        handle.first.click()
    expect(page.locator("#zoo-table")).to_contain_text("dncnn.sigma25")  # rows out of sight are not in the page


def test_search_choose_download(desktop: Any) -> None:
    page = desktop.page
    open_tab(page)
    expect(page.locator("#zoo-count")).to_contain_text(f"{len(zoo.list_models())} models")
    page.locator("#zoo-search textarea, #zoo-search input").first.fill("cosine dictionary")
    expect(page.locator("#zoo-count")).to_contain_text("1 model")
    expect(page.locator("#zoo-table")).not_to_contain_text("tv2d.isotropic")
    expect(page.locator("#zoo-model input")).to_have_value("lista.patches")
    expect(page.locator("#zoo-card")).to_contain_text("Gregor")
    expect(page.locator("#zoo-card")).to_contain_text("zoo pull lista.patches")
    expect(page.locator("#zoo-picture img")).to_be_visible(timeout=PATIENCE)
    button = page.locator("#zoo-download")
    expect(button).to_contain_text("lista.patches.safetensors")
    with page.expect_download() as download:
        button.click()
    content = Path(download.value.path()).read_bytes()
    assert hashlib.sha256(content).hexdigest() == zoo.info("lista.patches").sha256
    assert download.value.suggested_filename == "lista.patches.safetensors"
    assert desktop.errors == []


def test_a_click_on_a_row(desktop: Any) -> None:
    page = desktop.page
    open_tab(page)
    page.locator("#zoo-search textarea, #zoo-search input").first.fill("tv2d")
    expect(page.locator("#zoo-count")).to_contain_text("2 models")
    page.locator("#zoo-table").get_by_text("tv2d.isotropic", exact=True).locator("visible=true").last.click()
    expect(page.locator("#zoo-model input")).to_have_value("tv2d.isotropic")
    expect(page.locator("#zoo-card")).to_contain_text("Rudin")
    expect(page.locator("#zoo-status")).to_contain_text("solver without weights", timeout=PATIENCE)
    expect(page.locator("#zoo-download")).to_be_disabled()
    assert desktop.errors == []


def test_narrow_screen(visit: Callable[..., Any]) -> None:
    seen = visit(viewport={"width": 390, "height": 844})
    open_tab(seen.page)
    expect(seen.page.locator("#zoo-picture img")).to_be_visible(timeout=PATIENCE)
    assert seen.page.evaluate("document.documentElement.scrollWidth") <= 390, "nothing sticks out sideways"
    assert seen.errors == []
