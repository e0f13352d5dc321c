"""Where weights are found, in which order, and what is said where they are not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from loopback import LoopbackHub

import zoo
from zoo import registry
from zoo.checkpoints import file_sha256
from zoo.errors import CheckpointError, HubError, UnknownModelError, WeightsNotFoundError
from zoo.evaluation.golden import differences, golden
from zoo.hub import client
from zoo.hub.publish import publish
from zoo.hub.pull import pull
from zoo.hub.resolve import find_weights

NAME = "lista.patches"
REPO = "lab/their-lista"


@pytest.fixture
def published(hub: LoopbackHub) -> str:
    """The commit of a published model."""
    commit = publish(NAME, REPO).commit
    assert commit is not None
    return commit


def same_output(name: str, **options: object) -> None:
    expected = golden(zoo.load(NAME, weights=registry.ROOT / "weights" / f"{NAME}.safetensors"))
    assert differences(golden(zoo.load(name, **options)), expected, 1e-6) == []


def test_order(published: str, hub: LoopbackHub, registered, monkeypatch, tmp_path: Path) -> None:
    entry = registered(NAME, hub=f"{REPO}@{published}")
    bundled = registry.weights_path(entry)
    asked = len(hub.log)
    assert find_weights(entry) == bundled
    assert len(hub.log) == asked, "a bundled model asks nobody"
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path / "nothing")
    fetched = find_weights(entry)
    assert file_sha256(fetched) == entry.sha256 and "snapshots" in str(fetched)
    asked = len(hub.log)
    assert find_weights(entry, local_files_only=True) == fetched
    assert find_weights(entry) == fetched
    assert len(hub.log) == asked, "a pinned file in the cache asks nobody"
    own = tmp_path / "own.safetensors"
    shutil.copy(fetched, own)
    hub.close()
    shutil.rmtree(tmp_path / "hf")
    same_output(NAME, weights=own)


def test_anything_published_loads_by_its_repository(published: str, hub: LoopbackHub) -> None:
    same_output(REPO)
    same_output(f"{REPO}@{published}")
    entry = zoo.info(REPO)
    assert (entry.name, entry.arch, entry.tag, entry.hub) == (REPO, "lista", "patches", f"{REPO}@{published}")
    assert entry.sha256 == zoo.info(NAME).sha256 and entry.tasks == zoo.info(NAME).tasks
    assert entry.to_dict()["name"] == REPO
    pull(REPO)
    assert zoo.info(REPO).card.startswith(f"# {NAME}")
    hub.close()
    with client.offline_mode():
        same_output(REPO)
        same_output(f"{REPO}@{published}", local_files_only=True)


def test_a_revision_is_kept(hub: LoopbackHub) -> None:
    publish(NAME, REPO, tag="v1")
    name = f"{REPO}@v1"
    hub.repo(REPO).commit("main", {**hub.repo(REPO).files, "config.json": b"{}"}, "spoilt later")
    assert zoo.info(name).name == name, "a job loads a model by the name in its record"
    same_output(name)
    with pytest.raises(CheckpointError, match="not that of a model published by the zoo"):
        zoo.load(REPO)


def test_org_variable_names_the_place(published: str, hub: LoopbackHub, monkeypatch, without_bundle: Path) -> None:
    with pytest.raises(WeightsNotFoundError, match="NSZ_HUB_ORG no organisation"):
        zoo.load(NAME)
    publish(Path(client.download(REPO, "model.safetensors")), f"lab/{NAME}")
    monkeypatch.setenv("NSZ_HUB_ORG", "lab")
    same_output(NAME)


def test_offline(hub: LoopbackHub, registered, without_bundle: Path, monkeypatch) -> None:
    registered(NAME, hub=f"lab/{NAME}@v1")
    for switch in ("flag", "variable", "argument"):
        with monkeypatch.context() as patch:
            if switch == "variable":
                patch.setenv("HF_HUB_OFFLINE", "1")
            with pytest.raises(WeightsNotFoundError) as caught:
                if switch == "flag":
                    with client.offline_mode():
                        zoo.load(NAME)
                else:
                    zoo.load(NAME, local_files_only=switch == "argument")
        text = str(caught.value)
        assert "bundled file" in text and "Hugging Face cache" in text and "not asked" in text
        assert f"zoo pull {NAME}" in text
    with client.offline_mode(), pytest.raises(UnknownModelError, match=f"(?s)not asked.*zoo pull {REPO}"):
        zoo.load(REPO)
    with client.offline_mode(), pytest.raises(HubError, match="--offline"):
        client.api()
    assert hub.log == []


def test_errors_say_what_was_tried(hub: LoopbackHub, registered, without_bundle: Path) -> None:
    with pytest.raises(UnknownModelError, match=r"(?s)not in .*no such repository.*zoo pull lab/nothing"):
        zoo.load("lab/nothing")
    registered(NAME, hub="lab/nothing@abc")
    with pytest.raises(WeightsNotFoundError, match=r"(?s)bundled file.*Hugging Face cache.*no such repository"):
        zoo.load(NAME)
    publish(registry.ROOT / "weights" / f"{NAME}.safetensors", REPO)
    registered(NAME, hub=f"{REPO}@v9")
    with pytest.raises(WeightsNotFoundError, match="no such revision"):
        zoo.load(NAME)
    for name in ("a/b/c", "lab/", "lab/x@"):
        with pytest.raises(ValueError, match="ORG/NAME"):
            zoo.load(name)


def test_nobody_answers(hub: LoopbackHub) -> None:
    hub.close()
    with pytest.raises(UnknownModelError, match=rf"{hub.url} cannot be reached.*check the network and HF_ENDPOINT"):
        zoo.load(REPO)


def test_wrong_checksum_is_refused_and_deleted(published: str, hub: LoopbackHub, tmp_path: Path) -> None:
    hub.faults.corrupt = {"model.safetensors"}
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"(?s)wrong sha256.*deleted.*zoo pull"):
            zoo.load(REPO)
        assert not list((tmp_path / "hf").rglob("model.safetensors"))
    hub.faults.corrupt = set()
    same_output(REPO)


def test_a_file_spoilt_in_the_cache_is_refused(published: str) -> None:
    path = pull(REPO).path
    assert path is not None
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.resolve().write_bytes(content)
    with pytest.raises(CheckpointError, match=f"(?s)wrong sha256.*run: zoo pull {REPO}"):
        zoo.load(REPO)
    pull(REPO)
    same_output(REPO)


def test_a_spoilt_file_that_repositories_share(published: str, tmp_path: Path) -> None:
    """The Hub's client may keep one copy for several repositories, behind two links."""
    path = pull(REPO).path
    assert path is not None
    blob = path.parent / os.readlink(path)
    shared = tmp_path / "hf" / "blobs" / "shared"
    shared.parent.mkdir()
    os.replace(blob, shared)
    blob.symlink_to(os.path.relpath(shared, blob.parent))
    same_output(REPO)
    shared.write_bytes(b"spoilt")
    pull(REPO)
    same_output(REPO)


def test_a_spoilt_bundled_file(monkeypatch, tmp_path: Path) -> None:
    content = (registry.ROOT / "weights" / f"{NAME}.safetensors").read_bytes()
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path)
    for spoilt in (content[:-1], content[:-1] + bytes([content[-1] ^ 1]), b""):
        (tmp_path / f"{NAME}.safetensors").write_bytes(spoilt)
        with pytest.raises(CheckpointError, match=r"(?s)wrong sha256.*--force-reinstall --no-deps neural-solver-zoo"):
            zoo.load(NAME)


def test_a_cut_download_goes_on(published: str, hub: LoopbackHub) -> None:
    hub.faults.cut_download, hub.faults.cut_times = 100_000, 2
    same_output(REPO)
    assert hub.faults.cut_times == 0


def test_a_download_that_never_ends_leaves_nothing(published: str, hub: LoopbackHub, tmp_path: Path) -> None:
    hub.faults.cut_download = 5_000
    with pytest.raises(WeightsNotFoundError, match="run the same command again"):
        zoo.load(REPO)
    partial = [p for p in (tmp_path / "hf").rglob("*") if p.is_file() and p.stat().st_size > 100_000]
    assert partial == [] and not list((tmp_path / "hf").rglob("*.incomplete"))
    assert not list((tmp_path / "hf").rglob("model.safetensors"))
    hub.faults.cut_download = None
    same_output(REPO)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_full_disk(published: str, monkeypatch, tmp_path: Path) -> None:
    from huggingface_hub import file_download

    zoo.info(f"{REPO}@{published}")
    fetch = file_download.http_get

    def onto_a_full_disk(url, file, **options):
        with open("/dev/full", "wb", buffering=0) as full:
            fetch(url, full, **options)

    monkeypatch.setattr(file_download, "http_get", onto_a_full_disk)
    with pytest.raises(HubError, match=r"no space left on the disk.*HF_HOME"):
        pull(f"{REPO}@{published}")
    assert not [p for p in (tmp_path / "hf").rglob("*") if p.is_file() and p.stat().st_size > 100_000]
    assert not list((tmp_path / "hf").rglob("*.incomplete"))
    monkeypatch.setattr(file_download, "http_get", fetch)
    same_output(REPO)


def test_private_repositories_need_the_token(hub: LoopbackHub, monkeypatch) -> None:
    publish(NAME, REPO, private=True)
    same_output(REPO)
    shutil.rmtree(Path(os.path.dirname(str(pull(REPO).path))).parents[1])
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(UnknownModelError, match="hf auth login"):
        zoo.load(REPO)


def test_a_repository_cannot_choose_what_runs(hub: LoopbackHub) -> None:
    """A record of a stranger builds only what is installed here, and loads only strictly what it says."""
    publish(NAME, REPO)
    files = dict(hub.repo(REPO).files)
    for change, message in (
        ((b'"arch": "lista"', b'"arch": "os.system"'), "needs the architecture|not that of a model|cannot be"),
        ((b'"layers": 8', b'"layers": 7'), "config"),
        ((b'"file": "model.safetensors"', b'"file": "../../x.pt"'), None),
    ):
        spoilt = files["config.json"].replace(*change).replace(b'"name": "lista.patches"', b'"name": "lista.patches"')
        assert spoilt != files["config.json"]
        hub.repo(REPO).commit("main", {**files, "config.json": spoilt}, "changed")
        if message is None or b"os.system" in spoilt:
            same_output(REPO)  # names of the record's own have no effect
        else:
            with pytest.raises(CheckpointError, match=message):
                zoo.load(REPO)
    unknown = files["config.json"].replace(b'"name": "lista.patches"', b'"name": "elsewhere.patches"')
    unknown = unknown.replace(b'"plug_in": null', b'"plug_in": "their-models"')
    hub.repo(REPO).commit("main", {**files, "config.json": unknown}, "of a plug-in")
    with pytest.raises(UnknownModelError, match=r"needs the architecture 'elsewhere'.*'their-models'.*trust"):
        zoo.load(REPO)


def test_jobs_take_a_model_of_the_hub(hub: LoopbackHub, noisy, tmp_path: Path) -> None:
    from zoo.checkpoints import save_checkpoint
    from zoo.models.dncnn import DnCNN
    from zoo.tasks import denoise

    torch.manual_seed(0)
    folder = tmp_path / "run"
    folder.mkdir()
    config = {"channels": 3, "depth": 3, "width": 4}
    module = DnCNN(**config, norm=False) if "norm" in DnCNN.__init__.__annotations__ else DnCNN(**config)
    sha256 = save_checkpoint(folder / "dncnn.tiny.safetensors", module, name="dncnn.tiny", config=config)
    record = zoo.info("tv2d.isotropic").to_dict() | {
        "name": "dncnn.tiny",
        "config": config,
        "file": "dncnn.tiny.safetensors",
        "sha256": sha256,
        "size_bytes": (folder / "dncnn.tiny.safetensors").stat().st_size,
        "num_params": sum(p.numel() for p in module.parameters()),
        "data": ["noise"],
        "input": {"channels": 3},
        "metrics": [{"dataset": "noise", "metric": "PSNR", "value": 1.0}],
        "training": {"hours": 0.0, "hardware": "none", "seed": 0},
    }
    registry.write_entry(zoo.Entry.from_dict(record), folder)
    (folder / "card.md").write_text("# dncnn.tiny\n")
    publish(folder, "someone/tiny")
    result, info = denoise(noisy, "someone/tiny", sigma=25, return_info=True)
    assert info.model == "someone/tiny" and result.size == noisy.size
