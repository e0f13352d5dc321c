"""Joint training of a generator and one latent per image: latent convolutional models and GLO (equation 2)."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import registry
from ..images import rows_of
from ..loading import load
from ..models.latent import LatentModel
from ..models.lcm_encoder import LatentEncoder
from ..restore.fit import fit_latents, frozen
from ..restore.pyramid import reconstruction_loss
from .amortised import COMPONENTS, Predictor, predicting_network
from .latent_store import LatentStore
from .objective import Export, Moment
from .pictures import OnPictures, batch_of
from .recipe import Recipe
from .sampling import positions

# Athar et al. 2019, table 5: (train, test)
PAPER = {"lcm": (0.01306, 0.01345), "glo": (0.01007, 0.01033)}
CHUNK = 10  # images that are rendered or fitted together
OPTIMISERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}


class FitLatents(OnPictures):
    """MSE + Lap-L1 of g(latent) and its image; the latents of a batch are trained along with the generator.

    A batch of images is visited for `loss.inner` steps in a row. In these, its latents have an optimiser of their own,
    `loss.latent` (kind and arguments), which starts afresh with each visit and takes its step as soon as the latents'
    gradient is there, at the scheduled `lr_latent`. From the fraction `loss.freeze_norm` of the budget on, batch norm
    uses its running statistics, as it does later when images are restored. All latents start from the same one, unless
    `loss.shared_start` is false.

    With `loss.amortised`, the latents are those that a network predicts from the pictures, for that fraction of the
    budget, and afterwards each starts from there: with few visits to a picture this is what gets generator and latents
    near each other. `loss.rank` and `loss.encoder_width` are the network's, `lr_encoder` in the schedule is its rate.
    """

    model: LatentModel

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        model = registry.build(recipe.name.split(".")[0], recipe.model)
        if not isinstance(model, LatentModel):
            raise ValueError(f"recipe {recipe.name}: {recipe.name.split('.')[0]} has no latents to fit")
        self.model = model
        self.inner = int(recipe.loss.get("inner", 50))
        self.latent_options = dict(recipe.loss.get("latent", {"kind": "sgd"}))
        if "lr_latent" not in recipe.schedule:
            raise ValueError(f"recipe {recipe.name}: schedule needs lr_latent")
        if self.latent_options.get("kind") not in OPTIMISERS:
            raise ValueError(f"recipe {recipe.name}: loss.latent.kind must be one of {sorted(OPTIMISERS)}")
        self._visit: _Visit | None = None
        self.amortised = float(recipe.loss.get("amortised", 0.0))
        self.predictor: Predictor | None = None
        if self.amortised:
            if "lr_encoder" not in recipe.schedule:
                raise ValueError(f"recipe {recipe.name}: schedule needs lr_encoder")
            options = recipe.loss
            self.predictor = Predictor(model, int(options["rank"]), int(options["encoder_width"]), recipe.seed)

    def adopt(self, released: nn.Module, name: str) -> None:
        """Also the model's feed-forward start, where there is one that fits, to predict latents."""
        super().adopt(released, name)
        start = f"lcm_encoder.{name.split('.')[1]}"
        if self.predictor is None or start not in registry.list_models():
            return
        network = load(start)
        if isinstance(network, LatentEncoder) and self.predictor.network.fits(network):
            self.predictor.adopt(network, self.some_pictures(COMPONENTS))

    def adopt_run(self, state: Mapping[str, Any], where: str) -> None:
        """Also the network that predicted latents there."""
        super().adopt_run(state, where)
        if self.predictor is not None:
            network = predicting_network(state, self.predictor.network.length, where)
            if network is not None:
                self.predictor.adopt(network, self.some_pictures(COMPONENTS))

    @property
    def side(self) -> int:
        """Height and width of the pictures."""
        return self.model.size

    @cached_property
    def store(self) -> LatentStore:
        """The latents of all training pictures."""

        shared = bool(self.recipe.loss.get("shared_start", True))

        def start(numbers: list[int]) -> Tensor:
            if self.predictor is not None:
                return self.predictor.predict(batch_of(self.pictures[0], numbers, self.predictor.device)).cpu()
            own = [0 if shared else number + 1 for number in numbers]
            seeds = [self.recipe.seed * 1_000_003 + each for each in own]
            return torch.stack([self.model.start(torch.Generator().manual_seed(seed)) for seed in seeds])

        return LatentStore(self.cache, len(self.pictures[0]), self.model.latent_shape, start)

    def batch(self, moment: Moment) -> tuple[Tensor | None, Tensor]:
        """The latents and pictures (B, 3, H, W) of the visit that this step belongs to; no latents to predict them."""
        if moment.world > 1:
            raise ValueError("latents are trained by one process; start without accelerate launch, or with one process")
        if self.predictor is not None and moment.fraction < self.amortised:
            index = positions(moment, self.store.count, self.recipe.batch, self.recipe.seed)
            return None, batch_of(self.pictures[0], index, moment.device)
        self.store.settle()
        number = moment.step // self.inner
        if self._visit is None or self._visit.number != number:
            self._put_back()
            turn = dataclasses.replace(moment, step=number)
            index = positions(turn, self.store.count, self.recipe.batch, self.recipe.seed)
            self._visit = _Visit(number, index, self.store.rows(index))
        visit = self._visit
        visit.go(moment, self.latent_options, self.model)
        if visit.pictures is None:
            visit.pictures = batch_of(self.pictures[0], visit.index, moment.device)
        return visit.latents, visit.pictures

    def _put_back(self) -> None:
        self._note()
        self._visit = None

    def _note(self) -> None:
        """Let the store know the latents of the visit that is under way."""
        if self._visit is not None:
            self.store.put(self._visit.index, self._visit.latents)

    def loss(
        self, model: nn.Module, batch: tuple[Tensor | None, Tensor], moment: Moment
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean of MSE + Lap-L1; logs the MSE, and the loss at the first and last step of a visit."""
        if moment.fraction >= self.recipe.loss.get("freeze_norm", 1.0):
            for module in self.model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        latents, pictures = batch
        if latents is None:
            assert self.predictor is not None
            latents = self.predictor.latents(pictures, moment, moment.values["lr_encoder"])
        losses, mse = reconstruction_loss(model(latents).float(), pictures)
        return losses.mean(), {"mse": mse.detach().mean()}

    def validate(self, model: nn.Module, device: torch.device, *, full: bool) -> dict[str, float]:
        """Reconstruction loss of training pictures as their latents are, and of held-out ones, fitted with g frozen."""
        assert isinstance(model, LatentModel)
        self._note()
        count = int(self.recipe.data.get("val_images", 50)) if full else CHUNK
        steps = int(self.recipe.data.get("val_steps", 200)) if full else 50
        visited = self.store.seen.nonzero()[:, 0].numpy()
        metrics: dict[str, float] = {}
        if len(visited):
            chosen = visited[np.linspace(0, len(visited) - 1, min(10 * count, len(visited))).round().astype(int)]
            train = [self._stored_loss(model, part, device) for part in _parts(chosen)]
            metrics |= {"train": _mean(train, 0), "train_mse": _mean(train, 1), "visited": float(len(visited))}
        index = np.arange(min(count, len(self.pictures[1])))
        held = []
        for part in _parts(index):
            target = batch_of(self.pictures[1], part, device)

            def energy(images: Tensor, target: Tensor = target) -> Tensor:
                return reconstruction_loss(images, target)[0]

            # as restoration will start
            begin = self._mean_latent().expand(len(part), *model.latent_shape)
            with torch.enable_grad(), frozen(model):
                *_, last = fit_latents(model, energy, len(part), steps=steps, start=begin, pull=0, device=device)
            held.append(torch.stack(reconstruction_loss(last.render(), target)).cpu())
        return metrics | {"val": _mean(held, 0), "val_mse": _mean(held, 1)}

    def _stored_loss(self, model: LatentModel, index: np.ndarray, device: torch.device) -> Tensor:
        target = batch_of(self.pictures[0], index, device)
        images = model(self.store.rows(index).to(device)).float()
        return torch.stack(reconstruction_loss(images, target)).cpu()

    def picture(self, model: nn.Module, device: torch.device) -> Tensor | None:
        """Eight training pictures above what their latents give."""
        visited = self.store.seen.nonzero()[:8, 0].numpy()
        if not len(visited):
            return None
        images = model(self.store.rows(visited).to(device))
        return rows_of(batch_of(self.pictures[0], visited, torch.device("cpu")), images)

    def state_dict(self) -> dict[str, Any]:
        """The latents that changed, and the visit that is under way."""
        self._note()
        return {
            "store": self.store.state_dict(),
            "visit": self._visit.state_dict() if self._visit else None,
            "predictor": self.predictor.state_dict() if self.predictor else None,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.store.load_state_dict(state["store"])
        if self.predictor is not None:
            self.predictor.load_state_dict(state["predictor"])
        self._visit = _Visit.from_state(state["visit"]) if state["visit"] else None

    def export(self) -> Export:
        """The model. The latents stay in the run's folder; `zoo.training.latent_sampler` makes a sampler of them."""
        self._note()
        model = copy.deepcopy(self.model).cpu().eval()
        if model.origin is not None:
            model.origin.copy_(self._mean_latent())
        return Export(model, dict(self.recipe.model))

    def _mean_latent(self) -> Tensor:
        visited = self.store.seen.nonzero()[:, 0].numpy()
        if self.predictor is not None and not len(visited):
            visited = np.arange(0, self.store.count, -(-self.store.count // 200))
        total = torch.zeros(self.model.latent_shape, dtype=torch.float64)
        for part in _parts(visited):
            total += self.store.rows(part).double().sum(0)
        return (total / max(1, len(visited))).float()

    def measure(self, module: nn.Module, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        """The figures of the paper's Table 5."""
        name = self.path.stem
        paper = PAPER.get(self.recipe.name.split(".")[0], (None, None)) if self.model.size == 128 else (None, None)
        steps = self.recipe.data.get("val_steps", 200)
        rows = (
            ("train", "training pictures", paper[0], "MSE + Lap-L1"),
            ("val", f"held-out pictures, {steps} steps of fitting", paper[1], "MSE + Lap-L1; the paper's on CelebA"),
            ("val_mse", f"held-out pictures, {steps} steps of fitting", None, "MSE"),
        )
        return [
            {
                "dataset": name,
                "metric": "reconstruction MSE" if key.endswith("mse") else "reconstruction loss",
                "value": round(validation[key], 5),
                "paper_value": known,
                "settings": f"{settings}; {pictures}",
            }
            for key, pictures, known, settings in rows
            if key in validation
        ]


class _Visit:
    """A batch of latents while it is trained: float32, with the state of its optimiser."""

    def __init__(self, number: int, index: np.ndarray, latents: Tensor, saved: dict[str, Any] | None = None) -> None:
        self.number, self.index, self.latents = number, index, latents
        self.pictures: Tensor | None = None
        self._optimiser: torch.optim.Optimizer | None = None
        self._saved = saved

    def go(self, moment: Moment, options: Mapping[str, Any], model: LatentModel) -> None:
        """Get ready for a step: when the gradient is there, the latents move."""
        if self._optimiser is None:
            self.latents = self.latents.detach().to(moment.device).requires_grad_()
            arguments = {key: value for key, value in options.items() if key != "kind"}
            self._optimiser = OPTIMISERS[options["kind"]]([self.latents], lr=0.0, **arguments)
            if self._saved is not None:
                self._optimiser.load_state_dict(self._saved)
            self.latents.register_post_accumulate_grad_hook(lambda latents: self._move(model))
        self._optimiser.param_groups[0]["lr"] = moment.values["lr_latent"]

    def _move(self, model: LatentModel) -> None:
        assert self._optimiser is not None
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            model.project_(self.latents)

    def state_dict(self) -> dict[str, Any]:
        saved = self._optimiser.state_dict() if self._optimiser else self._saved
        latents = self.latents.detach().cpu().clone()
        return {"number": self.number, "index": torch.from_numpy(self.index), "latents": latents, "optimiser": saved}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> _Visit:
        return cls(state["number"], state["index"].numpy(), state["latents"], state["optimiser"])


def _parts(index: np.ndarray) -> list[np.ndarray]:
    return [index[start : start + CHUNK] for start in range(0, len(index), CHUNK)]


def _mean(losses: list[Tensor], row: int) -> float:
    return float(torch.cat(losses, 1)[row].mean())
