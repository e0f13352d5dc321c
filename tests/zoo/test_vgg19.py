"""Pulling the ImageNet VGG-19, with a file of random weights in place of the published one."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest
import torch

from zoo import vgg19
from zoo.checkpoints import file_sha256
from zoo.errors import CheckpointError, WeightsNotFoundError
from zoo.models.vgg import LAYERS, VGGEncoder


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    torch.manual_seed(0)
    state, index = {}, 0
    for name, conv in VGGEncoder(64).convs.items():
        if name.endswith("_1") and name != "conv1_1":
            index += 1
        state |= {f"features.{index}.{key}": value for key, value in conv.state_dict().items()}
        index += 2
    state["classifier.0.weight"] = torch.zeros(2, 2)
    path = tmp_path / "vgg19.pth"
    torch.save(state, path)
    monkeypatch.setattr(vgg19, "SHA256", file_sha256(path))
    monkeypatch.setattr(vgg19, "dead_leaves", lambda seed: torch.rand(1, 3, 32, 32))
    monkeypatch.setenv("NEURAL_SOLVER_ZOO_CACHE", str(tmp_path / "cache"))
    return path


def test_pull_then_load(published: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match="pull_vgg19"):
        vgg19.load_vgg19()
    path = vgg19.pull_vgg19(published)
    assert path.stat().st_size < 27e6
    encoder = vgg19.load_vgg19()
    with torch.no_grad():
        found = encoder(torch.rand(2, 3, 32, 32))
    assert list(found) == list(LAYERS)
    for name, activation in found.items():
        assert float(activation.square().mean().sqrt()) == pytest.approx(1, abs=0.3), name


def test_other_files_are_refused(published: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match="no such file"):
        vgg19.pull_vgg19(tmp_path / "nothing.pth")
    monkeypatch.setattr(vgg19, "SHA256", "0" * 64)
    with pytest.raises(CheckpointError, match="expected"):
        vgg19.pull_vgg19(published)


def test_no_network(published: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*args: object) -> None:
        raise urllib.error.URLError("no route")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(vgg19.urllib.request, "urlretrieve", fail)
    with pytest.raises(WeightsNotFoundError, match="by other means"):
        vgg19.pull_vgg19()
    assert not list((tmp_path / "hub").rglob("*.part"))


def test_dead_leaves() -> None:
    picture = vgg19.dead_leaves(0, size=64)
    assert picture.shape == (1, 3, 64, 64) and picture.min() >= 0 and picture.max() <= 1
    assert torch.equal(picture, vgg19.dead_leaves(0, size=64))
    assert not torch.equal(picture, vgg19.dead_leaves(1, size=64))
    # edges, not noise: most neighbours are equal
    assert (picture.diff(dim=-1) == 0).float().mean() > 0.7
