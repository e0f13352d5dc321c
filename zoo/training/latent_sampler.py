"""A sampler of a latent model: `python -m zoo.training.latent_sampler lcm_encoder.faces128 --data FACES --install`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..hub.located import load_located
from ..models.lcm_encoder import LCMEncoder
from ..models.lcm_sampler import LCMSampler
from ..restore.degradation import Identity
from ..restore.mixture import fit_mixture, principal_components
from .finish import finish, install
from .objective import Export, Moment, Objective
from .pictures import batch_of, load_split
from .recipe import Recipe, parse_recipe

CHUNK = 50


@torch.no_grad()
def coefficients(encoder: LCMEncoder, data: Path, options: Mapping[str, Any], cache: Path) -> Tensor:
    """What an encoder says of whole training pictures, (N, rank) float32.

    Args:
        encoder: The feed-forward start.
        data: Folder or archive of pictures, with train/ if it has one.
        options: As a recipe's `data`.
        cache: Folder for the decoded pictures.
    """
    pixels, _ = load_split(data, options, encoder.size, cache)
    parts = np.array_split(np.arange(len(pixels)), -(-len(pixels) // CHUNK))
    images = (batch_of(pixels, part, torch.device("cpu")) for part in parts)
    return torch.cat([encoder.coefficients(Identity().evidence(image)) for image in images])


def make_sampler(rows: Tensor, rank: int = 112, components: int = 3) -> LCMSampler:
    """PCA and mixture of coefficients (N, P)."""
    mean, basis, spread = principal_components(rows, rank)
    spread = spread.clamp(min=1e-8)
    codes = (rows - mean) @ basis.T / spread
    mixture = fit_mixture(codes, components)
    sampler = LCMSampler(rows.shape[1], rank, components)
    sampler.mean.copy_(mean)
    sampler.basis.copy_(basis * spread[:, None])
    sampler.weights.copy_(mixture.weights)
    sampler.centres.copy_(mixture.centres)
    sampler.factors.copy_(mixture.factors)
    return sampler


class _Made(Objective):
    """What `finish` asks of an objective, for a model that needs no loop."""

    model: LCMSampler

    def __init__(self, recipe: Recipe, sampler: LCMSampler, rows: Tensor) -> None:
        super().__init__(recipe, None, Path())
        self.model, self._rows = sampler, rows

    def batch(self, moment: Moment) -> Any:
        raise TypeError("a sampler is made at once: it has no batches")

    def loss(self, model: Any, batch: Any, moment: Moment) -> Any:
        raise TypeError("a sampler is made at once: it has no loss")

    def again(self) -> str:
        tag = self.recipe.name.split(".")[1]
        return f"python -m zoo.training.latent_sampler lcm_encoder.{tag} --data PATH --out DIR"

    def export(self) -> Export:
        components, rank = self.model.centres.shape
        return Export(self.model, {"count": self._rows.shape[1], "rank": rank, "components": components})

    def measure(self, module: Any, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        kept = float(module.basis.square().sum() / self._rows.var(0).sum())
        settings = f"{len(module.basis)} components of {self._rows.shape[1]} coefficients, {len(self._rows)} pictures"
        return [
            {"dataset": "latents", "metric": "share of the variance", "value": round(kept, 4), "settings": settings}
        ]


def release_sampler(
    target: str | Path, data: Path, out: Path, *, rank: int = 112, options: Mapping[str, Any] | None = None
) -> str:
    """Fit a sampler to what an encoder says of pictures, and write weights, record and card into a folder.

    Args:
        target: The feed-forward start, `lcm_encoder.<tag>`, or the folder of its run.
        data: The pictures that the prior was trained on.
        out: Folder to write into.
        rank: Principal components.
        options: As a recipe's `data`.

    Returns:
        The name of the entry, `lcm_sampler.<tag>`.

    Raises:
        ValueError: another model, or too few pictures.
    """
    entry, encoder = load_located(target)
    if not isinstance(encoder, LCMEncoder):
        raise ValueError(f"{target}: holds {entry.name}, not the feed-forward start of a latent convolutional model")
    out.mkdir(parents=True, exist_ok=True)
    rows = coefficients(encoder, data, options or {}, out / "cache")
    name = f"lcm_sampler.{entry.tag}"
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
                "summary": f"Sampler of lcm.{entry.tag}: principal components of its latents, three Gaussians on them",
                "tasks": ["sample"],
                "licence": "Apache-2.0",
                "data": list(entry.data),
                "paper": {"title": "Latent convolutional models (ICLR 2019)", "section": "I"},
                "input": {"channels": None, "range": [-4.0, 4.0]},
            },
        }
    )
    made = _Made(recipe, make_sampler(rows, rank), rows)
    finish(made, out, {}, step=0, seconds=0.0, device=torch.device("cpu"))
    return name


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoder", help="the feed-forward start, lcm_encoder.TAG, or the folder of its run")
    parser.add_argument("--data", type=Path, required=True, help="pictures that the prior was trained on")
    parser.add_argument("--under", help="only pictures in this folder of the data; default train/ if there is one")
    parser.add_argument("--out", type=Path, default=Path("runs/sampler"), help="folder to write into")
    parser.add_argument("--rank", type=int, default=112, help="principal components")
    parser.add_argument("--install", action="store_true", help="put the sampler into the package")
    options = parser.parse_args()
    where = {"train": options.under} if options.under else {}
    try:
        name = release_sampler(options.encoder, options.data, options.out, rank=options.rank, options=where)
        if options.install:
            install(options.out, name)
    except ValueError as error:
        sys.exit(f"zoo: {error}")
    sys.stdout.write(f"{options.out / name}.safetensors\n")


if __name__ == "__main__":
    main()
