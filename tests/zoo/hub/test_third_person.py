"""A stranger's package, as docs/extending.md has it: installed, trained, published, pulled elsewhere, in the app."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from loopback import TOKEN, LoopbackHub, Repo

import zoo
from zoo import plugins, registry
from zoo.hub.verify import verify

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytest.importorskip("accelerate", reason="the extra train is not installed")
ROOT = Path(__file__).parents[3]
BLOCK = re.compile(r"<!-- (\S+) -->\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def install(site: Path, files: dict[str, str]) -> None:
    """What pip does with the package: its files, and the entry points in a folder beside them."""
    for name, text in files.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    project = tomllib.loads((site / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    install(folder, dict(BLOCK.findall((ROOT / "docs" / "extending.md").read_text())))
    return folder


def python(code: str, hub: LoopbackHub, site: Path | None, home: Path) -> Any:
    """Runs code in a process and with a cache of its own; its last line is JSON."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(str(path) for path in (site, ROOT) if path is not None),
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(home / "hf"),
        "HF_TOKEN": TOKEN,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NSZ_BACKEND": "reference",
        "GRADIO_TEMP_DIR": str(home / "gradio"),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    home.mkdir(exist_ok=True)
    done = subprocess.run([sys.executable, "-c", code], cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert TOKEN not in done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


PUBLISH = """
import json
from typer.testing import CliRunner
from zoo.cli import app

def run(*arguments):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, (arguments, result.output)
    return result.stdout

assert "smooth.squares" in run("train", "list")
run("train", "smooth.squares", "--steps", "300", "--cpu", "--out", "runs/smooth")
assert "golden output  ok" in run("verify", "runs/smooth")
print(json.dumps(json.loads(run("publish", "runs/smooth", "--repo", "lab/smooth", "--tag", "v1", "--json"))["models"]))
"""

USE = """
import json
from typer.testing import CliRunner
import numpy as np
from PIL import Image
import zoo
from zoo.cli import app
from zoo.noise import add_noise

def run(*arguments):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, (arguments, result.output)
    return result.stdout

import sys
assert "torch" not in sys.modules or "smooth_models" not in sys.modules, "a plug-in is imported to build, not to list"
run("pull", "lab/smooth")
run("verify", "lab/smooth")
if "smooth.squares" in zoo.list_models():
    run("pull", "smooth.squares")
    run("verify", "smooth.squares")
clean = Image.fromarray(np.kron(np.arange(16, dtype=np.uint8).reshape(4, 4) * 12 + 40, np.ones((24, 24), np.uint8)))
clean = clean.convert("RGB")
clean.save("clean.png")
report = json.loads(run("denoise", "clean.png", "--add-noise", "25", "--model", "lab/smooth", "--json"))[0]

from space.tabs import zoo as tab
from space.shell import build
demo = build()
rows = [row for row in tab.rows("smoothing squares", tab.EVERY)]
picture, button, status = tab.show_model("lab/smooth")
with Image.open(picture["value"]) as drawn:
    size = drawn.size
registered = "smooth.squares" in zoo.list_models()
if registered:
    zoo.load("smooth.squares", local_files_only=False)
print(json.dumps({
    "psnr": [report["psnr_noisy"], report["psnr"]], "rows": [row[0] for row in rows], "size": size,
    "download": button["value"], "fns": len(demo.fns), "registered": registered,
}))
"""


def test_from_their_package_to_the_app(hub: LoopbackHub, site: Path, tmp_path: Path) -> None:
    (model,) = python(PUBLISH, hub, site, tmp_path / "author")
    files = hub.repo("lab/smooth").files
    assert hub.repo("lab/smooth").tags["v1"] == model["commit"]
    assert json.loads(files["config.json"])["plug_in"] == "smooth-models"
    assert b"SPDX-License-Identifier: MIT" in files["LICENSE"]
    # they ship the record, which pins the revision
    entry = registry.read_entry(tmp_path / "author" / "runs" / "smooth" / "smooth.squares.json")
    registry.write_entry(dataclasses.replace(entry, hub="lab/smooth@v1"), site / "smooth_models" / "entries")

    used = python(USE, hub, site, tmp_path / "visitor")
    assert used["psnr"][1] > used["psnr"][0] + 3
    assert "lab/smooth" in used["rows"] or "smooth.squares" in used["rows"]
    assert used["registered"] and used["size"][1] == 192
    assert Path(used["download"]).stat().st_size == len(files["model.safetensors"])


def test_without_their_package(hub: LoopbackHub, site: Path, tmp_path: Path) -> None:
    """Whoever lacks it is told what is missing; nothing from the repository is run instead."""
    from zoo.errors import UnknownModelError
    from zoo.hub.published import config_record

    entry = dataclasses.replace(zoo.info("lista.patches"), name="smooth.squares", config={"size": 5})
    repo = Repo("model", "lab/smooth")
    record = config_record(entry, plug_in="smooth-models")
    repo.commit("main", {"config.json": json.dumps(record).encode()}, "made elsewhere")
    hub.repos["model", "lab/smooth"] = repo
    assert zoo.info("lab/smooth").name == "lab/smooth"
    with pytest.raises(UnknownModelError, match=r"'smooth-models'.*trust"):
        zoo.load("lab/smooth")
    repo.commit(
        "main", {**repo.files, "model.safetensors": registry.weights_path(zoo.info("lista.patches")).read_bytes()}, ""
    )
    (check,) = [one for one in verify("lab/smooth").checks if one.state == "failed"]
    assert check.what == "strict load" and "'smooth-models'" in check.detail


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, site: Path) -> Path:
    """The package on this process's path, with nothing of it read yet."""
    from zoo.entry import CARD_FOLDERS

    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr("zoo.entry.CARD_FOLDERS", [*CARD_FOLDERS])
    monkeypatch.setattr(registry, "_homes", {})
    plugins.plug_ins.cache_clear()
    yield site
    plugins.plug_ins.cache_clear()


def test_records_of_a_package(fresh: Path) -> None:
    folder = fresh / "smooth_models"
    record = zoo.info("lista.patches").to_dict() | {"name": "smooth.one", "default": False}
    (folder / "entries").mkdir()
    (folder / "entries" / "smooth.one.json").write_text(json.dumps(record))
    (folder / "entries" / "bad.json").write_text("{}")
    (folder / "entries" / "taken.json").write_text(json.dumps(record | {"name": "lista.patches"}))
    with pytest.warns(RuntimeWarning) as caught:
        entries = registry._entries.__wrapped__()
    told = " ".join(str(one.message) for one in caught)
    assert "plug-in smooth_models" in told and "missing keys" in told and "already registered" in told
    entry = entries["smooth.one"]
    assert registry.weights_path(entry) == folder / "weights" / "lista.patches.safetensors"
    assert entries["lista.patches"] == zoo.info("lista.patches")
    assert "smooth_models" not in sys.modules, "listing imports nothing"
    assert plugins.provider("smooth_models.training") == "smooth-models" and plugins.provider("zoo.models") is None
    from zoo.training.recipe import list_recipes

    assert "smooth.squares" in list_recipes() and "smooth" in plugins.objectives()


def test_a_broken_package_does_no_harm(fresh: Path) -> None:
    (fresh / "smooth_models" / "__init__.py").write_text("raise RuntimeError('half installed')")
    with pytest.warns(RuntimeWarning, match=r"plug-in smooth_models.*half installed"):
        plugins.import_plug_ins()
    (fresh / "smooth_models" / "__init__.py").unlink()
    for path in sorted((fresh / "smooth_models").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (fresh / "smooth_models").rmdir()
    plugins.plug_ins.cache_clear()
    with pytest.warns(RuntimeWarning, match="not a package that can be imported"):
        assert plugins.plug_ins() == ()


def test_no_plug_in_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plugins.import_plug_ins()
