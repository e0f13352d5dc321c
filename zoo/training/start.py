"""What a run starts with: its optimiser, its precision, and the weights of an earlier run or of a released model."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .. import registry
from .checkpoint import read_checkpoint
from .muon import Muon
from .objective import Objective, Start
from .recipe import Recipe


def start_from(objective: Objective, init: str | Path) -> None:
    """Fill an objective's model with weights that are there already; what it has beyond them stays as it is.

    Args:
        objective: What is to be trained.
        init: Folder of another run, which the objective's `adopt_run` takes, or the name of a model of the registry,
            whose released weights its `adopt` takes.

    Raises:
        ValueError: neither, or weights that the model has no place for.
        WeightsNotFoundError: a model whose weights are nowhere.
    """
    folder = Path(init)
    state = read_checkpoint(folder) if folder.is_dir() else None
    if state is not None:
        objective.adopt_run(state, str(init))
        hours = state["elapsed"] / 3600 + (Start(*state["start"]).hours if state.get("start") else 0.0)
        objective.start = Start(json.loads(state["recipe"])["name"], hours, run=True)
        return
    known = {name for entry in map(registry.info, registry.list_models()) for name in (entry.name, entry.arch)}
    if str(init) not in known:
        raise ValueError(f"init: {init} holds no run, and is no model of the zoo either")
    from ..loading import load

    entry = registry.info(str(init))
    objective.adopt(load(entry.name), entry.name)
    objective.start = Start(entry.name, entry.training.hours if entry.training else 0.0)


def fill(model: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """Copy weights into a model; what it has beyond them stays as it is.

    Args:
        model: The model.
        state: The weights.
        where: Where they come from, for the message.

    Raises:
        ValueError: the model has no place for some of them.
    """
    own = model.state_dict()
    strangers = [key for key, value in state.items() if key not in own or own[key].shape != value.shape]
    if strangers:
        raise ValueError(
            f"init: {where} does not fit this model, which has no {', '.join(strangers[:5])} of that shape"
        )
    model.load_state_dict(state, strict=False)


def changes(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What differs, in words; empty if nothing does."""
    different = [key for key in now if before.get(key) != now[key]]
    return ", ".join(f"{key} was {before.get(key)!r} and is {now[key]!r}" for key in different)


def make_optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser. Biases, norms and other vectors get no weight decay; parameters may carry `lr_scale`.

    Raises:
        ValueError: an unknown kind.
    """
    options = {key: value for key, value in recipe.optimiser.items() if key not in ("kind", "clip", "lam_lr_scale")}
    decay = options.pop("weight_decay", 0.0)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            key = (decay if parameter.ndim > 1 else 0.0, getattr(parameter, "lr_scale", 1.0))
            groups.setdefault(key, []).append(parameter)
    sets = [{"params": params, "weight_decay": d, "lr_scale": scale} for (d, scale), params in groups.items()]
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "muon": Muon}
    kind = recipe.optimiser.get("kind")
    if kind not in kinds:
        raise ValueError(f"recipe {recipe.name}: optimiser.kind must be one of {sorted(kinds)}, got {kind!r}")
    return kinds[kind](sets, lr=recipe.at(0.0)["lr"], **options)


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The autocast context of a precision of a recipe."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
