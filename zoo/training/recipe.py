"""Recipes: small TOML files that say everything about a training run but its budget and where its data lie."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import plugins
from .schedule import Schedule, read_schedule

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

RECIPES = Path(__file__).parent.parent / "recipes"
PRECISIONS = ("float32", "bf16")


CHANGES = ("lr_scale", "own_batch")  # fields that say how a recipe differs from its file


@dataclass(frozen=True)
class Recipe:
    """One recipe; `zoo/recipes/<name>.toml`."""

    name: str
    """The entry that the run makes, `arch.tag`."""
    objective: str
    """What is trained for: a key of `zoo.training.objective.OBJECTIVES`."""
    model: dict[str, Any]
    """Arguments of the architecture's builder."""
    optimiser: dict[str, Any]
    """`kind` ("sgd", "adam", "adamw", "muon") and its arguments; `clip`: largest norm of the gradient; `lam_lr_scale`:
    how many times faster TV layers learn their lam."""
    schedule: dict[str, Schedule]
    """`lr` and whatever else the objective changes with time, over the fraction of the budget."""
    batch: int
    """Examples a step and process."""
    data: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    precision: str = "bf16"
    """Autocast of the forward pass: "float32" (none) or "bf16"."""
    minutes: float = 60.0
    """The budget that the recipe was written for; what `zoo train` takes unless told otherwise."""
    release: dict[str, Any] = field(default_factory=dict)
    """What the registry's record says and training does not: summary, tasks, paper, licence, input, data."""
    lr_scale: float = 1.0
    """By what `slower` has multiplied the learning rates of the file; not in it."""
    own_batch: int | None = None
    """The batch that `of_batch` has set in place of the file's; not in it."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"recipe {self.name}: precision must be one of {PRECISIONS}, got {self.precision!r}")
        if self.batch < 1:
            raise ValueError(f"recipe {self.name}: batch must be at least 1, got {self.batch}")
        if "lr" not in self.schedule:
            raise ValueError(f"recipe {self.name}: schedule needs lr")

    def slower(self, factor: float) -> Recipe:
        """The same with every learning rate times `factor`, for a run that starts from good weights.

        Raises:
            ValueError: a factor that is not positive.
        """
        if not factor > 0:
            raise ValueError(f"lr_scale: positive, got {factor}")
        lr = self.schedule["lr"]
        points = tuple((fraction, factor * value) for fraction, value in lr.points)
        schedule = {**self.schedule, "lr": dataclasses.replace(lr, points=points)}
        return dataclasses.replace(self, schedule=schedule, lr_scale=factor * self.lr_scale)

    def of_batch(self, batch: int) -> Recipe:
        """The same with another number of examples a step, as a large GPU or a small memory wants it.

        Raises:
            ValueError: a batch that is not positive.
        """
        return dataclasses.replace(self, batch=batch, own_batch=batch)

    def at(self, fraction: float) -> dict[str, float]:
        """All scheduled values at a fraction of the budget."""
        return {key: schedule(fraction) for key, schedule in self.schedule.items()}

    def fixed(self) -> dict[str, Any]:
        """What must not change between the sessions of a run, as JSON has it: all but the budget and the release."""
        plain = dataclasses.asdict(self)
        for name in ("minutes", "release", *CHANGES):  # the last show in the schedule and the batch
            del plain[name]
        return json.loads(json.dumps(plain))


def parse_recipe(table: Mapping[str, Any], where: str = "recipe") -> Recipe:
    """A recipe from parsed TOML.

    Raises:
        ValueError: unknown or missing keys, or values that make no sense; `where` is named.
    """
    fields = {item.name: item for item in dataclasses.fields(Recipe) if item.name not in CHANGES}
    if unknown := sorted(set(table) - set(fields)):
        raise ValueError(f"{where}: unknown keys {unknown}; allowed are {sorted(fields)}")
    mandatory = {key for key, item in fields.items() if item.default is item.default_factory is dataclasses.MISSING}
    if missing := sorted(mandatory - set(table)):
        raise ValueError(f"{where}: missing keys {missing}")
    values = dict(table)
    values["schedule"] = {
        key: read_schedule(value, f"{where}, schedule.{key}") for key, value in table["schedule"].items()
    }
    return Recipe(**values)


def list_recipes() -> list[str]:
    """Names of the recipes that come with the package and with plug-ins, sorted."""
    return sorted({path.stem for folder in _folders() for path in folder.glob("*.toml")})


def _folders() -> list[Path]:
    return [RECIPES, *(plug_in.root / "recipes" for plug_in in plugins.plug_ins())]


def load_recipe(name: str | Path) -> Recipe:
    """Read a recipe.

    Args:
        name: Name of a recipe of the package, or path of a .toml file.

    Raises:
        ValueError: no such recipe, or one that is not valid.
    """
    paths = [folder / f"{name}.toml" for folder in _folders()]
    path = Path(name) if str(name).endswith(".toml") else next((one for one in paths if one.is_file()), paths[0])
    if not path.is_file():
        raise ValueError(f"recipe {str(name)!r}: no such file; the package has {', '.join(list_recipes())}")
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    return parse_recipe(table, str(path))
