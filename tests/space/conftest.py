"""The app, served by this process on a free port, and visitors that speak to it as the page does."""

from __future__ import annotations

import io
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the app's extra is not installed")

import gradio as gr
import httpx


@pytest.fixture(scope="session", autouse=True)
def upload_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where Gradio keeps files during the tests."""
    folder = tmp_path_factory.mktemp("gradio")
    before = os.environ.get("GRADIO_TEMP_DIR")
    os.environ["GRADIO_TEMP_DIR"] = str(folder)
    yield folder
    if before is None:
        del os.environ["GRADIO_TEMP_DIR"]
    else:
        os.environ["GRADIO_TEMP_DIR"] = before


@pytest.fixture(scope="session")
def demo(upload_folder: Path) -> gr.Blocks:
    from space.shell import build

    return build()


@pytest.fixture(scope="session")
def server(demo: gr.Blocks) -> Iterator[str]:
    """The address of the app."""
    from space.shell import launch

    with socket.socket() as probe, pytest.MonkeyPatch.context() as patch:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        patch.setenv("GRADIO_SERVER_PORT", str(port))
        patch.setenv("GRADIO_SERVER_NAME", "127.0.0.1")
        patch.setenv("NO_PROXY", "127.0.0.1,localhost")
        patch.setenv("no_proxy", "127.0.0.1,localhost")
        url = launch(demo, block=False)
        yield url.rstrip("/")
        demo.close()


class Visitor:
    """A browser session without the browser: uploads, events and their answers."""

    def __init__(self, url: str, demo: gr.Blocks) -> None:
        self.session = secrets.token_hex(8)
        self.web = httpx.Client(base_url=url, trust_env=False, timeout=120)
        self.demo = demo

    def upload(self, name: str, content: bytes) -> dict[str, Any]:
        """Gradio's record of an uploaded file."""
        answer = self.web.post("/gradio_api/upload", files={"files": (name, content)})
        answer.raise_for_status()
        return {"path": answer.json()[0], "orig_name": name, "meta": {"_type": "gradio.FileData"}}

    def join(self, handler: str, data: list[Any], nth: int = 0) -> tuple[int, str]:
        """Starts the nth event whose handler has this name; returns the numbers that identify it."""
        index = [number for number, fn in self.demo.fns.items() if fn.name == handler][nth]
        body = {"data": data, "fn_index": index, "session_hash": self.session, "trigger_id": None}
        answer = self.web.post("/gradio_api/queue/join", json=body)
        answer.raise_for_status()
        return index, answer.json()["event_id"]

    def messages(self) -> Iterator[dict[str, Any]]:
        """What the server sends, until it closes the stream."""
        with self.web.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.session}) as stream:
            for line in stream.iter_lines():
                if line.startswith("data:"):
                    message = json.loads(line[5:])
                    yield message
                    if message["msg"] == "close_stream":
                        return

    def call(self, handler: str, data: list[Any], nth: int = 0) -> dict[str, Any]:
        """The last message about an event: `success`, and `output` with `data` or `error`."""
        self.join(handler, data, nth)
        return [message for message in self.messages() if message["msg"] == "process_completed"][-1]

    def picture(self, record: dict[str, Any]) -> Image.Image:
        """A picture that an answer refers to."""
        answer = self.web.get(f"/gradio_api/file={record['path']}")
        answer.raise_for_status()
        return Image.open(io.BytesIO(answer.content))


@pytest.fixture
def visitor(server: str, demo: gr.Blocks) -> Iterator[Callable[[], Visitor]]:
    """Makes visitors, each with a session of its own."""
    made: list[Visitor] = []

    def arrive() -> Visitor:
        made.append(Visitor(server, demo))
        return made[-1]

    yield arrive
    for one in made:
        one.web.close()
