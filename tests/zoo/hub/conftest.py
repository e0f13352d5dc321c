"""The Hub on loopback, a client that talks to it, and small models to publish."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import TOKEN, LoopbackHub

import zoo
from zoo import registry


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A fresh Hub, asked by this process with a good token and an empty cache; nothing waits between two tries."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    server = LoopbackHub()
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "no-tokens"))
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    # one client serves the process, with its pool of connections: begin and end with a fresh one
    _http.close_session()
    yield server
    _http.close_session()
    server.close()


@pytest.fixture
def without_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The package as if it brought no weights."""
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path / "nothing")
    return tmp_path / "nothing"


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Changes fields of an entry of the registry for this test."""

    def change(name: str, **fields: Any) -> zoo.Entry:
        made = dataclasses.replace(registry.info(name), **fields)
        entries = {**registry._entries(), made.name: made}
        monkeypatch.setattr(registry, "_entries", lambda: entries)
        return made

    return change
