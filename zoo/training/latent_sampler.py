"""A sampler out of a finished run's latents: `python -m zoo.training.latent_sampler runs/lcm.faces128 --install`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..models.lcm import BOX
from ..models.lcm_sampler import LCMSampler
from ..restore.mixture import fit_mixture, principal_components
from .checkpoint import read_checkpoint
from .finish import finish, install
from .latent_store import LatentStore
from .objective import Export, Moment, Objective
from .recipe import Recipe, parse_recipe


def stored_latents(run: Path, cache: Path | None = None) -> tuple[str, Tensor]:
    """The name of a latent model that was trained, and the latents of all pictures that were visited, (N, P) float32.

    Args:
        run: The folder of `zoo train`.
        cache: Its cache, where that was elsewhere.

    Raises:
        ValueError: no run there, or one without latents.
    """
    state = read_checkpoint(run)
    if state is None or "store" not in state["objective"]:
        raise ValueError(f"{run} holds no run with latents")
    saved = state["objective"]["store"]
    count, some = len(saved["seen"]), saved["values"]
    if not some.numel():
        raise ValueError(f"{run} holds no latents yet")
    store = LatentStore(cache or run / "cache", count, tuple(some.shape[1:]), lambda number: torch.empty(0))
    store.load_state_dict(saved)
    return json.loads(state["recipe"])["name"], store.rows(saved["seen"].nonzero()[:, 0].tolist()).flatten(1)


def make_sampler(latents: Tensor, rank: int = 112, components: int = 3) -> LCMSampler:
    """PCA and mixture of latents (N, P)."""
    mean, basis, spread = principal_components(latents, rank)
    spread = spread.clamp(min=1e-8)
    codes = (latents - mean) @ basis.T / spread
    mixture = fit_mixture(codes, components)
    sampler = LCMSampler(latents.shape[1], rank, components)
    sampler.mean.copy_(mean)
    sampler.basis.copy_(basis * spread[:, None])
    sampler.weights.copy_(mixture.weights)
    sampler.centres.copy_(mixture.centres)
    sampler.factors.copy_(mixture.factors)
    return sampler


class _Made(Objective):
    """What `finish` asks of an objective, for a model that needs no loop."""

    model: LCMSampler

    def __init__(self, recipe: Recipe, sampler: LCMSampler, latents: Tensor) -> None:
        super().__init__(recipe, None, Path())
        self.model, self._latents = sampler, latents

    def batch(self, moment: Moment) -> Any:
        raise TypeError("a sampler is made at once: it has no batches")

    def loss(self, model: Any, batch: Any, moment: Moment) -> Any:
        raise TypeError("a sampler is made at once: it has no loss")

    def export(self) -> Export:
        rank, components = self.model.centres.shape[1], len(self.model.weights)
        return Export(self.model, {"phi": self._latents.shape[1], "rank": rank, "components": components})

    def measure(self, module: Any, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        kept = float(module.basis.square().sum() / self._latents.var(0).sum())
        settings = f"{len(module.basis)} components, {len(self._latents)} latents of training pictures"
        return [
            {"dataset": "latents", "metric": "share of the variance", "value": round(kept, 4), "settings": settings}
        ]


def release_sampler(run: Path, out: Path, *, cache: Path | None = None, rank: int = 112) -> str:
    """Fit a sampler to a run's latents and write weights, record and card into a folder.

    Args:
        run: Folder of a run of a latent convolutional model.
        out: Folder to write into.
        cache: The run's cache, where that was elsewhere.
        rank: Principal components; 112 of 24,336 numbers are 5.5 MB.

    Returns:
        The name of the entry, `lcm_sampler.<tag>`.
    """
    prior, latents = stored_latents(run, cache)
    name = f"lcm_sampler.{prior.split('.')[1]}"
    recipe = parse_recipe(
        {
            "name": name,
            "objective": "sampler",
            "model": {},
            "optimiser": {},
            "schedule": {"lr": 0.0},
            "batch": 1,
            "precision": "float32",
            "release": {
                "summary": f"Sampler of {prior}: principal components of its latents, and three Gaussians on them",
                "tasks": ["sample"],
                "licence": "Apache-2.0",
                "data": [f"the latents of {prior}'s training pictures"],
                "paper": {"title": "Latent convolutional models (ICLR 2019)", "section": "I"},
                "input": {"channels": None, "range": [-BOX, BOX]},
            },
        }
    )
    out.mkdir(parents=True, exist_ok=True)
    finish(
        _Made(recipe, make_sampler(latents, rank), latents), out, {}, step=0, seconds=0.0, device=torch.device("cpu")
    )
    return name


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run of a latent convolutional model")
    parser.add_argument("--out", type=Path, help="folder to write into; default RUN/sampler")
    parser.add_argument("--cache", type=Path, help="the run's cache, where that was elsewhere")
    parser.add_argument("--rank", type=int, default=112, help="principal components")
    parser.add_argument("--install", action="store_true", help="put the sampler into the package")
    options = parser.parse_args()
    out = options.out or options.run / "sampler"
    try:
        name = release_sampler(options.run, out, cache=options.cache, rank=options.rank)
        if options.install:
            install(out, name)
    except ValueError as error:
        sys.exit(f"zoo: {error}")
    sys.stdout.write(f"{out / name}.safetensors\n")


if __name__ == "__main__":
    main()
