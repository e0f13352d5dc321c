"""Joint training of a generator and one latent per image: the store on disk, kills, what is learned and released."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from zoo import checkpoints
from zoo.entry import Entry
from zoo.models.lcm_encoder import LCMEncoder
from zoo.restore.degradation import Identity
from zoo.training import Progress, Recipe, train
from zoo.training import latent as training_latent
from zoo.training.checkpoint import read_checkpoint
from zoo.training.latent import FitLatents
from zoo.training.latent_store import LatentStore
from zoo.training.objective import make_objective
from zoo.training.pictures import batch_of
from zoo.training.recipe import load_recipe, parse_recipe
from zoo.training.schedule import Schedule

CPU = torch.device("cpu")


def start(numbers: list[int]) -> Tensor:
    return torch.tensor(numbers)[:, None].expand(-1, 3).float()


def test_store(tmp_path: Path) -> None:
    store = LatentStore(tmp_path, 5, (3,), start)
    assert torch.equal(store.rows([4, 0]), torch.tensor([[4.0] * 3, [0.0] * 3]))
    store.put(np.array([1, 4]), torch.tensor([[0.1, 0.2, 0.3], [7.0, 8.0, 9.0]]))
    assert torch.equal(store.rows([1])[0], torch.tensor([0.1, 0.2, 0.3]).half().float())
    assert not store.path.exists(), "nothing is written before a checkpoint holds it"
    store.state_dict()
    assert not store.path.exists()
    store.settle()
    assert store.path.stat().st_size == 5 * 3 * 2
    assert torch.equal(store.rows([4, 2]), torch.tensor([[7.0, 8.0, 9.0], [2.0] * 3]))
    assert store.seen.tolist() == [False, True, False, False, True]


@settings(max_examples=40)
@given(
    st.lists(
        st.one_of(st.tuples(st.integers(0, 3), st.integers(0, 99)), st.sampled_from(["save", "settle", "kill"])),
        max_size=25,
    )
)
def test_store_after_any_kill_is_the_last_checkpoint(
    tmp_path_factory: pytest.TempPathFactory, events: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("store")
    store = LatentStore(folder, 4, (3,), start)
    rows = {number: float(number) for number in range(4)}
    saved, state = dict(rows), store.state_dict()
    for event in events:
        if event == "save":
            saved, state = dict(rows), store.state_dict()
        elif event == "settle":
            store.settle()
        elif event == "kill":
            store = LatentStore(folder, 4, (3,), start)
            store.load_state_dict(state)
            rows = dict(saved)
        else:
            number, value = event
            store.put([number], torch.full((1, 3), float(value)))
            rows[number] = float(value)
        assert store.rows(range(4))[:, 0].tolist() == [rows[number] for number in range(4)]


def test_store_refuses_what_does_not_fit(tmp_path: Path) -> None:
    store = LatentStore(tmp_path, 2, (3,), start)
    store.put([0], torch.ones(1, 3))
    store.state_dict()
    store.settle()
    state = store.state_dict()
    with pytest.raises(ValueError, match="latents of 2 images"):
        LatentStore(tmp_path, 3, (3,), start).load_state_dict(state)
    store.path.write_bytes(b"short")
    with pytest.raises(ValueError, match="5 bytes"):
        LatentStore(tmp_path, 2, (3,), start).load_state_dict(state)
    store.path.unlink()
    with pytest.raises(ValueError, match="is gone"):
        LatentStore(tmp_path, 2, (3,), start).load_state_dict(state)


def everything(run: Path) -> dict[str, Tensor]:
    state = read_checkpoint(run)
    assert state is not None
    saved = state["objective"]["store"]
    store = LatentStore(run / "cache", len(saved["seen"]), tuple(saved["values"].shape[1:]), start)
    store.load_state_dict(saved)
    latents = store.rows(saved["seen"].nonzero()[:, 0].tolist())
    visit = state["objective"]["visit"]["latents"]
    return {**state["model"], "latents": latents, "visit": visit}


def test_a_killed_run_ends_as_an_unbroken_one(latent: Recipe, faces: Path, tmp_path: Path) -> None:
    def begin(out: str, minutes: float) -> Iterator[Progress]:
        clock = itertools.count(0, 5).__next__
        return train(
            latent,
            tmp_path / out,
            data=faces,
            cpu=True,
            steps=16,
            resume=True,
            checkpoint_minutes=minutes,
            validate_minutes=1e9,
            now=clock,
        )

    # a checkpoint every third or fourth step: the file on disk is ahead of it in some rows and behind in others
    for kill in (5, 11, 14):
        reached = 0
        for progress in begin("cut", 0.3):
            reached = progress.step
            if reached >= kill:
                break
        state = read_checkpoint(tmp_path / "cut")
        assert state is not None and 0 < state["step"] <= reached < 16
    *_, last = begin("cut", 0.3)
    *_, _ = begin("whole", 1e9)
    assert last.done
    whole, cut = everything(tmp_path / "whole"), everything(tmp_path / "cut")
    for key, value in whole.items():
        assert torch.equal(value, cut[key]), key
    assert len(whole["latents"]) == 4


def test_learns_and_releases(latent: Recipe, faces: Path, tmp_path: Path) -> None:
    recipe = replace(latent, batch=4, schedule={k: Schedule(((0.0, 1.0),)) for k in ("lr", "lr_latent")})
    losses = []
    clock = iter(range(0, 100_000, 5)).__next__
    for progress in train(recipe, tmp_path / "run", data=faces, cpu=True, steps=40, validate_minutes=1e9, now=clock):
        losses.append(progress.values.get("loss"))
    assert progress.done
    assert losses[-1] < 0.85 * losses[0]
    assert set(progress.metrics) == {"train", "train_mse", "val", "val_mse", "visited"}
    entry = Entry.from_dict(json.loads((tmp_path / "run" / "lcm.test.json").read_text()))
    assert [metric.paper_value for metric in entry.metrics] == [None] * 3, "the paper's are for 128 pixels"
    module = checkpoints.load_checkpoint(tmp_path / "run" / str(entry.file), config=entry.config).eval()
    objective = make_objective(recipe, faces, tmp_path / "run" / "cache")
    assert isinstance(objective, FitLatents)
    objective.load_state_dict(read_checkpoint(tmp_path / "run")["objective"])  # type: ignore[index]
    latents = objective.store.rows([0, 1, 2, 3])
    assert latents.shape == (4, 24336) and latents.abs().max() < 0.01001, "in the box, but for float16"
    from zoo.restore.pyramid import reconstruction_loss

    pictures = torch.stack(
        [
            torch.from_numpy(np.asarray(Image.open(faces / "train" / f"{i}.png")).copy()).permute(2, 0, 1) / 255
            for i in range(4)
        ]
    )
    with torch.no_grad():
        loss = reconstruction_loss(module(latents), pictures)[0].mean()
    assert float(loss) == pytest.approx(progress.metrics["train"], rel=0.05), "latents and weights belong together"
    assert Image.open(tmp_path / "run" / "samples.png").size == (4 * 64, 128)


@pytest.mark.parametrize("objective", ["autoencode", "wgan"])
def test_baselines_train_and_release(objective: str, latent: Recipe, faces: Path, tmp_path: Path) -> None:
    table: dict[str, Any] = {
        "name": "ae.test" if objective == "autoencode" else "wgan_gp.test",
        "objective": objective,
        "batch": 4,
        "model": {"dim": 8, "width": 32, "size": 32},
        "loss": {"critic_width": 32, "critic_steps": 2} if objective == "wgan" else {},
        "optimiser": {"kind": "adam", "betas": [0.5, 0.9]},
        "schedule": {"lr": 2e-3},
        "release": dict(latent.release),
    }
    clock = iter(range(0, 100_000, 5)).__next__
    steps = list(train(parse_recipe(table), tmp_path / "run", data=faces, cpu=True, steps=12, now=clock))
    assert steps[-1].done and (tmp_path / "run" / f"{table['name']}.safetensors").exists()
    if objective == "autoencode":
        assert steps[-1].values["loss"] < 0.9 * steps[0].values["loss"]
        assert steps[-1].metrics["val"] > 0
    else:
        assert np.isfinite(steps[-1].metrics["distance"])


def test_generator_waits_for_its_turn(latent: Recipe, faces: Path, tmp_path: Path) -> None:
    table: dict[str, Any] = {
        "name": "wgan_gp.test",
        "objective": "wgan",
        "batch": 2,
        "precision": "float32",
        "model": {"dim": 4, "width": 16, "size": 16},
        "loss": {"critic_width": 16, "critic_steps": 3},
        "optimiser": {"kind": "adam"},
        "schedule": {"lr": 1e-3},
        "release": dict(latent.release),
    }
    states = []
    for steps in (2, 3):
        out = tmp_path / str(steps)
        *_, _ = train(parse_recipe(table), out, data=faces, cpu=True, steps=steps)
        state = read_checkpoint(out)
        assert state is not None
        states.append(state["model"])
    key = "generator.generator.linear.weight"
    torch.manual_seed(0)
    from zoo.models.wgan import WGAN

    fresh = WGAN(16, 4, 16).state_dict()["generator.linear.weight"]
    assert torch.equal(states[0][key], fresh), "no step of the generator in the first two"
    assert not torch.equal(states[1][key], fresh)


@pytest.mark.parametrize(
    "name",
    [
        "lcm.faces128",
        "lcm.faces128_full",
        "lcm.bedrooms128",
        "lcm.bedrooms256",
        "lcm.faces1024",
        "glo.faces128",
        "glo_vector.faces128",
        "ae.faces128",
        "wgan_gp.faces128",
        "lcm_encoder.faces128",
    ],
)
def test_recipes(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert recipe.release["tasks"] and len(recipe.release["summary"]) <= 120
    if recipe.objective == "latent_start":
        return  # its prior may not be installed
    with torch.device("meta"):
        objective = make_objective(recipe, tmp_path, tmp_path)
    assert sum(parameter.numel() for parameter in objective.model.parameters()) > 1e6


def test_predicted_latents_learn_and_become_those_of_the_visits(amortised: Recipe, faces: Path, tmp_path: Path) -> None:
    recipe = replace(amortised, batch=4)
    losses = []
    clock = iter(range(0, 100_000, 5)).__next__
    for progress in train(recipe, tmp_path / "run", data=faces, cpu=True, steps=60, validate_minutes=1e9, now=clock):
        losses.append((progress.fraction, progress.values.get("loss", 1.0)))
    first = [loss for fraction, loss in losses if fraction <= 0.5]
    assert first[-1] < 0.85 * first[0], "while latents are predicted"
    after = [loss for fraction, loss in losses if fraction > 0.55]
    assert after[0] < 0.9 * first[0], "visits start from what was predicted"
    objective = make_objective(recipe, faces, tmp_path)
    assert isinstance(objective, FitLatents) and objective.predictor is not None
    start = objective.store.rows([0, 1])
    assert torch.equal(start[0], start[1]) is False and start.abs().max() <= 0.01
    module = checkpoints.load_checkpoint(
        tmp_path / "run" / "lcm.test.safetensors", config={"size": 64, "width": 0.03125}
    )
    assert not [key for key in module.state_dict() if "encoder" in key], "only the prior is released"


def test_killed_while_latents_are_predicted(amortised: Recipe, faces: Path, tmp_path: Path) -> None:
    recipe = amortised
    options: dict[str, Any] = {"data": faces, "cpu": True, "steps": 8, "validate_minutes": 1e9}
    for out, kills in (("whole", ()), ("cut", (2, 3, 6))):
        for kill in kills:
            clock = itertools.count(0, 20).__next__
            for progress in train(recipe, tmp_path / out, resume=True, checkpoint_minutes=0, now=clock, **options):
                if progress.step >= kill:
                    break
        for _ in train(recipe, tmp_path / out, resume=True, now=itertools.count(0, 20).__next__, **options):
            pass
    whole, cut = everything(tmp_path / "whole"), everything(tmp_path / "cut")
    assert all(torch.equal(value, cut[key]) for key, value in whole.items())


def test_a_run_goes_on_from_the_network_of_another(amortised: Recipe, faces: Path, tmp_path: Path) -> None:
    *_, last = train(amortised, tmp_path / "run", data=faces, cpu=True, steps=6, validate_minutes=1e9)
    assert last.done
    state = read_checkpoint(tmp_path / "run")
    assert state is not None
    before, fresh, after = (make_objective(amortised, faces, tmp_path) for _ in range(3))
    before.load_state_dict(state["objective"])
    after.adopt_run(state, "run")
    images = batch_of(before.pictures[1], slice(None), CPU)  # type: ignore[attr-defined]
    wanted, untrained, found = (one.predictor.predict(images) for one in (before, fresh, after))  # type: ignore[attr-defined]
    torch.testing.assert_close(found, wanted)
    assert not torch.allclose(untrained, wanted, atol=1e-4)


def test_a_released_model_brings_its_start(
    amortised: Recipe, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(1)
    objective = make_objective(amortised, faces, tmp_path)
    assert isinstance(objective, FitLatents) and objective.predictor is not None
    start = LCMEncoder(rank=8, width=16, size=64).eval()
    monkeypatch.setattr(training_latent.registry, "list_models", lambda: ["lcm_encoder.test"])
    monkeypatch.setattr(training_latent, "load", lambda name: start)
    objective.adopt(objective.model, "lcm.test")
    images = batch_of(objective.pictures[1], slice(None), CPU)
    with torch.no_grad():
        wanted = start(Identity().evidence(images))
    torch.testing.assert_close(objective.predictor.predict(images), wanted, rtol=0, atol=2e-5)
    monkeypatch.setattr(training_latent, "load", lambda name: LCMEncoder(rank=8, width=32, size=64))
    objective.adopt(objective.model, "lcm.test")  # of another width: as if there were none
    torch.testing.assert_close(objective.predictor.predict(images), wanted, rtol=0, atol=2e-5)


def test_amortised_needs_a_rate(latent: Recipe, amortised: Recipe, faces: Path, tmp_path: Path) -> None:
    recipe = replace(amortised, schedule=latent.schedule)
    with pytest.raises(ValueError, match="lr_encoder"):
        make_objective(recipe, faces, tmp_path)
