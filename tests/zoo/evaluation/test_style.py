"""Style transfer engines on pictures drawn here: which pairs, what is measured, the verb."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

from zoo import checkpoints, registry
from zoo.cli import app
from zoo.entry import Entry, InputSpec, Paper
from zoo.evaluation.held_out import spread
from zoo.evaluation.memory import peak_memory
from zoo.evaluation.style import (
    evaluate_stylizer,
    make_engine,
    style_pairs,
    summarise,
    with_painting,
)
from zoo.gallery import PAINTINGS
from zoo.loading import load
from zoo.models.flexible_solver import FlexibleSolver
from zoo.models.johnson import Johnson
from zoo.style.loss import content_target, style_targets, total_loss


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    draw = np.random.default_rng(0)
    for number in range(6):
        pixels = np.kron(draw.integers(0, 255, (5, 6, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_spread() -> None:
    assert spread(10, 4) == [0, 2, 5, 7]
    assert spread(783, 24)[:3] == [0, 32, 65] and len(set(spread(783, 24))) == 24
    assert spread(5, 24) == [0, 2] and spread(1, 3) == []


def test_pairs_are_the_pictures_held_out_and_styles_spread(photos: Path) -> None:
    pairs = style_pairs(photos, photos, 32)
    assert [pair.content_name for pair in pairs] == ["0.png", "2.png", "4.png"]
    assert [pair.style_name for pair in pairs] == ["0.png", "2.png", "4.png"]
    assert all(pair.content.shape == pair.style.shape == (1, 3, 32, 32) for pair in pairs)
    drawn = style_pairs(photos, size=16, limit=2)
    assert [pair.style_name for pair in drawn] == list(PAINTINGS)[:2]
    with pytest.raises(ValueError, match="size"):
        style_pairs(photos, size=8)


class Grey(nn.Module):
    """Takes memory and gives grey."""

    encoder = None

    def stylise(self, content: Tensor, styles: list[Tensor], weights: list[float], intensity: float) -> Tensor:
        block = torch.ones(40_000_000)
        return 0 * content + 0.5 * block[-1]


def test_scores_are_the_loss_of_what_the_engine_gives(photos: Path) -> None:
    pair = style_pairs(photos, photos, 32, limit=1)[0]
    pair = dataclasses.replace(pair, style=pair.style.flip(2))
    encoder = load("vgg19_half.tiny_imagenet").requires_grad_(False)
    grams, target = style_targets(encoder, pair.style), content_target(encoder, pair.content)
    (found,) = evaluate_stylizer(Grey(), [pair])
    with torch.no_grad():
        wanted = total_loss(encoder, torch.full_like(pair.content, 0.5), grams, target)
    assert found.engine == "grey" and found.step == 1
    assert found.l_tv == pytest.approx(float(wanted), rel=1e-5)
    (own,) = evaluate_stylizer("content", [pair])
    assert own.left == pytest.approx(1) and own.step == 0
    assert found.left == pytest.approx(found.l_tv / own.l_tv, rel=1e-5)
    assert found.seconds > 0 and "image" not in found.to_dict()


def test_peak_memory_sees_what_is_freed_again() -> None:
    with peak_memory(torch.device("cpu")) as peak:
        del_me = torch.ones(50_000_000)
        del del_me
    if peak.size is None:
        pytest.skip("this system does not say")
    assert 190e6 < peak.size < 260e6
    with peak_memory(torch.device("cpu")) as peak:
        pass
    assert peak.size is not None and peak.size < 20e6


def test_gatys_and_the_solver_show_their_states(photos: Path) -> None:
    pair = style_pairs(photos, ["etching"], 32, limit=1)[0]
    states = list(evaluate_stylizer("gatys", [pair], steps=(1, 3)))
    assert [one.step for one in states] == [1, 3]
    assert states[1].l_tv < states[0].l_tv < 1.01 * next(iter(evaluate_stylizer("content", [pair]))).l_tv
    assert states[1].seconds > states[0].seconds
    torch.manual_seed(0)
    solver = FlexibleSolver(iterations=2, width=2)
    assert [one.step for one in evaluate_stylizer(solver.eval(), [pair])] == [1, 2]


def test_single_style_is_measured_on_its_own(photos: Path) -> None:
    pairs = style_pairs(photos, ["etching"], 32, limit=2)
    found = list(evaluate_stylizer(Johnson("drips", width=2, blocks=1), pairs))
    assert [one.style for one in found] == ["drips", "drips"]
    other = with_painting(pairs[0], "drips")
    assert other.content is pairs[0].content and not torch.equal(other.style, pairs[0].style)


def test_summary_has_the_quartiles(photos: Path) -> None:
    found = list(evaluate_stylizer("content", style_pairs(photos, photos, 32)))
    found = [
        dataclasses.replace(one, l_tv=value, peak=peak)
        for one, value, peak in zip(found, (3.0, 1.0, 2.0), (None, 5, 9), strict=True)
    ]
    (record,) = summarise(found)
    assert record["pairs"] == 3 and record["l_tv"] == [1.5, 2.0, 2.5] and record["peak"] == 9


def test_models_for_other_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match="not for style transfer"):
        make_engine("tv2d.isotropic")
    with pytest.raises(ValueError, match="stylise"):
        make_engine(nn.Identity())


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small network of one style in the registry, with weights of its own."""
    name, config = "johnson.test", {"style": "etching", "width": 2, "blocks": 1}
    torch.manual_seed(0)
    path = tmp_path / f"{name}.safetensors"
    sha256 = checkpoints.save_checkpoint(path, Johnson(**config), name=name, config=config)
    entry = Entry(
        name, "a network for a test", ("stylize",), Paper("none", "0"), "Apache-2.0", config, InputSpec(3), 1, True,
        file=path.name, sha256=sha256,
    )  # fmt: skip
    bundled = registry.WEIGHTS / "vgg19_half.tiny_imagenet.safetensors"
    (tmp_path / bundled.name).symlink_to(bundled)
    monkeypatch.setattr(registry, "WEIGHTS", tmp_path)
    monkeypatch.setitem(registry._entries(), name, entry)
    return name


def test_the_verb(photos: Path, registered: str) -> None:
    arguments = ["evaluate", registered, "--data", str(photos), "--size", "32", "--limit", "2"]
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert [record["engine"] for record in report["summary"]] == ["content", registered]
    assert report["styles"] == "etching" and len(report["pairs"]) == 4
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0 and registered in result.stdout and "L_TV" in result.stdout
