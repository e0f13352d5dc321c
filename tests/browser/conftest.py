"""The app in a process of its own, and a Chromium that looks at it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

ROOT = Path(__file__).parents[2]
CHROMIUM = next(
    (path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))),
    "/usr/bin/chromium" if Path("/usr/bin/chromium").exists() else None,
)
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `python app.py`, started as a user starts it."""
    pytest.importorskip("playwright", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    home = tmp_path_factory.mktemp("app")
    environment = os.environ | {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "TMPDIR": str(home),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    environment.pop("GRADIO_TEMP_DIR", None)
    log = home / "log.txt"
    with log.open("wb") as sink:
        process = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=sink, stderr=sink)
    try:
        wait_for(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(30)
    assert "Traceback" not in log.read_text(), log.read_text()
    assert not list(home.glob("neural-solver-zoo-*")), "the app left its temporary folder behind"


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"app.py ended with {process.returncode}:\n{log.read_text()}")
        try:
            opener.open(url, timeout=5).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"app.py did not answer:\n{log.read_text()}")


@pytest.fixture(scope="session")
def chromium(server: str) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@dataclass
class Visit:
    """One visitor's page, with what it asked for and complained about."""

    page: Page
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    sending: set[Request] = field(default_factory=set)
    """Uploads under way."""

    def began(self, request: Request) -> None:
        self.requests.append(request.url)
        if request.url.endswith("/upload"):
            self.sending.add(request)

    def ended(self, request: Request) -> None:
        self.sending.discard(request)

    def number(self, place: str, value: int) -> None:
        """Types a number into a component; once more where a panel that has just been opened sets it back."""
        box = self.page.locator(f"{place} input[type=number]")
        for _ in range(20):
            box.fill(str(value))
            box.press("Enter")
            self.page.wait_for_timeout(150)
            if box.input_value() == str(value):
                return
        raise AssertionError(f"{place} does not keep {value}: it says {box.input_value()}")

    def settle(self) -> None:
        """Waits for uploads: the picture editor sends its picture again and again, at every change of the layout."""
        calm = 0
        for _ in range(200):
            calm = 0 if self.sending else calm + 1
            if calm == 10:
                return
            self.page.wait_for_timeout(50)


@pytest.fixture
def visit(chromium: Browser, server: str) -> Iterator[Callable[..., Visit]]:
    """Opens the app in a fresh browser context with the given options; each is a visitor of its own."""
    visits: list[Visit] = []

    def arrive(**options: Any) -> Visit:
        context = chromium.new_context(accept_downloads=True, **options)
        seen = Visit(context.new_page())
        visits.append(seen)
        seen.page.set_default_timeout(20_000)
        seen.page.on("request", seen.began)
        seen.page.on("requestfinished", seen.ended)
        seen.page.on("requestfailed", seen.ended)
        seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
        seen.page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
        seen.page.goto(server)
        seen.page.get_by_role("heading", name="Neural Solver Zoo").wait_for()
        return seen

    yield arrive
    for seen in visits:
        seen.settle()
        seen.page.context.close()


@pytest.fixture
def desktop(visit: Callable[..., Visit]) -> Visit:
    return visit(viewport={"width": 1280, "height": 900})
