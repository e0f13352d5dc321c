"""Johnson, AdaIN, WCT and SRCNN: a few steps on pictures drawn here, their losses, and what they release."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from zoo import checkpoints
from zoo.entry import Entry
from zoo.evaluation.textures import split_textures
from zoo.loading import load
from zoo.superres.shrink import degradation, shrink_bicubic
from zoo.training import Recipe, load_recipe, train
from zoo.training.checkpoint import read_checkpoint
from zoo.training.johnson import cells
from zoo.training.objective import Moment, make_objective
from zoo.training.schedule import Schedule

NAMES = ("johnson.night_sky", "adain.tiny_imagenet", "wct.tiny_imagenet", "srcnn.x3_gaussian", "srcnn.x3_bicubic")


@pytest.fixture
def few(photos: Path) -> Path:
    """A folder with four pictures: two to train on, two held out."""
    for number in range(4, 10):
        (photos / f"{number}.png").unlink()
    return photos


def small(name: str, **changes: Any) -> Recipe:
    """The package's recipe, on pictures of 32 pixels."""
    recipe = load_recipe(name)
    size = 30 if name.startswith("srcnn") else 32
    data = {**recipe.data, "side": 32, "test_size": 32, "style_size": 32}
    if name.startswith("johnson"):
        changes["model"] = {**recipe.model, "width": 4, "blocks": 1}
    fields = {"batch": 2, "precision": "float32", "data": data, **changes}
    return dataclasses.replace(recipe, schedule={**recipe.schedule, "size": Schedule(((0.0, size),))}, **fields)


def run(recipe: Recipe, out: Path, photos: Path, **options: Any) -> dict[str, torch.Tensor]:
    *_, last = train(recipe, out, data=photos, cpu=True, **options)
    assert last.done
    state = read_checkpoint(out)
    assert state is not None
    return state["model"]


@pytest.mark.parametrize("name", NAMES)
def test_resumed_training_equals_unbroken_and_releases_a_model(name: str, few: Path, tmp_path: Path) -> None:
    recipe = small(name)
    whole = run(recipe, tmp_path / "whole", few, steps=3)
    ticks = iter(range(0, 10_000, 5))
    for progress in train(
        recipe, tmp_path / "cut", data=few, cpu=True, steps=3, checkpoint_minutes=0, now=lambda: float(next(ticks))
    ):
        if progress.step >= 1:
            break
    cut = run(recipe, tmp_path / "cut", few, steps=3, resume=True)
    assert whole.keys() == cut.keys()
    for key, value in whole.items():
        assert torch.equal(value, cut[key]), key

    entry = Entry.from_dict(json.loads((tmp_path / "whole" / f"{name}.json").read_text()))
    assert entry.file is not None and entry.metrics and all(np.isfinite(metric.value) for metric in entry.metrics)
    module = checkpoints.load_checkpoint(tmp_path / "whole" / entry.file, name=name, config=entry.config)
    assert sum(parameter.numel() for parameter in module.parameters()) == entry.num_params
    assert not any("_attached" in key or "encoder" in key for key in module.state_dict())
    assert Image.open(tmp_path / "whole" / "samples.png").width > 50


@pytest.mark.parametrize("name", NAMES)
def test_loss_falls_on_a_fixed_batch(name: str, photos: Path, tmp_path: Path) -> None:
    objective = make_objective(small(name), photos, tmp_path)
    torch.manual_seed(0)
    objective.prepare()

    def moment(step: int) -> Moment:
        generator = torch.Generator().manual_seed(0)
        return Moment(step, 0.0, objective.recipe.at(0.0), generator, torch.device("cpu"))

    optimiser = torch.optim.Adam(objective.model.parameters(), lr=2e-4)
    batch = objective.batch(moment(0))
    losses = []
    for step in range(8):
        loss, logged = objective.loss(objective.model, batch, moment(step))
        assert all(value.ndim == 0 and torch.isfinite(value) for value in logged.values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert min(losses[-3:]) < 0.97 * losses[0]


def test_wct_decodes_from_every_level(photos: Path, tmp_path: Path) -> None:
    objective = make_objective(small("wct.tiny_imagenet"), photos, tmp_path)
    recipe = objective.recipe
    levels = set()
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        images, level = objective.batch(Moment(0, 0.0, recipe.at(0.0), generator, torch.device("cpu")))
        assert images.shape == (2, 3, 32, 32)
        levels.add(level)
    assert levels == {1, 2, 3, 4, 5}


def test_a_decoder_may_start_from_that_of_another_model(photos: Path, tmp_path: Path) -> None:
    objective = make_objective(small("adain.tiny_imagenet"), photos, tmp_path)
    wct = load("wct.tiny_imagenet")
    objective.adopt(wct, "wct.tiny_imagenet")
    state = objective.model.state_dict()
    assert state and all(torch.equal(value, wct.state_dict()[f"decoder.{key}"]) for key, value in state.items())
    deeper = make_objective(small("wct.tiny_imagenet"), photos, tmp_path)
    deeper.adopt(wct, "wct.tiny_imagenet")
    assert len(deeper.model.state_dict()) == sum(key.startswith("decoder.") for key in wct.state_dict()) > len(state)
    with pytest.raises(ValueError, match="no decoder"):
        objective.adopt(load("srcnn.x3_bicubic"), "srcnn.x3_bicubic")


def test_cells_are_the_quarters_of_each_picture() -> None:
    maps = torch.arange(2 * 3 * 5 * 8.0).reshape(2, 3, 5, 8)
    found = cells(maps, 2)
    assert found.shape == (8, 3, 2, 4)
    for number, part in enumerate(maps[:, :, r : r + 2, c : c + 4] for r in (0, 2) for c in (0, 4)):
        assert torch.equal(found[number::4], part)
    assert torch.equal(cells(maps, 9)[0], maps[0, :, :1, :1]), "no more than there are rows"


def test_a_network_of_one_style_asks_for_it_in_each_cell(photos: Path, tmp_path: Path) -> None:
    recipe = small("johnson.night_sky")
    content = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))

    def loss(**changes: Any) -> tuple[float, dict[str, float]]:
        objective = make_objective(dataclasses.replace(recipe, loss={**recipe.loss, **changes}), photos, tmp_path)
        objective.prepare()
        moment = Moment(0, 0.0, recipe.at(0.0), torch.Generator(), torch.device("cpu"))
        total, logged = objective.loss(torch.nn.Identity(), content, moment)
        return float(total), {key: float(value) for key, value in logged.items()}

    total, logged = loss(cells=1, betas=[1.0] * 5)
    assert total == pytest.approx(1 + logged["tv"] / logged["style"], rel=0.05), "shares of the content's own"
    _, halves = loss(cells=2, betas=[1.0] * 5)
    assert halves["style"] == pytest.approx(logged["style"]) and halves["in_cells"] > logged["style"]
    _, fewer = loss(cells=2, betas=[1.0, 1.0, 1.0, 1.0, 0.0])
    assert 0 < fewer["in_cells"] < halves["in_cells"] and fewer["style"] < logged["style"]


def test_unknown_style_and_missing_data(tmp_path: Path) -> None:
    recipe = load_recipe("johnson.night_sky")
    with pytest.raises(ValueError, match=r"model\.style"):
        make_objective(dataclasses.replace(recipe, model={**recipe.model, "style": "monet"}), tmp_path, tmp_path)
    for name in NAMES:
        with pytest.raises(ValueError, match="data"):
            make_objective(load_recipe(name), None, tmp_path)


def test_bicubic_shrinking_is_that_of_pillow() -> None:
    draw = np.random.default_rng(0)
    image = draw.uniform(0.2, 0.8, (18, 27)).astype(np.float32)
    wanted = np.asarray(Image.fromarray(image).resize((9, 6), Image.Resampling.BICUBIC))
    found = shrink_bicubic(torch.from_numpy(image)[None, None], 3)[0, 0].numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    with pytest.raises(ValueError, match="bicubic or gaussian"):
        degradation("box", 3)


def test_held_out_textures_are_not_trained_on(tmp_path: Path) -> None:
    folder = tmp_path / "textures"
    draw = np.random.default_rng(0)
    for kind in ("bumpy", "woven"):
        (folder / kind).mkdir(parents=True)
        for number in range(50):
            pixels = np.full((31, 33, 3), number + (100 if kind == "woven" else 0), np.uint8)
            pixels[:4] = draw.integers(0, 255, (4, 33, 3))
            Image.fromarray(pixels).save(folder / kind / f"{number:02}.png")
    trained, held = split_textures(folder)
    assert len(held) == 40 and len(trained) == 60 and not set(trained) & set(held)
    assert sum(name.startswith("bumpy") for name in held) == 20
    objective = make_objective(small("srcnn.x3_bicubic"), tmp_path, tmp_path)
    train_pixels, held_pixels = objective.pictures  # type: ignore[attr-defined]
    colours = [{int(pixels[-1, -1, 0]) for pixels in part} for part in (train_pixels, held_pixels)]
    assert len(colours[0]) == 60 and len(colours[1]) == 40 and not colours[0] & colours[1]
