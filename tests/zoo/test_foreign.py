"""Weights that others publish, here a VGG-19 of random numbers from a server of this process."""

from __future__ import annotations

import dataclasses
import functools
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import zoo
from zoo import foreign, registry, vgg19
from zoo.checkpoints import file_sha256
from zoo.entry import Entry
from zoo.errors import CheckpointError, WeightsNotFoundError
from zoo.hub import client
from zoo.models.vgg import LAYERS, VGGEncoder


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with the layout of torchvision's; the caches are empty folders of the test, and the network is allowed."""
    torch.manual_seed(0)
    state, index = {}, 0
    for name, conv in VGGEncoder(64).convs.items():
        if name.endswith("_1") and name != "conv1_1":
            index += 1
        state |= {f"features.{index}.{key}": value for key, value in conv.state_dict().items()}
        index += 2
    state["classifier.0.weight"] = torch.zeros(2, 2)
    path = tmp_path / "web" / "vgg19.pth"
    path.parent.mkdir()
    torch.save(state, path)
    # three small pictures instead of eight large ones
    monkeypatch.setattr(vgg19, "dead_leaves", lambda seed: torch.rand(1, 3, 32, 32))
    monkeypatch.setenv("NEURAL_SOLVER_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(client, "offline", lambda: False)
    return path


@pytest.fixture
def asked() -> list[str]:
    """The paths that the server was asked for."""
    return []


@pytest.fixture
def entry(published: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Entry]:
    """`vgg19.imagenet`, published by a server on this machine."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(published.parent))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    real = registry.info("vgg19.imagenet")
    assert real.source is not None
    source = dataclasses.replace(
        real.source,
        url=f"http://127.0.0.1:{server.server_address[1]}/vgg19.pth",
        sha256=file_sha256(published),
        size_bytes=published.stat().st_size,
    )
    changed = dataclasses.replace(real, source=source)
    monkeypatch.setitem(registry._entries(), "vgg19.imagenet", changed)
    yield changed
    server.shutdown()
    server.server_close()


def test_pull_then_load(entry: Entry, asked: list[str], tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match=r"run: zoo pull vgg19\.imagenet"):
        zoo.load("vgg19.imagenet")
    assert not asked and not (tmp_path / "cache").exists(), "loading does not go to the network"
    heard: list[tuple[int, int]] = []
    path = foreign.pull("vgg19.imagenet", report=lambda done, total: heard.append((done, total)))
    assert path.parent == tmp_path / "cache" and path.suffix == ".safetensors"
    assert path.stat().st_size == entry.size_bytes
    assert heard[-1] == (entry.source.size_bytes, entry.source.size_bytes)  # type: ignore[union-attr]
    assert not list(tmp_path.rglob("*.part"))
    encoder = zoo.load("vgg19.imagenet")
    with torch.no_grad():
        found = encoder(torch.rand(2, 3, 32, 32))
    assert list(found) == list(LAYERS)
    for name, activation in found.items():
        assert float(activation.square().mean().sqrt()) == pytest.approx(1, abs=0.3), name
    assert foreign.pull("vgg19.imagenet") == path and len(asked) == 1, "what is there is not fetched again"


def test_a_copy_of_the_file_needs_no_network(
    entry: Entry, asked: list[str], published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "offline", lambda: True)
    with pytest.raises(WeightsNotFoundError, match="offline"):
        foreign.pull("vgg19.imagenet")
    with pytest.raises(WeightsNotFoundError, match="no such file"):
        foreign.pull("vgg19.imagenet", tmp_path / "nothing.pth")
    assert foreign.pull("vgg19.imagenet", published).is_file()
    assert not asked
    assert not any(parameter.isnan().any() for parameter in zoo.load("vgg19.imagenet").parameters())


def test_the_file_that_torchvision_fetched_is_used(
    entry: Entry, asked: list[str], published: Path, tmp_path: Path
) -> None:
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    os.link(published, tmp_path / "hub" / "checkpoints" / "vgg19.pth")
    foreign.pull("vgg19.imagenet")
    assert not asked


def test_what_is_not_the_published_file_is_refused(entry: Entry, published: Path, tmp_path: Path) -> None:
    whole = published.read_bytes()
    published.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="expected sha256"):
        foreign.pull("vgg19.imagenet")
    with pytest.raises(CheckpointError, match="not the file published"):
        foreign.pull("vgg19.imagenet", published)
    assert not list((tmp_path / "hub").rglob("*.p*")), "nothing of it stays"
    assert not (tmp_path / "cache").exists()
    published.unlink()
    with pytest.raises(WeightsNotFoundError, match=r"404.*by other means"):
        foreign.pull("vgg19.imagenet")


def test_code_in_the_file_does_not_run(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    evil = tmp_path / "evil.pth"
    torch.save({"features.0.weight": Trap()}, evil)
    # even if it had the right sha256
    source = dataclasses.replace(entry.source, sha256=file_sha256(evil))  # type: ignore[type-var]
    with pytest.raises(CheckpointError, match="evil"):
        foreign.pull(dataclasses.replace(entry, source=source), evil)
    torch.save({"features.0.weight": torch.zeros(1)}, evil)
    with pytest.raises(CheckpointError, match="not a VGG-19"):
        vgg19.convert(evil)
    assert not (tmp_path / "ran").exists()


def test_only_entries_of_the_registry_have_publishers() -> None:
    with pytest.raises(ValueError, match="no weights that others publish"):
        foreign.pull("tv2d.anisotropic")
    every = [zoo.info(name) for name in zoo.list_models()]
    assert {entry.arch for entry in every if entry.source is not None} <= set(foreign.CONVERTERS)


def test_a_record_has_a_source_or_a_fixed_file() -> None:
    record = zoo.info("vgg19.imagenet").to_dict()
    assert Entry.from_dict(record) == zoo.info("vgg19.imagenet")
    for change in ({"file": None}, {"sha256": "0" * 64}, {"hub": "someone/model"}):
        with pytest.raises(ValueError, match="source"):
            Entry.from_dict({**record, **change})
    with pytest.raises(ValueError, match=r"source: missing keys \['sha256', 'size_bytes'\]"):
        Entry.from_dict({**record, "source": {"url": "https://example.org/x.pth"}})
