"""The loop: budgets, kills and resumption, several processes, what a run leaves behind."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

import zoo
from zoo import checkpoints
from zoo.entry import Entry
from zoo.training import Progress, Recipe, train
from zoo.training.checkpoint import read_checkpoint, save_checkpoint
from zoo.training.finish import install
from zoo.training.schedule import Schedule


def weights(folder: Path) -> dict[str, Tensor]:
    state = read_checkpoint(folder)
    assert state is not None
    return state["model"]


def assert_same(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert first.keys() == second.keys()
    for key, value in first.items():
        assert torch.equal(value, second[key]), key


def run(recipe: Recipe, out: Path, photos: Path, **options: object) -> Progress:
    *_, last = train(recipe, out, data=photos, cpu=True, **options)  # type: ignore[arg-type]
    return last


def test_resume_gives_the_same_weights_as_no_kill(recipe: Recipe, photos: Path, tmp_path: Path) -> None:
    assert run(recipe, tmp_path / "whole", photos, steps=12).done
    # a checkpoint every step; the generator is dropped half way, as a kill would
    for progress in train(
        recipe, tmp_path / "cut", data=photos, cpu=True, steps=12, checkpoint_minutes=0, now=ticking(5)
    ):
        if progress.step >= 5:
            break
    cut = read_checkpoint(tmp_path / "cut")
    assert cut is not None and 0 < cut["step"] < 12
    assert run(recipe, tmp_path / "cut", photos, steps=12, resume=True).step == 12
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def ticking(seconds: float):  # type: ignore[no-untyped-def]
    """A clock that moves on by so much each time it is read."""
    state = {"time": 0.0}

    def now() -> float:
        state["time"] += seconds
        return state["time"]

    return now


def test_seed_matters(recipe: Recipe, photos: Path, tmp_path: Path) -> None:
    run(recipe, tmp_path / "a", photos, steps=2)
    run(replace(recipe, seed=1), tmp_path / "b", photos, steps=2)
    assert not torch.equal(weights(tmp_path / "a")["convs.1.weight"], weights(tmp_path / "b")["convs.1.weight"])


def test_a_time_budget_runs_the_whole_schedule(recipe: Recipe, photos: Path, tmp_path: Path) -> None:
    steps = list(train(recipe, tmp_path / "run", data=photos, cpu=True, minutes=1, now=ticking(5)))
    assert steps[-1].done and steps[-1].fraction == 1.0 and steps[-1].seconds >= 60
    assert 8 <= steps[-1].step <= 13
    lrs = [progress.values["lr"] for progress in steps if progress.values]
    assert lrs == sorted(lrs, reverse=True) and lrs[-1] == pytest.approx(1e-4)
    assert {progress.values["size"] for progress in steps if progress.values} == {16, 20}


SCRIPT = """
import itertools
import sys
from pathlib import Path
from zoo.training import train
from zoo.training.recipe import load_recipe
recipe, out, data = load_recipe(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
clock = itertools.count(0, 5).__next__
for progress in train(recipe, out, data=data, cpu=True, steps=60, resume=True, checkpoint_minutes=0.0001, now=clock):
    print(progress.step, flush=True)
"""

TOML = """
name = "dncnn.test"
objective = "denoise"
batch = 2
precision = "bf16"
model = { depth = 3, width = 8 }
data = { sigma = [0, 50] }
optimiser = { kind = "sgd", momentum = 0.9 }
schedule = { lr = { points = [[0.0, 1e-2], [1.0, 0.0]], between = "linear" }, size = 16 }
[release]
summary = "a test"
tasks = ["denoise"]
licence = "Apache-2.0"
input = { channels = 3 }
paper = { title = "none", section = "0" }
data = ["noise"]
"""


def test_killed_process_can_be_resumed(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(TOML)

    def start(out: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SCRIPT, "recipe.toml", out, str(photos)]
        return subprocess.Popen(command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True)

    reached = 0
    for number in (signal.SIGTERM, signal.SIGKILL):
        process = start("cut")
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= reached + 4:
                process.send_signal(number)
                break
        process.communicate(timeout=120)
        state = read_checkpoint(tmp_path / "cut")
        assert state is not None
        assert reached < state["step"] < 60
        reached = state["step"]
    for out in ("cut", "whole"):
        assert start(out).wait(timeout=120) == 0
    assert_same(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def environment() -> dict[str, str]:
    root = str(Path(zoo.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": root, "OMP_NUM_THREADS": "1"}


def test_two_processes_over_gloo(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(TOML)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--cpu",
        "--num_processes",
        "1",
        "--num_machines",
        "1",
    ]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", "-m", "zoo.cli", "train", "recipe.toml", "--cpu"]
    command += ["--steps", "4", "--data", str(photos), "--out", "run"]
    processes = []
    for rank in ("0", "1"):
        place = {
            "RANK": rank,
            "LOCAL_RANK": rank,
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
        }
        started = subprocess.Popen(command, cwd=tmp_path, env=environment() | place, stderr=subprocess.PIPE, text=True)
        processes.append(started)
    for process in processes:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    state = read_checkpoint(tmp_path / "run")
    assert state is not None and state["step"] == 4 and state["processes"] == 2
    assert not any(key.startswith("module.") for key in state["model"])
    assert (tmp_path / "run" / "dncnn.test.safetensors").exists()


def test_what_a_run_leaves(recipe: Recipe, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    last = run(recipe, out, photos, steps=3, now=ticking(5))
    assert last.done and last.metrics["psnr25"] > 5
    entry = Entry.from_dict(json.loads((out / "dncnn_tv.test.json").read_text()))
    assert entry.training is not None and entry.training.seed == 0
    assert entry.num_params == 3 * 8 * 9 + 8 + 8 * 8 * 9 + 8 + 8 * 3 * 9 + 3 + 2
    assert entry.file is not None
    module = checkpoints.load_checkpoint(out / entry.file, name=entry.name, config=entry.config, sha256=entry.sha256)
    assert module(torch.rand(1, 3, 20, 20)).shape == (1, 3, 20, 20)
    with open(out / "values.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == sorted(int(row["step"]) for row in rows)
    assert float(rows[-1]["loss"]) > 0 and float(rows[-1]["lam_in"]) == pytest.approx(0.005, rel=0.2)
    for name in ("curve.png", "samples.png"):
        assert Image.open(out / name).width > 100
    assert "dncnn_tv.test" in (out / "card.md").read_text()
    assert json.loads((out / "eval.json").read_text())["steps"] == 3

    install(out, recipe.name, tmp_path / "package")
    assert (tmp_path / "package" / "weights" / entry.file).read_bytes() == (out / entry.file).read_bytes()
    assert (tmp_path / "package" / "cards" / "dncnn_tv.test.md").exists()


def test_init_takes_the_weights_of_another_run(recipe: Recipe, photos: Path, tmp_path: Path) -> None:
    plain = replace(recipe, name="dncnn.test", model={"depth": 3, "width": 8})
    run(plain, tmp_path / "plain", photos, steps=3)
    frozen = replace(recipe, optimiser={"kind": "sgd"}, schedule=recipe.schedule | {"lr": Schedule(((0.0, 0.0),))})
    run(frozen, tmp_path / "tv", photos, steps=1, init=tmp_path / "plain")
    assert torch.equal(weights(tmp_path / "tv")["convs.0.weight"], weights(tmp_path / "plain")["convs.0.weight"])
    with pytest.raises(ValueError, match="does not fit"):
        run(plain, tmp_path / "no", photos, steps=1, init=tmp_path / "tv")
    with pytest.raises(ValueError, match="holds no run"):
        run(plain, tmp_path / "no", photos, steps=1, init=tmp_path / "nothing")


def test_refusals(recipe: Recipe, photos: Path, tmp_path: Path) -> None:
    run(recipe, tmp_path / "run", photos, steps=1)
    with pytest.raises(ValueError, match="--resume"):
        run(recipe, tmp_path / "run", photos, steps=2)
    with pytest.raises(ValueError, match="batch was 2 and is 3"):
        run(replace(recipe, batch=3), tmp_path / "run", photos, steps=2, resume=True)
    with pytest.raises(ValueError, match="not both"):
        run(recipe, tmp_path / "new", photos, steps=2, minutes=1.0)
    with pytest.raises(ValueError, match="positive"):
        run(recipe, tmp_path / "new", photos, minutes=0.0)
    with pytest.raises(ValueError, match="data"):
        *_, _ = train(recipe, tmp_path / "new", steps=1, cpu=True)
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"cut short")
    with pytest.raises(ValueError, match="cannot be read"):
        run(recipe, tmp_path / "run", photos, steps=2, resume=True)


def test_release_and_budget_may_change_between_sessions(recipe: Recipe, photos: Path, tmp_path: Path) -> None:
    run(recipe, tmp_path / "run", photos, steps=1)
    changed = replace(recipe, minutes=9.0, release={**recipe.release, "summary": "another"})
    assert run(changed, tmp_path / "run", photos, steps=2, resume=True).step == 2


def test_loss_that_is_not_finite_stops_the_run(recipe: Recipe, photos: Path, tmp_path: Path) -> None:
    wild = replace(
        recipe,
        model={"depth": 3, "width": 8},
        optimiser={"kind": "sgd"},
        schedule=recipe.schedule | {"lr": Schedule(((0.0, 1e30),))},
    )
    with pytest.raises(FloatingPointError, match="lr"):
        run(wild, tmp_path / "run", photos, steps=5)
    assert read_checkpoint(tmp_path / "run") is None


def test_checkpoints_are_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_checkpoint(tmp_path, {"step": 1})

    def broken(state: object, file: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(tmp_path, {"step": 2})
    assert read_checkpoint(tmp_path) == {"step": 1}
