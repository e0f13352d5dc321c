from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

import numpy as np
import torch

import zoo
from zoo import checkpoints
from zoo.models.flexible_solver import FlexibleSolver
from zoo.training import train
from zoo.training.checkpoint import read_checkpoint
from zoo.training.objective import Moment
from zoo.training.recipe import Recipe, load_recipe, parse_recipe
from zoo.training.schedule import Schedule
from zoo.training.stylise import KEEP, NOISE, Stylise


def recipe() -> Recipe:
    made = load_recipe("flexible_solver.n4_l16")
    return parse_recipe(
        {
            "name": "flexible_solver.test",
            "objective": "stylise",
            "batch": 2,
            "precision": "float32",
            "model": {**made.model, "iterations": 2, "width": 2},
            "data": {"side": 40, "test_size": 40, "train": ["pictures"]},
            "loss": made.loss,
            "optimiser": made.optimiser,
            "schedule": {"lr": [[0.0, 2e-3]], "size": [[0.0, 32], [0.5, 40]]},
            "release": made.release,
        }
    )


def moment(step: int = 0, size: int = 32) -> Moment:
    generator = torch.Generator().manual_seed(step)
    return Moment(step, 0.0, {"lr": 1e-3, "size": float(size)}, generator, torch.device("cpu"))


def test_batches_are_pairs_with_noise_and_levels_left_out(photos: Path, tmp_path: Path) -> None:
    objective = Stylise(recipe(), photos, tmp_path)
    train_set, held = objective.pictures
    assert len(train_set) + len(held) == 10 and len(held) == 5
    assert not any((a == b).all() for a in train_set for b in held)
    drawn = [objective.batch(moment(step)) for step in range(40)]
    betas = torch.cat([b for _, _, b, _ in drawn])
    assert set(betas.unique().tolist()) == {0.0, torch.tensor(1 / KEEP).item()}
    assert 0.8 < (betas > 0).float().mean() < 0.97
    for content, style, _, _ in drawn:
        assert content.shape == style.shape == (2, 3, 32, 32)
        assert content.min() >= 0 and content.max() <= 1
    again = objective.batch(moment(3))
    assert all(torch.equal(a, b) for a, b in zip(again[:3], drawn[3][:3], strict=True))
    assert NOISE < 0.2


def test_loss_of_an_idle_solver_is_one(photos: Path, tmp_path: Path) -> None:
    """A pair's loss counts as a share of what the content as it is would have."""
    objective = Stylise(recipe(), photos, tmp_path)
    for step in objective.model.steps:
        torch.nn.init.zeros_(step.backwards[0].weight)
    loss, logged = objective.loss(objective.model, objective.batch(moment()), moment())
    torch.testing.assert_close(loss, torch.tensor(1.0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(logged["left"], torch.tensor(1.0), rtol=1e-4, atol=1e-4)


def test_training_lowers_the_loss_and_releases_a_solver(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    *_, last = train(recipe(), out, data=photos, steps=40, cpu=True)
    assert last.done and np.isfinite(last.metrics["l_tv"]) and last.metrics["left"] < 1
    record = json.loads((out / "flexible_solver.test.json").read_text())
    assert record["tasks"] == ["stylize", "superres"] and record["metrics"][0]["metric"] == "median L_TV"
    module = checkpoints.load_checkpoint(
        out / "flexible_solver.test.safetensors", name="flexible_solver.test", config=record["config"]
    )
    assert isinstance(module, FlexibleSolver) and module.encoder in zoo.list_models()


def test_killed_and_resumed_equals_unbroken(photos: Path, tmp_path: Path) -> None:
    clock = itertools.count(0.0, 20.0)
    for _ in train(recipe(), tmp_path / "whole", data=photos, steps=4, cpu=True):
        pass
    options = {"data": photos, "steps": 4, "cpu": True}
    for progress in train(recipe(), tmp_path / "cut", checkpoint_minutes=0, now=lambda: next(clock), **options):
        if progress.step >= 2:
            break
    cut = read_checkpoint(tmp_path / "cut")
    assert cut is not None and 0 < cut["step"] < 4
    for _ in train(recipe(), tmp_path / "cut", resume=True, **options):
        pass
    whole, pieces = read_checkpoint(tmp_path / "whole"), read_checkpoint(tmp_path / "cut")
    assert whole is not None and pieces is not None
    assert all(torch.equal(value, pieces["model"][key]) for key, value in whole["model"].items())


def test_a_solver_learns_to_imitate(photos: Path, tmp_path: Path) -> None:
    plain = recipe()
    loss = {**plain.loss, "teacher": "wct.tiny_imagenet", "pairs": 6, "pairs_size": 32}
    schedule = {**plain.schedule, "imitate": Schedule(((0.0, 1.0), (0.9, 0.0)))}
    taught = dataclasses.replace(plain, loss=loss, schedule=schedule)
    values = [
        made.values for made in train(taught, tmp_path / "run", data=photos, steps=150, cpu=True, now=lambda: 0.0)
    ]
    assert values
    objective, trained = Stylise(taught, photos, tmp_path), Stylise(taught, photos, tmp_path)
    state = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["model"]
    trained.model.load_state_dict(state)
    objective.prepare()
    moment = Moment(0, 0.0, {"size": 32.0, "imitate": 1.0}, torch.Generator().manual_seed(7), torch.device("cpu"))
    batch = objective.batch(moment)
    assert batch[3] is not None and len(batch[3]) == 1 and len(batch[0]) == 2, "one of the two pairs is taught"
    assert batch[2][0].tolist() == [1.0] * 5, "the teacher used all levels"
    with torch.no_grad():
        fresh, _ = objective.loss(objective.model, batch, moment)
        learnt, _ = trained.loss(trained.model, batch, moment)
    assert learnt < 0.95 * fresh
