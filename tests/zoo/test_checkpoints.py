"""Checkpoints: what is read is what was written, or it is an error that says so."""

from __future__ import annotations

import dataclasses
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import nn

import zoo
from zoo import checkpoints, loading, registry
from zoo.checkpoints import file_sha256, is_pickled, load_checkpoint, read_checkpoint, save_checkpoint
from zoo.errors import CheckpointError, WeightsNotFoundError

CONFIG = {"width": 4, "sizes": [1, 2]}


class Small(nn.Module):
    """Enough for all kinds of tensors: float, integer, tied, buffer."""

    def __init__(self, width: int = 4, sizes: tuple[int, ...] = (1, 2)) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.tied = nn.Conv2d(3, width, 3)
        self.tied.weight = self.conv.weight


@pytest.fixture(scope="module", autouse=True)
def architecture():
    patch = pytest.MonkeyPatch()
    registry.list_archs()
    patch.setitem(registry._builders, "small", Small)
    yield
    patch.undo()


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    module = Small()
    path = tmp_path / "small.safetensors"
    sha256 = save_checkpoint(path, module, name="small.one", config=CONFIG)
    return path, module, sha256


def same(first, second):
    a, b = first.state_dict(), second.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_round_trip(saved):
    path, module, sha256 = saved
    assert file_sha256(path) == sha256
    assert [file.name for file in path.parent.iterdir()] == [path.name], "no temporary file is left"
    assert same(load_checkpoint(path, Small(), name="small.one", config=CONFIG, sha256=sha256), module)
    assert same(load_checkpoint(path), module), "built from the file alone"
    found = read_checkpoint(path)
    assert (found.name, found.arch, found.config, found.version) == ("small.one", "small", CONFIG, zoo.__version__)


def test_same_state_gives_same_file(saved, tmp_path):
    _, module, sha256 = saved
    assert save_checkpoint(tmp_path / "again.safetensors", module, name="small.one", config=CONFIG) == sha256


def test_half_storage_is_cast_up(saved, tmp_path):
    _, module, _ = saved
    path = tmp_path / "half.safetensors"
    save_checkpoint(path, module, name="small.one", config=CONFIG, half=True)
    assert read_checkpoint(path).tensors["conv.weight"].dtype == torch.float16
    loaded = load_checkpoint(path, Small())
    assert loaded.conv.weight.dtype == torch.float32
    assert torch.equal(loaded.conv.weight, module.conv.weight.half().float())
    assert loaded.norm.num_batches_tracked.dtype == torch.long


@given(data=st.data())
def test_a_mutated_file_is_an_error_or_equal(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("mutated")
    path = folder / "small.safetensors"
    module = Small()
    save_checkpoint(path, module, name="small.one", config=CONFIG)
    content = bytearray(path.read_bytes())
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "append"]))
    at = data.draw(st.integers(0, len(content) - 1))
    if kind == "flip":
        content[at] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del content[at:]
    elif kind == "insert":
        content[at:at] = data.draw(st.binary(min_size=1, max_size=40))
    else:
        content += data.draw(st.binary(min_size=1, max_size=40))
    path.write_bytes(content)
    try:
        found = read_checkpoint(path)
    except CheckpointError as error:
        assert str(path) in str(error)
        return
    # a mutation of the header's blanks changes nothing that is read
    assert (found.name, found.config) == ("small.one", CONFIG)
    assert same(load_checkpoint(path, Small()), module)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xff" * 8,
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 10) + b"[[[[[[[[[[",
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 64) + b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,1]}}',
        b"PK\x03\x04 a zip, as torch.save writes",
    ],
)
def test_hostile_headers(tmp_path, header):
    path = tmp_path / "hostile.safetensors"
    path.write_bytes(header)
    with pytest.raises(CheckpointError, match=r"hostile\.safetensors"):
        read_checkpoint(path)


def test_only_safetensors_are_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the file was unpickled",))

    for name in ("model.pt", "model.pth", "model.bin", "model.safetensors"):
        path = tmp_path / name
        torch.save(Bomb(), path)
        with pytest.raises(CheckpointError, match="safetensors"):
            read_checkpoint(path)
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_checkpoint(tmp_path / "none.safetensors")


def test_wrong_hash_says_what_to_do(saved):
    path, _, sha256 = saved
    with pytest.raises(CheckpointError, match="delete it and try again") as caught:
        read_checkpoint(path, sha256="0" * 64)
    assert str(path) in str(caught.value) and sha256 in str(caught.value) and "0" * 64 in str(caught.value)


def test_other_model_or_config_is_refused(saved):
    path, _, _ = saved
    with pytest.raises(CheckpointError, match=r"holds small\.one, which cannot be loaded as tv2d\.isotropic"):
        load_checkpoint(path, name="tv2d.isotropic")
    with pytest.raises(CheckpointError, match="config"):
        load_checkpoint(path, Small(), config={**CONFIG, "width": 5})
    # tuples become lists in JSON; that is no difference
    load_checkpoint(path, Small(), config={"width": 4, "sizes": (1, 2)})


def test_every_difference_is_listed(tmp_path, saved):
    path, _, _ = saved
    wider = Small(width=5)
    wider.extra = nn.Linear(1, 1)
    del wider.tied
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path, wider)
    text = str(caught.value)
    assert "missing extra.bias, extra.weight" in text
    assert "unexpected tied.bias, tied.weight" in text
    assert "conv.weight is (4, 3, 3, 3), expected (5, 3, 3, 3)" in text


def test_foreign_safetensors_is_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="lacks format, zoo_name"):
        read_checkpoint(path)


def test_bad_saves(tmp_path):
    module = Small()
    with pytest.raises(ValueError, match="safetensors"):
        save_checkpoint(tmp_path / "x.pt", module, name="small.one", config={})
    with pytest.raises(ValueError, match=r"arch\.tag"):
        save_checkpoint(tmp_path / "x.safetensors", module, name="Small", config={})
    module.conv.bias.data[0] = 1e6
    with pytest.raises(ValueError, match=r"conv\.bias.*float16"):
        save_checkpoint(tmp_path / "x.safetensors", module, name="small.one", config={}, half=True)
    assert not list(tmp_path.iterdir())


def test_failed_write_keeps_the_old_file(saved, monkeypatch):
    path, _, sha256 = saved

    def full_disk(file):
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoints, "file_sha256", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_checkpoint(path, Small(), name="small.one", config=CONFIG)
    assert file_sha256(path) == sha256
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.fixture
def entry(saved, monkeypatch):
    path, module, sha256 = saved
    record = zoo.info("tv2d.isotropic").to_dict() | {
        "name": "small.one",
        "config": CONFIG,
        "file": path.name,
        "size_bytes": path.stat().st_size,
        "sha256": sha256,
        "num_params": sum(p.numel() for p in module.parameters()),
    }
    made = zoo.Entry.from_dict(record)
    entries = {**registry._entries(), made.name: made}
    monkeypatch.setattr(registry, "_entries", lambda: entries)
    return made, path, module, entries


def test_load_finds_bundled_weights(entry, monkeypatch):
    _, path, module, _ = entry
    monkeypatch.setattr(registry, "WEIGHTS", path.parent)
    loaded = zoo.load("small")
    assert same(loaded, module) and not loaded.training


def test_load_takes_a_file(entry):
    _, path, module, _ = entry
    assert same(zoo.load("small.one", weights=path), module)
    with pytest.raises(FileNotFoundError):
        zoo.load("small.one", weights=path.with_name("none.safetensors"))


def test_damaged_bundled_file_is_refused(entry, monkeypatch):
    _, path, _, _ = entry
    # a whole file, but not the registered one
    save_checkpoint(path, Small(), name="small.one", config=CONFIG)
    monkeypatch.setattr(registry, "WEIGHTS", path.parent)
    with pytest.raises(CheckpointError, match="sha256"):
        zoo.load("small.one")


def test_absent_weights_list_what_was_tried(entry, monkeypatch, tmp_path):
    made, _, _, entries = entry
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path / "empty")
    with pytest.raises(WeightsNotFoundError, match=r"bundled file.*(.|\n)*names no repository(.|\n)*weights='PATH"):
        zoo.load("small.one")
    entries["small.one"] = dataclasses.replace(made, hub="someone/small@abc")
    with pytest.raises(WeightsNotFoundError) as caught:
        zoo.load("small.one", local_files_only=True)
    text = str(caught.value)
    assert "Hugging Face cache" in text and "not asked, because of local_files_only" in text
    assert "zoo pull small.one" in text
    with pytest.raises(WeightsNotFoundError, match="not asked, because of --offline or HF_HUB_OFFLINE"):
        zoo.load("small.one")


def test_load_finds_the_cached_file(entry, monkeypatch, tmp_path):
    import huggingface_hub

    made, path, module, entries = entry
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path / "empty")
    entries["small.one"] = dataclasses.replace(made, hub="someone/small@abc")
    asked = []

    def cached(repo, file, revision):
        asked.append((repo, file, revision))
        return str(path)

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    assert same(zoo.load("small.one", local_files_only=True), module)
    assert asked == [("someone/small", "model.safetensors", "abc")]


def test_hub_failure_is_reported_and_not_swallowed(entry, monkeypatch, tmp_path):
    import huggingface_hub

    made, _, _, entries = entry
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path / "empty")
    entries["small.one"] = dataclasses.replace(made, hub="someone/small")

    def no_network(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", no_network)
    with pytest.raises(WeightsNotFoundError, match="ConnectionError: no route to host"):
        zoo.load("small.one")


def test_a_solver_takes_no_weights(saved):
    with pytest.raises(ValueError, match="has none"):
        zoo.load("tv2d.isotropic", weights=saved[0])
    with pytest.raises(ValueError, match="no weights"):
        loading.find_weights(zoo.info("tv2d"))


def test_headers_of_any_length_are_no_pickles(tmp_path: Path) -> None:
    """Files of safetensors begin with the length of the header, and 0x280 to 0x580 look like the start of a pickle."""
    for length in (0x280, 0x380, 0x480, 0x580):
        path = tmp_path / f"{length}.safetensors"
        bare = len(save({"x": torch.zeros(1)}, {"note": ""})) - 12
        path.write_bytes(save({"x": torch.zeros(1)}, {"note": "n" * (length - bare)}))
        assert path.read_bytes()[:2] == length.to_bytes(2, "little")
        assert not is_pickled(path)
    torch.save({"x": torch.zeros(1)}, tmp_path / "pickled.safetensors")
    assert is_pickled(tmp_path / "pickled.safetensors")
