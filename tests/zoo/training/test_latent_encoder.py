"""The feed-forward start of restoration, and the sampler that is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from zoo import checkpoints
from zoo.entry import Entry
from zoo.models.lcm import LCM
from zoo.restore.degradation import Identity
from zoo.training import Recipe, train
from zoo.training.checkpoint import read_checkpoint
from zoo.training.latent import FitLatents
from zoo.training.latent_encoder import random_degradation
from zoo.training.latent_sampler import main, make_sampler, release_sampler
from zoo.training.objective import make_objective
from zoo.training.pictures import batch_of
from zoo.training.recipe import parse_recipe


@pytest.fixture
def run(latent: Recipe, faces: Path, tmp_path: Path) -> Path:
    """A finished run of an encoder, its prior untrained."""
    torch.manual_seed(1)
    prior, config = tmp_path / "prior.safetensors", {"size": 64, "width": 1 / 32}
    checkpoints.save_checkpoint(prior, LCM(64, 1 / 32), name="lcm.test", config=config, half=True)
    table: dict[str, Any] = {
        "name": "lcm_encoder.test",
        "objective": "latent_start",
        "batch": 4,
        "model": {"rank": 3, "width": 32, "size": 64},
        "data": {"prior": str(prior)},
        "optimiser": {"kind": "adam"},
        "schedule": {"lr": 1e-3},
        "release": dict(latent.release),
    }
    *_, last = train(parse_recipe(table), tmp_path / "run", data=faces, cpu=True, steps=3)
    assert last.done and set(last.metrics) == {"whole", "degraded"}
    return tmp_path / "run"


def test_start_encoder_learns(run: Path) -> None:
    encoder = checkpoints.load_checkpoint(run / "lcm_encoder.test.safetensors").eval()
    phi = encoder(encoder.golden_input())  # type: ignore[operator]
    assert phi.shape == (1, 24336) and phi.abs().max() <= 0.01


def test_start_encoder_goes_on_from_the_network_that_predicted(
    latent: Recipe, amortised: Recipe, faces: Path, tmp_path: Path
) -> None:
    *_, last = train(amortised, tmp_path / "prior", data=faces, cpu=True, steps=6, validate_minutes=1e9)
    assert last.done
    table: dict[str, Any] = {
        "name": "lcm_encoder.test",
        "objective": "latent_start",
        "batch": 4,
        "model": {"rank": 8, "width": 16, "size": 64},
        "data": {"prior": str(tmp_path / "prior" / "lcm.test.safetensors")},
        "optimiser": {"kind": "adam"},
        "schedule": {"lr": 0.0},
        "release": dict(latent.release),
    }
    options: dict[str, Any] = {"data": faces, "cpu": True, "steps": 1, "init": tmp_path / "prior"}
    *_, last = train(parse_recipe(table), tmp_path / "run", **options)
    prior = make_objective(amortised, faces, tmp_path)
    assert isinstance(prior, FitLatents) and prior.predictor is not None
    prior.load_state_dict(read_checkpoint(tmp_path / "prior")["objective"])  # type: ignore[index]
    images = batch_of(prior.pictures[1], slice(None), torch.device("cpu"))
    encoder = checkpoints.load_checkpoint(tmp_path / "run" / "lcm_encoder.test.safetensors").eval()
    with torch.no_grad():
        torch.testing.assert_close(
            encoder(Identity().evidence(images)), prior.predictor.predict(images), rtol=0, atol=1e-4
        )
    assert json.loads((tmp_path / "run" / "lcm_encoder.test.json").read_text())["training"]["init"] == "lcm.test"
    with pytest.raises(ValueError, match="does not become this one"):
        wide = parse_recipe({**table, "model": {**table["model"], "width": 32}})
        all(train(wide, tmp_path / "wide", **options))


def test_evidence_of_several_pictures() -> None:
    pictures = torch.rand(3, 3, 64, 64)
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        degradation = random_degradation(64, 3, generator)
        evidence = degradation.evidence(degradation.degrade(pictures, generator))
        assert evidence.shape == (3, 4, 64, 64) and evidence.isfinite().all()
        assert evidence.min() >= 0 and evidence.max() <= 1


def test_sampler_has_the_spread_of_the_coefficients() -> None:
    rows = torch.randn(4000, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([4.0, 2, 1, 1, 0.5, 0.1])
    rows[:, 1] += rows[:, 0] + 3
    drawn = make_sampler(rows, rank=6, components=1).sample(4000, torch.Generator().manual_seed(1))
    torch.testing.assert_close(drawn.mean(0), rows.mean(0), atol=0.3, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), rows.T.cov(), atol=1.0, rtol=0.1)


def test_sampler_of_a_run(run: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert release_sampler(run, faces, tmp_path / "sampler", rank=2) == "lcm_sampler.test"
    record = Entry.from_dict(json.loads((tmp_path / "sampler" / "lcm_sampler.test.json").read_text()))
    assert record.training is not None
    assert record.training.again == "python -m zoo.training.latent_sampler lcm_encoder.test --data PATH --out DIR"
    sampler = checkpoints.load_checkpoint(tmp_path / "sampler" / str(record.file), config=record.config)
    drawn = sampler.sample(5, torch.Generator().manual_seed(0))  # type: ignore[operator]
    assert drawn.shape == (5, 3) and torch.isfinite(drawn).all()
    assert 0 < record.metrics[0].value <= 1.001

    monkeypatch.setattr("sys.argv", ["latent_sampler", "dncnn.sigma25", "--data", str(faces), "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="not the feed-forward start"):
        main()
