"""What the loop needs to know of a model that is trained: its batches, its loss, its validation and its export."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .. import plugins
from .recipe import Recipe

# objective named by a recipe -> its class; a new one adds its line here
OBJECTIVES = {
    "classify": "zoo.training.classify:Classify",
    "denoise": "zoo.training.denoise:Denoise",
    "sparse_code": "zoo.training.sparse_code:SparseCode",
    "latent": "zoo.training.latent:FitLatents",
    "latent_start": "zoo.training.latent_encoder:LearnStart",
    "face_frame": "zoo.training.face_frame:FrameFaces",
    "autoencode": "zoo.training.autoencoder:Autoencode",
    "wgan": "zoo.training.wgan:AdversarialTraining",
    "stylise": "zoo.training.stylise:Stylise",
    "single_style": "zoo.training.johnson:SingleStyle",
    "adain": "zoo.training.decoders:TrainAdaIN",
    "wct": "zoo.training.decoders:TrainWCT",
    "superres": "zoo.training.superres:SuperResolve",
}


@dataclass(frozen=True)
class Moment:
    """Where a run stands when a batch is drawn. All that is random in a step follows from (seed, step, rank)."""

    step: int
    fraction: float
    """Of the budget, in [0, 1]."""
    values: Mapping[str, float]
    """The recipe's scheduled values."""
    generator: torch.Generator
    """On the CPU, seeded for this step and process."""
    device: torch.device
    rank: int = 0
    world: int = 1


@dataclass(frozen=True)
class Export:
    """A trained model in the form in which it is released."""

    model: nn.Module
    config: dict[str, Any]
    """Arguments of the registered architecture's builder."""


class Start(NamedTuple):
    """The weights that a run goes on from."""

    name: str
    """Of the model."""
    hours: float
    """Of its training."""
    run: bool = False
    """Whether they were a run's, and not those released."""

    @property
    def where(self) -> str:
        """What `--init` is to say to start there, a run being in the folder that the commands of the manual give it."""
        return f"runs/{self.name}" if self.run else self.name


class Objective(ABC):
    """Base of all objectives. Subclasses build `model` in `__init__` and touch the data only when first asked for them.

    Args:
        recipe: The recipe.
        data: Folder, .zip or .tar with the training data; some objectives make their own and need none.
        cache: Folder for decoded data, kept between runs.
    """

    model: nn.Module
    start: Start | None = None
    """What the run started from; None: fresh weights."""

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        self.recipe = recipe
        self.data = data
        self.cache = cache

    def prepare(self) -> None:  # noqa: B027 (not all have data)
        """Load the data; called once before training, and not counted in the budget."""

    @abstractmethod
    def batch(self, moment: Moment) -> Any:
        """Draw the batch of a step, on the moment's device."""

    @abstractmethod
    def loss(self, model: nn.Module, batch: Any, moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss to descend and what else to log, all scalars. `model` is `self.model` or its parallel wrapper."""

    def validate(self, model: nn.Module, device: torch.device, *, full: bool) -> dict[str, float]:
        """Metrics on held-out data; on part of them unless `full`."""
        return {}

    def picture(self, model: nn.Module, device: torch.device) -> Tensor | None:
        """A picture (3, H, W) in [0, 1] that shows what the model does now, or None."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """What else a checkpoint must hold (tensors and plain values only)."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # noqa: B027 (most have nothing to load)
        """The inverse of `state_dict`."""

    def adopt(self, released: nn.Module, name: str) -> None:
        """Start from the weights of a released model, before training; what `model` has beyond them stays as it is.

        Args:
            released: A model of the registry, in eval mode.
            name: Its name, for messages.

        Raises:
            ValueError: it does not fit.
        """
        from .start import fill

        fill(self.model, released.state_dict(), name)

    def adopt_run(self, state: Mapping[str, Any], where: str) -> None:
        """Start from what another run has come to; what `model` has beyond its weights stays as it is.

        Args:
            state: The run's checkpoint.
            where: Where it is, for messages.

        Raises:
            ValueError: it does not fit.
        """
        from .start import fill

        fill(self.model, state["model"], where)

    def again(self) -> str:
        """The command that makes the model anew."""
        init = f" --init {self.start.where}" if self.start else ""
        scale = f" --lr-scale {self.recipe.lr_scale:g}" if self.recipe.lr_scale != 1 else ""
        batch = f" --batch {self.recipe.own_batch}" if self.recipe.own_batch else ""
        return f"zoo train {self.recipe.name} --data PATH{init}{scale}{batch} --out DIR"

    def export(self) -> Export | None:
        """The trained model as it is released; None if it is not."""
        return None

    def measure(self, module: nn.Module, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        """Figures of the released model, as records of `zoo.entry.Metric`. `validation`: of the full validation."""
        return []


class OnData(Objective):
    """Base of the objectives that need data.

    Raises:
        ValueError: none were given.
    """

    needs = "of pictures"
    """What the folder or archive must be, for the message."""

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        if data is None:
            raise ValueError(f"data: this recipe needs a folder or archive {self.needs}")
        self.path = data


def make_objective(recipe: Recipe, data: Path | None, cache: Path) -> Objective:
    """The recipe's objective.

    Raises:
        ValueError: the recipe names an unknown one.
    """
    if recipe.objective not in OBJECTIVES:
        theirs = plugins.objective(recipe.objective)
        if theirs is None:
            known = sorted([*OBJECTIVES, *plugins.objectives()])
            raise ValueError(f"recipe {recipe.name}: objective {recipe.objective!r} is none of {known}")
        return theirs(recipe, data, cache)
    module, name = OBJECTIVES[recipe.objective].split(":")
    return getattr(importlib.import_module(module), name)(recipe, data, cache)
