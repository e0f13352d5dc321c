"""`zoo pull`, `zoo verify`, `zoo cache` and `zoo export`, each against what it must and must not accept."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from loopback import LoopbackHub
from typer.testing import CliRunner

import zoo
from zoo import registry
from zoo.checkpoints import file_sha256, save_checkpoint
from zoo.cli import app
from zoo.hub import cache
from zoo.hub.export import SUFFIXES, export, sample_input
from zoo.hub.publish import publish
from zoo.hub.verify import verify

NAME = "lista.patches"
REPO = "lab/lista"
BUNDLED = [
    name for name in zoo.list_models() if (path := registry.weights_path(zoo.info(name))) is not None and path.is_file()
]


def run(*arguments: str, code: int = 0):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result


def state(target: Any) -> dict[str, str]:
    return {check.what: check.state for check in verify(target).checks}


# --- pull and cache ---


@pytest.fixture
def by_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Models whose weights other publishers have; who is asked for them is noted, and nobody is."""
    from zoo import foreign

    asked: list[str] = []

    def note(entry: zoo.Entry, report: Any = None) -> Path:
        asked.append(entry.name)
        return tmp_path / str(entry.file)

    monkeypatch.setattr(foreign, "pull", note)
    return asked


def test_pull_and_cache(hub: LoopbackHub, registered, without_bundle: Path, by_others, tmp_path: Path) -> None:
    weights = registry.ROOT / "weights"
    commit = publish(weights / f"{NAME}.safetensors", REPO).commit
    publish(weights / f"{NAME}.safetensors", "someone/other")
    registered(NAME, hub=f"{REPO}@{commit}")
    assert run("cache").stdout == "" and run("cache", "size").stdout.strip() == "0.0 MB"
    one, *others = json.loads(run("pull", "--all", "--json").stdout)
    assert by_others == [other["name"] for other in others] == ["vgg19.imagenet"]
    assert one["source"] == f"{REPO}@{commit}" and file_sha256(one["path"]) == zoo.info(NAME).sha256
    run("pull", "someone/other")
    hub.close()
    assert REPO in run("--offline", "pull", NAME).stdout
    assert "no weights" in run("--offline", "pull", "tv2d").stdout
    listed = json.loads(run("cache", "list", "--json").stdout)
    assert [model["repo"] for model in listed] == [REPO, "someone/other"]
    assert all(model["size_bytes"] > 440_000 for model in listed)
    assert [entry.name for entry in cache.pulled_entries()] == ["someone/other"], "the other is in the registry"
    assert json.loads(run("cache", "size", "--json").stdout) == {
        "size_bytes": sum(model["size_bytes"] for model in listed)
    }
    assert "not in the cache" in run("cache", "delete", "-y", "lab/nothing", code=2).stderr
    run("cache", "delete", NAME, code=1)  # nobody said yes
    assert len(cache.cached_models()) == 2
    assert "freed 0." in run("cache", "delete", "-y", NAME).stdout
    assert [model.repo for model in cache.cached_models()] == ["someone/other"]
    run("cache", "delete", "-y", "--all")
    assert cache.cached_models() == [] and not list((tmp_path / "hf").rglob("*.safetensors"))


def test_cache_leaves_the_models_of_others_alone(hub: LoopbackHub, tmp_path: Path) -> None:
    publish(NAME, REPO)
    run("pull", REPO)
    theirs = tmp_path / "hf" / "models--bert--base"
    shutil.copytree(tmp_path / "hf" / "models--lab--lista", theirs, symlinks=True)
    (config,) = theirs.rglob("config.json")
    config.resolve().write_text('{"model_type": "bert"}')
    assert [model.repo for model in cache.cached_models()] == [REPO]
    run("cache", "delete", "-y", "--all")
    assert theirs.exists() and not (tmp_path / "hf" / "models--lab--lista").exists()


def test_pull_asks_nothing_for_what_is_bundled(hub: LoopbackHub, monkeypatch) -> None:
    assert run("pull", NAME).stdout.split("  ")[1] == "bundled"
    monkeypatch.setattr(registry, "list_models", lambda: BUNDLED)
    assert "nothing to fetch" in run("pull", "--all").stderr
    assert hub.log == []
    assert "give one of them" in run("pull", code=2).stderr
    assert "give one of them" in run("pull", NAME, "--all", code=2).stderr


def test_one_that_cannot_be_pulled_does_not_keep_the_others(hub: LoopbackHub) -> None:
    publish(NAME, REPO)
    done = run("pull", "lab/nothing", REPO, "no.such", code=2)
    assert done.stdout.startswith(REPO) and done.stderr.count("zoo: ") == 2
    assert "no such repository" in done.stderr and "unknown model 'no.such'" in done.stderr


# --- verify ---


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_model_verifies(name: str) -> None:
    found = verify(name)
    assert found.good, found
    # a checkout knows the golden output of each
    assert {check.what: check.state for check in found.checks} == dict.fromkeys(
        ("no pickle", "sha256", "strict load", "golden output", "card"), "ok"
    )


def test_a_solver_verifies() -> None:
    assert run("verify", "tv2d.isotropic", NAME).stdout.count(" ok") >= 6
    (found,) = json.loads(run("verify", "tv2d.isotropic", "--json").stdout)
    assert found["good"] and [check["what"] for check in found["checks"] if check["state"] == "skipped"] == [
        "sha256",
        "golden output",
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    publish(NAME, REPO, dry_run=True, keep=tmp_path / "model")
    return tmp_path / "model"


def test_verify_finds_each_fault(folder: Path, tmp_path: Path) -> None:
    assert set(state(folder).values()) == {"ok"}
    weights = folder / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert state(folder) == {"no pickle": "ok", "sha256": "failed"}
    run("verify", str(folder), code=1)
    weights.write_bytes(content)

    (folder / "old.pth").write_bytes(b"")
    assert state(folder)["no pickle"] == "failed"
    (folder / "old.pth").rename(folder / "innocent.txt")
    assert state(folder)["no pickle"] == "ok"
    torch.save({"a": torch.zeros(1)}, folder / "innocent.txt")
    assert state(folder)["no pickle"] == "failed", "a pickle by another name"
    (folder / "innocent.txt").unlink()

    golden = json.loads((folder / "golden.json").read_text())
    golden["output"]["mean"] += 0.1
    (folder / "golden.json").write_text(json.dumps(golden))
    assert state(folder)["golden output"] == "failed"
    (folder / "golden.json").write_text('{"output": {}}')
    assert state(folder)["golden output"] == "failed"
    (folder / "golden.json").unlink()
    assert state(folder)["golden output"] == "skipped"

    (folder / "README.md").write_text("---\nlicense: mit\n---\n# x\n")
    card = next(check for check in verify(folder).checks if check.what == "card")
    assert card.state == "failed" and "library_name" in card.detail and "model-index" in card.detail


def test_verify_compares_what_the_record_says(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["entry"]["num_params"] += 1
    (folder / "config.json").write_text(json.dumps(config))
    assert state(folder)["strict load"] == "failed"
    config["entry"]["config"]["layers"] = 7
    (folder / "config.json").write_text(json.dumps(config))
    assert state(folder)["strict load"] == "failed"


def test_verify_a_file(tmp_path: Path) -> None:
    bundled = registry.ROOT / "weights" / f"{NAME}.safetensors"
    assert set(state(bundled).values()) == {"ok"}
    own = zoo.load(NAME)
    path = tmp_path / "own.safetensors"
    save_checkpoint(path, own, name="lista.own", config=zoo.info(NAME).config)
    assert state(path) == {
        "no pickle": "ok",
        "sha256": "skipped",
        "strict load": "ok",
        "golden output": "skipped",
        "card": "skipped",
    }
    shutil.copy(path, tmp_path / f"{NAME}.safetensors")
    assert state(tmp_path / f"{NAME}.safetensors")["name"] == "failed", "it goes by another model's name"
    assert "unknown model" in run("verify", "no.such", code=2).stderr
    assert "no such file" in run("verify", "no.safetensors", code=2).stderr


def test_verify_unreadable_files(tmp_path: Path) -> None:
    """Each is told, and the others are looked at all the same."""
    content = (registry.ROOT / "weights" / f"{NAME}.safetensors").read_bytes()
    files = {
        "cut.safetensors": content[:-100],
        "flipped.safetensors": content[:-1] + bytes([content[-1] ^ 1]),
        "empty.safetensors": b"",
        "huge-header.safetensors": b"\xff" * 8 + content[8:],
    }
    for name, spoilt in files.items():
        (tmp_path / name).write_bytes(spoilt)
    torch.save({"a": torch.zeros(1)}, tmp_path / "pickled.safetensors")
    torch.save({"a": torch.zeros(1)}, tmp_path / "own.pt")
    every = sorted(str(path) for path in tmp_path.iterdir())
    report = json.loads(run("verify", *every, NAME, "--json", code=1).stdout)
    assert [one["good"] for one in report] == [False] * len(every) + [True]
    told = {Path(one["name"]).name: one["checks"][0]["detail"] for one in report[:-1]}
    assert "can run code" in told["pickled.safetensors"] and "can run code" in told["own.pt"]
    assert "altered or damaged" in told["flipped.safetensors"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite(value: float, tmp_path: Path, monkeypatch) -> None:
    own = zoo.load(NAME)
    own.state_dict()["couple.0"].view(-1)[0] = value
    monkeypatch.setattr(torch, "isfinite", lambda tensor: torch.ones(1, dtype=torch.bool))  # a careless writer
    save_checkpoint(tmp_path / "own.safetensors", own, name="lista.own", config=zoo.info(NAME).config)
    monkeypatch.undo()
    (check,) = [one for one in verify(tmp_path / "own.safetensors").checks if one.state == "failed"]
    assert check.what == "strict load" and "NaN or infinite" in check.detail


def test_verify_misses_the_documents(folder: Path) -> None:
    for name in ("LICENSE", "eval.json", "README.md"):
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        (check,) = [one for one in verify(folder).checks if one.state == "failed"]
        assert check.what == "card" and name in check.detail
        (folder / name).write_bytes(content)


# --- export ---

NO_ONNX = {
    "adain": "takes 2 inputs",
    "wct": "takes 2 inputs",
    "flexible_solver": "takes 2 inputs",
    "dncnn_tv": "ONNX has no form for this model",
}
"""Architecture -> why."""


def missing(*packages: str) -> bool:
    return any(importlib.util.find_spec(package) is None for package in packages)


def test_export_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    path = tmp_path / "lista.safetensors"
    run("export", NAME, "--format", "safetensors", "-o", str(path))
    state, expected = load_file(path), zoo.load(NAME).state_dict()
    assert state.keys() == expected.keys() and all(torch.equal(state[key], expected[key]) for key in state)


def test_export_program(tmp_path: Path) -> None:
    path = tmp_path / "lista.pt2"
    made = export(NAME, "torch-export", path)
    assert made.any_size and made.difference == 0
    module = zoo.load(NAME)
    source = torch.randn(7, 64)
    with torch.no_grad():
        assert torch.allclose(torch.export.load(path).module()(source)[0], module(source), atol=1e-6)


@pytest.mark.skipif(missing("onnx", "onnxscript", "onnxruntime"), reason="the extra export is not installed")
@pytest.mark.parametrize("name", [name for name in BUNDLED if zoo.info(name).arch not in NO_ONNX])
def test_export_onnx(name: str, tmp_path: Path) -> None:
    import onnxruntime

    path = tmp_path / "model.onnx"
    made = json.loads(run("export", name, "--format", "onnx", "-o", str(path), "--json").stdout)
    assert made["difference"] < 1e-4
    module = zoo.load(name)
    source = sample_input(module)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: source.numpy()})
    with torch.no_grad():
        output = module(source)
    expected = list(output.values()) if isinstance(output, dict) else [output]
    for one, other in zip(found, expected, strict=True):
        assert np.abs(one - other.numpy()).max() <= 1e-4 * float(other.square().mean().sqrt())


@pytest.mark.skipif(missing("onnx", "onnxscript"), reason="the extra export is not installed")
@pytest.mark.parametrize("name", [name for name in BUNDLED if zoo.info(name).arch in NO_ONNX])
def test_what_onnx_has_no_form_for(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    assert NO_ONNX[zoo.info(name).arch] in run("export", name, "--format", "onnx", "-o", str(path), code=2).stderr
    run("export", name, "--format", "safetensors", "-o", str(path.with_suffix(".safetensors")))
    assert [made.name for made in tmp_path.iterdir()] == ["model.safetensors"]


def test_export_says_what_it_cannot_do(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tv2d", "dip.small", "gatys"):
        assert "a fixed computation" in run("export", name, "--format", "onnx", code=2).stderr
        assert "tensors only" in run("export", name, "--format", "safetensors", code=2).stderr
    assert "one of safetensors, onnx" in run("export", NAME, "--format", "pickle", code=2).stderr
    assert "ends in .pt2" in run("export", NAME, "--format", "torch-export", "-o", "x.pt", code=2).stderr
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx" else found(name))
    assert "neural-solver-zoo[export]" in run("export", NAME, "--format", "onnx", code=2).stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["safetensors", "torch-export", "onnx"])
def test_export_onto_a_full_disk(format: str, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource", reason="limits of a process are not known to this system")
    if format == "onnx" and missing("onnx", "onnxscript"):
        pytest.skip("the extra export is not installed")
    path = tmp_path / f"x{SUFFIXES[format]}"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        text = run("export", NAME, "--format", format, "-o", str(path), code=2).stderr
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "File too large" in text and list(tmp_path.iterdir()) == []


def test_an_export_that_differs_is_not_kept(tmp_path: Path, monkeypatch) -> None:
    from zoo.hub import export as exporting

    monkeypatch.setattr(exporting, "_difference", lambda found, expected: float("nan"))
    with pytest.raises(ValueError, match="differs from the model"):
        export(NAME, "safetensors", tmp_path / "x.safetensors")
    assert list(tmp_path.iterdir()) == []
