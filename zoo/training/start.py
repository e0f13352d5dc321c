"""What a run starts with: its optimiser, its precision, and the weights or the checkpoint of an earlier one."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .checkpoint import read_checkpoint
from .recipe import Recipe


def start_from(model: nn.Module, folder: Path) -> None:
    """Fill a model with the weights of another run; what it has beyond them stays as it is.

    Raises:
        ValueError: no run there, or one with weights that the model has no place for.
    """
    state = read_checkpoint(folder)
    if state is None:
        raise ValueError(f"init: {folder} holds no run")
    own = model.state_dict()
    strangers = [key for key, value in state["model"].items() if key not in own or own[key].shape != value.shape]
    if strangers:
        raise ValueError(
            f"init: {folder} does not fit this model, which has no {', '.join(strangers[:5])} of that shape"
        )
    model.load_state_dict(state["model"], strict=False)


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
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    kind = recipe.optimiser.get("kind")
    if kind not in kinds:
        raise ValueError(f"recipe {recipe.name}: optimiser.kind must be one of {sorted(kinds)}, got {kind!r}")
    return kinds[kind](sets, lr=recipe.at(0.0)["lr"], **options)


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The autocast context of a precision of a recipe."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
