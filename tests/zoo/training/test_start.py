"""Training that starts from a released model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import zoo
from zoo import registry
from zoo.models.dncnn import DnCNN
from zoo.training import Progress, Recipe, train
from zoo.training.denoise import Denoise
from zoo.training.finish import install
from zoo.training.objective import Moment, Objective
from zoo.training.schedule import Schedule
from zoo.training.start import start_from


def run(recipe: Recipe, out: Path, photos: Path, **options: object) -> Progress:
    *_, last = train(recipe, out, data=photos, cpu=True, **options)  # type: ignore[arg-type]
    return last


@pytest.fixture
def longer(recipe: Recipe) -> Recipe:
    """Deep enough for batch norm to matter, and fast enough to learn something."""
    return replace(
        recipe,
        model={"depth": 5, "width": 8, "tv": True},
        batch=4,
        release=recipe.release | {"input": {"channels": 3, "noise": [25, 25]}},
        schedule=recipe.schedule | {"lr": Schedule(((0.0, 1e-2), (1.0, 1e-3)), "linear")},
    )


@pytest.fixture
def release(longer: Recipe, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Trains for so many steps, puts the model into the registry as `dncnn_tv.test`, and returns the run's folder."""

    def make(steps: int) -> Path:
        out = tmp_path / "first"
        run(longer, out, photos, steps=steps)
        install(out, longer.name, tmp_path / "package")
        entry = registry.read_entry(tmp_path / "package" / "entries" / f"{longer.name}.json")
        monkeypatch.setattr(registry, "WEIGHTS", tmp_path / "package" / "weights")
        monkeypatch.setattr(registry, "_entries", lambda: {entry.name: entry})
        return out

    return make


def batch(objective: Denoise, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return objective.batch(Moment(0, 0.0, {"size": 20}, generator, torch.device("cpu")))


def losses(objective: Denoise, count: int = 6) -> float:
    """Mean loss in training mode, with the statistics of each batch."""
    state = {key: value.clone() for key, value in objective.model.state_dict().items()}
    moment = Moment(0, 0.0, {"size": 20}, torch.Generator(), torch.device("cpu"))
    with torch.no_grad():
        found = [float(objective.loss(objective.model, batch(objective, seed), moment)[0]) for seed in range(count)]
    objective.model.load_state_dict(state)
    return sum(found) / count


def test_a_released_model_goes_on_where_it_was(
    release: Callable[[int], Path], longer: Recipe, photos: Path, tmp_path: Path
) -> None:
    released = release(50)
    torch.manual_seed(5)
    fresh, objective = Denoise(longer, photos, tmp_path), Denoise(longer, photos, tmp_path)
    start_from(objective, "dncnn_tv.test")
    module = zoo.load("dncnn_tv.test")
    _, noisy = batch(objective, 0)
    with torch.no_grad():
        torch.testing.assert_close(objective.model.eval()(noisy), module(noisy), rtol=1e-3, atol=1e-4)
    objective.model.train()
    # the run itself, with its batch norm as it was
    trained = Denoise(longer, photos, tmp_path)
    start_from(trained, released)
    before, after = losses(trained), losses(objective)
    assert after == pytest.approx(before, rel=0.05)
    assert losses(fresh) > 1.5 * after
    run(longer.slower(0.5), tmp_path / "second", photos, steps=20, init="dncnn_tv.test")
    again = Denoise(longer, photos, tmp_path)
    start_from(again, tmp_path / "second")
    assert losses(again) < 1.05 * after, "training does not lose what was there"
    first, second = (registry.read_entry(folder / f"{longer.name}.json") for folder in (released, tmp_path / "second"))
    assert first.training is not None and second.training is not None
    assert (first.training.init, second.training.init) == (None, "dncnn_tv.test")
    assert second.training.hours >= first.training.hours
    assert first.training.again == "zoo train dncnn_tv.test --data PATH --out DIR"
    command = "zoo train dncnn_tv.test --data PATH --init dncnn_tv.test --lr-scale 0.5 --out DIR"
    assert second.training.again == command
    card = (tmp_path / "second" / "card.md").read_text()
    assert "went on from its own earlier weights" in card and f"Again: `{command}`" in card
    assert again.start is not None and again.again().split(" --")[2] == "init runs/dncnn_tv.test"
    name, hours, of_run = again.start
    assert name == longer.name and of_run
    assert hours == pytest.approx(second.training.hours, abs=0.01), "hours of both runs"


def test_weights_fit_other_noise_and_more_layers(
    release: Callable[[int], Path], longer: Recipe, photos: Path, tmp_path: Path
) -> None:
    release(50)
    module = zoo.load("dncnn_tv.test")
    other = replace(longer, data=longer.data | {"sigma": [50, 50]}, model=longer.model | {"depth": 7})
    objective = Denoise(other, photos, tmp_path)
    start_from(objective, "dncnn_tv.test")
    _, noisy = batch(objective, 0)
    expected = module.scaled(2.0).deepened(7).eval()
    with torch.no_grad():
        torch.testing.assert_close(objective.model.eval()(noisy), expected(noisy), rtol=1e-3, atol=1e-3)
        plain = Denoise(replace(other, model=other.model | {"norm": False}), photos, tmp_path)
        start_from(plain, "dncnn_tv.test")
        torch.testing.assert_close(plain.model.eval()(noisy), expected(noisy), rtol=1e-4, atol=1e-5)


def test_what_does_not_fit_is_refused(
    release: Callable[[int], Path], longer: Recipe, photos: Path, tmp_path: Path
) -> None:
    release(1)
    with pytest.raises(ValueError, match=r"dncnn_tv\.test does not fit this model: its depth"):
        start_from(Denoise(replace(longer, model={"depth": 4, "width": 8}), photos, tmp_path), "dncnn_tv.test")
    with pytest.raises(ValueError, match=r"dncnn_tv\.test does not fit this model: it has TV layers"):
        start_from(Denoise(replace(longer, model={"depth": 5, "width": 8}), photos, tmp_path), "dncnn_tv.test")
    with pytest.raises(ValueError, match="holds no run, and is no model"):
        start_from(Denoise(longer, photos, tmp_path), "dncnn_tv.nothing")


def test_other_objectives_take_the_weights_as_they_are(recipe: Recipe, photos: Path, tmp_path: Path) -> None:
    objective = Denoise(recipe, photos, tmp_path)
    objective.model = DnCNN(depth=3, width=8, tv=True)
    source = DnCNN(depth=3, width=8)
    Objective.adopt(objective, source, "some.model")
    assert torch.equal(objective.model.state_dict()["convs.1.weight"], source.state_dict()["convs.1.weight"])
    with pytest.raises(ValueError, match=r"some\.model does not fit"):
        Objective.adopt(objective, DnCNN(depth=4, width=8), "some.model")
