"""The recipes of the package are complete, and what is wrong with one of your own is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zoo.entry import Entry
from zoo.training import list_recipes, load_recipe
from zoo.training.objective import OBJECTIVES, make_objective
from zoo.training.recipe import Recipe, parse_recipe


@pytest.mark.parametrize("name", list_recipes())
def test_recipe_of_the_package(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.objective in OBJECTIVES
    assert recipe.minutes > 0
    assert recipe.at(0.0)["lr"] > 0
    assert recipe.at(1.0)["lr"] < max(recipe.at(fraction / 20)["lr"] for fraction in range(20)) / 50
    # the objective can be built without its data, and the release makes a record
    objective = make_objective(recipe, tmp_path, tmp_path)
    assert sum(parameter.numel() for parameter in objective.model.parameters()) > 10_000
    record = {**recipe.release, "name": name, "config": {}, "num_params": 1, "supports_half": True}
    entry = Entry.from_dict(record)
    assert entry.summary and entry.paper.title and entry.data


def test_package_has_recipes() -> None:
    assert "vgg19_half.tiny_imagenet" in list_recipes() and len(list_recipes()) >= 7


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"speed": 3}, "unknown keys"),
        ({"precision": "fp8"}, "precision"),
        ({"batch": 0}, "batch"),
        ({"schedule": {"size": 16}}, "lr"),
        ({"schedule": {"lr": [[0.5, 1]]}}, r"schedule\.lr"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], message: str, table: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=message):
        parse_recipe(table | changes)


def test_missing_key_is_named(table: dict[str, Any]) -> None:
    del table["optimiser"]
    with pytest.raises(ValueError, match="optimiser"):
        parse_recipe(table)


def test_unknown_objective_and_optimiser(tmp_path: Path, table: dict[str, Any]) -> None:
    from zoo.training import train

    with pytest.raises(ValueError, match="objective"):
        make_objective(parse_recipe(table | {"objective": "dream"}), tmp_path, tmp_path)
    with pytest.raises(ValueError, match="optimiser"):
        list(train(parse_recipe(table | {"optimiser": {"kind": "magic"}}), tmp_path, data=tmp_path, cpu=True, steps=1))


def test_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        load_recipe("dncnn.sigma2500")
    (tmp_path / "bad.toml").write_text("name = ")
    with pytest.raises(ValueError, match="not TOML"):
        load_recipe(tmp_path / "bad.toml")


def test_slower(recipe: Recipe, table: dict[str, Any]) -> None:
    slow = recipe.slower(0.25)
    for fraction in (0.0, 0.4, 1.0):
        assert slow.at(fraction)["lr"] == pytest.approx(0.25 * recipe.at(fraction)["lr"])
        assert slow.at(fraction)["size"] == recipe.at(fraction)["size"]
    with pytest.raises(ValueError, match="lr_scale: positive"):
        recipe.slower(0.0)


def test_of_batch(recipe: Recipe) -> None:
    more = recipe.of_batch(3 * recipe.batch)
    assert more.fixed() == {**recipe.fixed(), "batch": 3 * recipe.batch}
    with pytest.raises(ValueError, match="batch must be at least 1"):
        recipe.of_batch(0)
