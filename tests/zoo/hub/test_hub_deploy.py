"""Deploying the app: what is staged runs, what is uploaded is that, and a failing Space shows its log."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import yaml
from huggingface_hub import snapshot_download
from loopback import TOKEN, LoopbackHub
from packaging.requirements import Requirement
from typer.testing import CliRunner

import zoo
from zoo.cli import app
from zoo.errors import HubError
from zoo.hub.deploy import deploy
from zoo.hub.publish import publish
from zoo.hub.stage import stage

NAME = "lista.patches"
SPACE = "lab/app"


def run(*arguments: str, code: int = 0):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    assert TOKEN not in result.output
    return result


def front_matter(folder: Path) -> dict:
    return yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])


def test_the_staged_app_starts(tmp_path: Path) -> None:
    """As a Space starts it: from its own folder, with nothing of the checkout."""
    folder = tmp_path / "app"
    run("deploy", SPACE, "--dry-run", "--keep", str(folder), "--models", NAME)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "TMPDIR": str(tmp_path),
        "NSZ_CACHE": str(tmp_path / "no-kernels"),
        "NSZ_BACKEND": "reference",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    environment.pop("GRADIO_TEMP_DIR", None)
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        for _ in range(3000):  # a busy machine takes its time
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                with opener.open(f"http://127.0.0.1:{port}/config", timeout=5) as answer:
                    config = json.load(answer)
                break
            except OSError:
                time.sleep(0.1)
        assert config["title"] == "Neural Solver Zoo"
    finally:
        process.terminate()
        process.wait(30)
    where = subprocess.run(
        [sys.executable, "-c", "import zoo; print(zoo.__file__)"], cwd=folder, capture_output=True, text=True
    )
    assert where.stdout.startswith(str(folder)), "it runs its own copy"


def test_what_is_staged(tmp_path: Path) -> None:
    staged = stage(tmp_path, [NAME, "tv2d.isotropic"])
    assert staged.bundled == [NAME] and staged.preloaded == []
    assert [path.name for path in (tmp_path / "zoo" / "weights").iterdir()] == [f"{NAME}.safetensors"]
    assert {path.name for path in tmp_path.iterdir()} == {
        *("app.py", "LICENSE", "README.md", "packages.txt", "requirements.txt", "zoo", "space", "cuda_src")
    }
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".so", ".pyc", ".pt")]
    wanted = {Requirement(line).name for line in _lines(Path("requirements.txt").resolve())}
    index, *pins = _lines(tmp_path / "requirements.txt")
    assert index == "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert {Requirement(pin).name for pin in pins} == wanted
    assert all(re.fullmatch(r"[\w-]+==[\d.]+\w*", pin) for pin in pins)
    keys = front_matter(tmp_path)
    assert keys["sdk"] == "gradio" and keys["app_file"] == "app.py" and "preload_from_hub" not in keys
    assert keys["sdk_version"] == importlib.metadata.version("gradio")


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if line and not line.startswith("#")]


def test_pinned_models_are_preloaded(hub: LoopbackHub, registered, tmp_path: Path) -> None:
    commit = publish(NAME, "lab/lista", tag="v1").commit
    registered(NAME, hub="lab/lista@v1")
    staged = stage(tmp_path, [NAME], "zero-a10g")
    assert staged.preloaded == [f"lab/lista@{commit}"] and staged.bundled == []
    assert not list((tmp_path / "zoo" / "weights").iterdir())
    keys = front_matter(tmp_path)
    assert keys["preload_from_hub"] == [f"lab/lista model.safetensors,config.json {commit}"]
    assert keys["models"] == ["lab/lista"] and keys["suggested_hardware"] == "zero-a10g"
    pins = _lines(tmp_path / "requirements.txt")
    assert "spaces" in pins and "torch==2.11.0" in pins and "--extra-index-url" not in " ".join(pins)


def test_a_space_finds_what_it_preloaded(hub: LoopbackHub, registered, tmp_path: Path) -> None:
    """It fetches the files at a commit, knows no tag, and is then offline."""
    publish(NAME, "lab/lista", tag="v1")
    publish("dncnn.sigma25", "someone/own")
    registered(NAME, hub="lab/lista@v1")
    folder = tmp_path / "app"
    stage(folder, [NAME, "someone/own"])
    for line in front_matter(folder)["preload_from_hub"]:
        repo, files, commit = line.split(" ")
        snapshot_download(repo, revision=commit, allow_patterns=files.split(","), cache_dir=tmp_path / "home" / "hub")
    code = f"import zoo, space.tabs.zoo as tab; zoo.load({NAME!r}); zoo.load('someone/own')"
    code += "; print('someone/own' in [row[0] for row in tab.rows('', tab.EVERY)])"
    environment = os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1", "NSZ_BACKEND": "reference"}
    environment.pop("HF_HUB_CACHE", None)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "True", done.stderr


def test_models_of_other_packages_are_not_deployed(monkeypatch, registered, tmp_path: Path) -> None:
    from zoo.hub import stage as staging

    monkeypatch.setattr(staging.registry, "provider", lambda arch: "their-models" if arch == "lista" else None)
    assert "needs the package their-models" in run("deploy", SPACE, "--models", NAME, "--dry-run", code=2).stderr
    staged = stage(tmp_path)
    assert NAME not in staged.bundled and "dncnn.sigma25" in staged.bundled


def test_deploy_and_again(hub: LoopbackHub) -> None:
    made = json.loads(run("deploy", SPACE, "--hardware", "zero-a10g", "--models", NAME, "--json").stdout)
    repo = hub.repo(SPACE, "space")
    assert made["stage"] == "RUNNING" and made["commit"] == repo.refs["main"]
    assert set(repo.files) == {*made["files"], ".gitattributes"}
    assert repo.extra["sdk"] == "gradio" and repo.extra["hardware"] == "zero-a10g"
    assert repo.files["app.py"] == Path("app.py").read_bytes()
    repo.commit("main", {**repo.files, "stale.py": b""}, "left from before")
    run("deploy", SPACE, "--models", NAME, "--hardware", "cpu-basic")
    assert "stale.py" not in repo.files and repo.extra["hardware"] == "cpu-basic"
    state, head = hub.state(), repo.refs["main"]
    run("deploy", SPACE, "--models", NAME, "--hardware", "cpu-basic")
    assert hub.state() == state and repo.refs["main"] == head


def test_a_failing_build_shows_its_log(hub: LoopbackHub) -> None:
    hub.faults.build = "BUILD_ERROR"
    text = run("deploy", SPACE, "--models", NAME, code=2).stderr
    assert "ended as BUILD_ERROR" in text and "No matching distribution found" in text
    assert "uploaded" in run("deploy", SPACE, "--models", NAME, "--no-wait").stdout


def test_interrupted_and_repeated(hub: LoopbackHub) -> None:
    deploy(SPACE, models=[NAME])
    wanted, writes = hub.state(), hub.writes
    for n in (1, 2, writes):
        hub.repos.clear()
        hub.large.clear()
        hub.writes, hub.faults.break_write = 0, n
        try:
            deploy(SPACE, models=[NAME], wait=False)
        except HubError as error:
            assert TOKEN not in str(error)
        deploy(SPACE, models=[NAME], wait=False)
        assert hub.state() == wanted


def test_wrong_orders(tmp_path: Path, monkeypatch) -> None:
    assert "ORG/NAME" in run("deploy", "app", "--dry-run", code=2).stderr
    assert "one of cpu-basic, " in run("deploy", SPACE, "--hardware", "A 10", "--dry-run", code=2).stderr
    assert "unknown model" in run("deploy", SPACE, "--models", "no.such", "--dry-run", code=2).stderr
    from zoo.hub import stage as staging

    monkeypatch.setattr(staging, "ROOT", tmp_path)
    assert "checkout of the sources" in run("deploy", SPACE, "--dry-run", code=2).stderr


def test_nothing_of_others_is_passed_on() -> None:
    others = [name for name in zoo.list_models() if zoo.info(name).source is not None]
    for name in others:
        assert "published by others" in run("deploy", SPACE, "--models", name, "--dry-run", code=2).stderr
