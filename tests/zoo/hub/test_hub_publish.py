"""Publishing, against a Hub that breaks: what ends up there is whole, and a repeated run ends in the same state."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import shutil
from pathlib import Path

import pytest
from loopback import TOKEN, LoopbackHub
from typer.testing import CliRunner

import zoo
from zoo import registry
from zoo.checkpoints import file_sha256
from zoo.cli import app
from zoo.errors import HubError
from zoo.hub.publish import publish, publish_all, register_published
from zoo.hub.verify import verify

NAME = "lista.patches"
REPO = "lab/lista"
FILES = {"LICENSE", "README.md", "config.json", "eval.json", "golden.json", "model.safetensors", "sample.png"}


def run(*arguments: str, code: int = 0):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    assert TOKEN not in result.output
    return result


@pytest.fixture
def bundled() -> Path:
    return registry.WEIGHTS / f"{NAME}.safetensors"


def test_what_is_published(hub: LoopbackHub, bundled: Path) -> None:
    made = publish(NAME, REPO, tag="v1")
    repo = hub.repo(REPO)
    assert set(repo.files) == FILES | {".gitattributes"}
    assert repo.files["model.safetensors"] == bundled.read_bytes()
    assert repo.tags == {"v1": made.commit} and repo.refs["main"] == made.commit
    assert made.files == {name: hashlib.sha256(repo.files[name]).hexdigest() for name in FILES}
    assert made.changed and made.url == f"{hub.url}/{REPO}"
    config = json.loads(repo.files["config.json"])
    assert config["library_name"] == "neural-solver-zoo" and config["sha256"] == zoo.info(NAME).sha256
    readme = repo.files["README.md"].decode()
    for metric in zoo.info(NAME).metrics:
        assert f"{metric.value:g}" in readme.split("---", 2)[1] and metric.dataset in readme
    assert "$" not in readme and f'zoo.load("{REPO}")' in readme and "](sample.png)" in readme
    assert b"Apache License" in repo.files["LICENSE"]
    assert verify(REPO).good


def test_again_changes_nothing(hub: LoopbackHub) -> None:
    first = publish(NAME, REPO, tag="v1")
    state = hub.state()
    again = publish(NAME, REPO, tag="v1")
    assert (again.commit, again.changed) == (first.commit, False)
    assert hub.state() == state


@pytest.mark.parametrize("after_effect", [False, True])
def test_interrupted_anywhere_and_repeated(hub: LoopbackHub, after_effect: bool) -> None:
    """The connection breaks at the n-th request that writes, for every n; then the same command is run again."""
    publish(NAME, REPO, tag="v1")
    wanted, writes = hub.state(), hub.writes
    assert writes >= 4, "create, upload, commit, tag"
    broken = 0
    for n in range(1, writes + 1):
        hub.repos.clear()
        hub.large.clear()
        hub.writes, hub.faults.break_write, hub.faults.after_effect = 0, n, after_effect
        try:
            publish(NAME, REPO, tag="v1")
        except HubError as error:
            broken += 1
            assert TOKEN not in str(error) and "run the same command again" in str(error)
            if after_effect is False and ("model", REPO) in hub.repos:
                assert not hub.repo(REPO).tags, "nothing is tagged before it is whole"
        publish(NAME, REPO, tag="v1")
        assert hub.state() == wanted, f"interrupted at write {n}"
    assert broken >= 2, "some are retried by the client, not all"


def test_somebody_else_commits(hub: LoopbackHub) -> None:
    publish(NAME, REPO)
    hub.repo(REPO).commit("main", {"a.txt": b"a"}, "emptied")
    hub.faults.conflict = True
    with pytest.raises(HubError, match=r"changed the repository at the same time.*run the same command again"):
        publish(NAME, REPO)
    assert "model.safetensors" not in hub.repo(REPO).files
    hub.faults.conflict = False
    publish(NAME, REPO)
    assert FILES | {"stranger.txt", "a.txt"} == set(hub.repo(REPO).files), "what others put there stays"


def test_the_token_is_wrong_or_missing(hub: LoopbackHub, monkeypatch, caplog, capfd) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "hf_notTheRightTokenAtAll"
    monkeypatch.setenv("HF_TOKEN", wrong)
    text = run("publish", NAME, "--repo", REPO, code=2).stderr
    assert "does not accept the token" in text and "hf auth login" in text and wrong not in text
    monkeypatch.delenv("HF_TOKEN")
    assert "hf auth login" in run("publish", NAME, "--repo", REPO, code=2).stderr
    assert hub.repos == {}
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert "may not do this" in run("publish", NAME, "--repo", "strangers/lista", code=2).stderr
    run("publish", NAME, "--repo", REPO, "--tag", "v1")
    shown = "".join(capfd.readouterr()) + caplog.text
    assert wrong not in shown and TOKEN not in shown


def test_errors_of_the_client_are_scrubbed() -> None:
    from zoo.hub.client import plain_errors

    with pytest.raises(HubError) as caught, plain_errors(REPO):
        raise RuntimeError(f"sent Authorization: Bearer {TOKEN}")
    assert TOKEN not in str(caught.value) and "hf_***" in str(caught.value)
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_what_arrived_is_checked(hub: LoopbackHub, monkeypatch) -> None:
    from loopback import Repo

    commit = Repo.commit

    def spoil(self, ref, files, message):
        if "model.safetensors" in files:
            files = {**files, "model.safetensors": files["model.safetensors"][:-1] + b"?"}
        return commit(self, ref, files, message)

    monkeypatch.setattr(Repo, "commit", spoil)
    with pytest.raises(HubError, match="differs from what was sent"):
        publish(NAME, REPO, tag="v1")
    assert hub.repo(REPO).tags == {}


def test_tags_do_not_move(hub: LoopbackHub) -> None:
    first = publish(NAME, REPO, tag="v1")
    hub.repo(REPO).commit("main", {"a.txt": b"a"}, "emptied")
    with pytest.raises(HubError, match=r"v1 of lab/lista is at \w{8} already"):
        publish(NAME, REPO, tag="v1")
    assert hub.repo(REPO).tags == {"v1": first.commit}
    assert set(hub.repo(REPO).files) == {"a.txt"}, "it is told before anything is sent"


def test_pull_request(hub: LoopbackHub) -> None:
    publish(NAME, REPO)
    hub.repo(REPO).commit("main", {"a.txt": b"a"}, "emptied")
    made = publish(NAME, REPO, pull_request=True)
    assert made.pull_request == f"{hub.url}/{REPO}/discussions/1"
    assert set(hub.repo(REPO).files) == {"a.txt"}, "nothing changes before it is merged"
    assert publish(NAME, REPO, pull_request=True).pull_request == made.pull_request, "no second one of the same"
    assert "proposed" in run("publish", NAME, "--repo", REPO, "--pr").stdout
    assert set(hub.repo(REPO).commits[hub.repo(REPO).refs["refs/pr/1"]]) == FILES | {"a.txt"}


def test_a_closed_pull_request_is_not_taken_for_an_open_one(hub: LoopbackHub) -> None:
    publish(NAME, REPO)
    hub.repo(REPO).commit("main", {"a.txt": b"a"}, "emptied")
    publish(NAME, REPO, pull_request=True)
    hub.repo(REPO).closed.add("refs/pr/1")
    assert publish(NAME, REPO, pull_request=True).pull_request == f"{hub.url}/{REPO}/discussions/2"


def test_a_hub_without_xet(hub: LoopbackHub, monkeypatch) -> None:
    from huggingface_hub import constants

    pytest.importorskip("hf_xet")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    with pytest.raises(HubError, match=r"no Xet storage; set HF_HUB_DISABLE_XET=1"):
        publish(NAME, REPO)


def test_pickles_beside_it_are_refused(hub: LoopbackHub) -> None:
    publish(NAME, REPO)
    hub.repo(REPO).commit("main", {"pytorch_model.bin": b"\x80\x02", "b.PTH": b""}, "old weights")
    with pytest.raises(HubError, match=r"b\.PTH, pytorch_model\.bin, which can run code"):
        publish(NAME, REPO)


def test_dry_run_needs_no_network(tmp_path: Path) -> None:
    report = json.loads(
        run("publish", NAME, "--repo", REPO, "--dry-run", "--json", "--keep", str(tmp_path / "x")).stdout
    )
    (model,) = report["models"]
    assert set(model["files"]) == FILES and model["commit"] is None and report["collection"] is None
    assert {path.name for path in (tmp_path / "x").iterdir()} == FILES
    assert verify(tmp_path / "x").good
    run("publish", NAME, "--repo", REPO, "--dry-run", "--keep", str(tmp_path / "x"), code=2)
    text = run("publish", NAME, "--repo", REPO, code=2).stderr
    assert "HF_HUB_OFFLINE" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tv2d.isotropic", "--repo", REPO], "it is a solver"),
        (["vgg19.imagenet", "--repo", REPO], "published by others"),
        (["./no-such", "--repo", REPO], "no such file or folder"),
        ([NAME, "--repo", "lista"], "ORG/NAME"),
        ([NAME, "--repo", f"{REPO}@v1"], "--tag names the commit"),
        ([NAME, "--repo", REPO, "--tag", "v1", "--pr"], "give one of them"),
        (["no.such", "--repo", REPO], "unknown model"),
        (["--all", "--repo", REPO], "--org"),
        ([NAME], "--repo ORG/NAME"),
    ],
)
def test_wrong_orders(arguments: list[str], message: str) -> None:
    assert message in run("publish", *arguments, "--dry-run", code=2).stderr


def test_an_incomplete_run_is_not_published(tmp_path: Path, bundled: Path) -> None:
    entry = dataclasses.replace(zoo.info(NAME), name="lista.mine", metrics=(), training=None)
    with pytest.raises(ValueError, match="neither a finished training run"):
        publish(tmp_path, REPO, dry_run=True)
    shutil.copy(bundled, tmp_path / "lista.mine.safetensors")
    registry.write_entry(entry, tmp_path)
    with pytest.raises(ValueError, match=r"holds lista\.patches"):
        publish(tmp_path, REPO, dry_run=True)
    registry.write_entry(dataclasses.replace(entry, name=NAME), tmp_path)
    (tmp_path / "lista.mine.json").unlink()
    (tmp_path / "lista.mine.safetensors").rename(tmp_path / f"{NAME}.safetensors")
    with pytest.raises(ValueError, match=r"card: lacks training, metrics, text of the card|card: lacks training"):
        publish(tmp_path, REPO, dry_run=True)


def test_all_and_the_collection(hub: LoopbackHub, monkeypatch) -> None:
    names = [name for name in zoo.list_models() if zoo.info(name).file and zoo.info(name).source is None]
    few = [name for name in zoo.list_models() if name in names[:2] or zoo.info(name).file is None]
    monkeypatch.setattr(registry, "list_models", lambda: few)
    *models, collection = publish_all("lab", tag="v1")
    assert [model.repo for model in models] == [f"lab/{name}" for name in names[:2]]
    assert hub.state()["collections"] == {"lab/neural-solver-zoo-0123": [f"lab/{name}" for name in names[:2]]}
    assert collection == f"{hub.url}/collections/lab/neural-solver-zoo-0123"
    state = hub.state()
    hub.repo(f"lab/{names[1]}").commit("main", {"a.txt": b"a"}, "emptied")
    done = run("publish", "--all", "--org", "lab", "--tag", "v1", code=2)
    assert done.stdout.startswith(f"{names[0]}  unchanged") and f"v1 of lab/{names[1]} is at" in done.stderr
    hub.repo(f"lab/{names[1]}").refs["main"] = models[1].commit
    assert "unchanged" in run("publish", "--all", "--org", "lab", "--tag", "v1").stdout
    assert hub.state() == state


def test_registering_pins_the_commit(hub: LoopbackHub, tmp_path: Path, monkeypatch, bundled: Path) -> None:
    made = publish(NAME, REPO)
    monkeypatch.setattr(registry, "home", lambda name: tmp_path)
    (tmp_path / "entries").mkdir()
    entry = registry.read_entry(register_published(made))
    assert entry == dataclasses.replace(zoo.info(NAME), hub=f"{REPO}@{made.commit}")
    assert file_sha256(bundled) == entry.sha256
    with pytest.raises(ValueError, match="other weights"):
        register_published(dataclasses.replace(made, files={}))
