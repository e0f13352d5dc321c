"""Training of LISTA: its codes regress those of a converged solver (fully supervised unrolling)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..evaluation.sparse_coding import evaluate_sparse_coder
from ..models.lista import LISTA, solve, unit_patches
from .objective import Export, Moment, OnData
from .patches import Pictures, find_sources, load_pictures, random_patches, without
from .recipe import Recipe


class SparseCode(OnData):
    """Squared distance between LISTA's codes and the solver's.

    Data as for denoisers: a folder with the sets that the recipe names, or any folder or archive of pictures. Patches
    are grey, without their mean, of unit norm; nearly constant ones are left out. The solver's codes of a pool of
    patches are computed once; a step draws from the pool.
    """

    model: LISTA

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        self.model = LISTA(**recipe.model)

    @cached_property
    def _pools(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """Patches and codes to train on, and to validate on (from other pictures)."""
        sources = find_sources(self.path, self.recipe.data.get("train", [])) or [self.path]
        tests = load_pictures(find_sources(self.path, self.recipe.data.get("tests", [])))
        pictures, _ = without(load_pictures(sources), tests)
        if len(pictures.pixels) < 2:
            raise ValueError(f"data {self.path}: fewer than 2 pictures")
        count = self.recipe.data.get("pool", 100_000)
        held = max(1, len(pictures.pixels) // 20)
        return self._pool(pictures, slice(held, None), count, 0), self._pool(pictures, slice(held), count // 20, 1)

    def _pool(self, pictures: Pictures, part: slice, count: int, seed: int) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(self.recipe.seed + seed)
        # twice as many as needed at first: nearly constant patches go
        pixels = random_patches(pictures.pixels[part], 2 * count, self.model.side, generator)
        grey = pixels.float().div(255).mean(1).flatten(1)
        grey = grey[grey.std(1) > self.recipe.data.get("min_std", 0.02)][:count]
        patches = unit_patches(grey)
        dictionary = self.model.dictionary.cpu()
        tol = self.recipe.data.get("tol", 1e-5)
        return patches, torch.cat([solve(chunk, dictionary, self.model.mu, tol=tol) for chunk in patches.split(4096)])

    def prepare(self) -> None:
        """Cut the patches and solve for their codes."""
        _ = self._pools

    def batch(self, moment: Moment) -> tuple[Tensor, Tensor]:
        """Patches (B, n) and the solver's codes (B, m)."""
        patches, codes = self._pools[0]
        index = torch.randint(len(patches), (self.recipe.batch,), generator=moment.generator)
        return patches[index].to(moment.device), codes[index].to(moment.device)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor], moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Squared distance of the codes over the squared norm of the solver's."""
        patches, codes = batch
        loss = (model(patches).float() - codes).square().sum() / codes.square().sum()
        return loss, {}

    def validate(self, model: nn.Module, device: torch.device, *, full: bool) -> dict[str, float]:
        """Normalised squared error of the codes in dB, and mean excess of the objective, beside ISTA's and FISTA's."""
        assert isinstance(model, LISTA)
        patches, codes = self._pools[1]
        return evaluate_sparse_coder(model, patches.to(device), codes.to(device))

    def export(self) -> Export:
        """The network."""
        return Export(copy.deepcopy(self.model).cpu().eval(), dict(self.recipe.model))

    def measure(self, module: nn.Module, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        """The validation's figures, of the released weights."""
        names = {
            "nmse": "error of the codes, dB",
            "excess": "objective above its minimum, per cent",
            "ista": "the same for as many ISTA steps",
            "fista": "the same for as many FISTA steps",
        }
        settings = f"{len(self._pools[1][0])} patches of pictures not trained on"
        return [
            {"dataset": "patches", "metric": names[key], "value": round(value, 3), "settings": settings}
            for key, value in self.validate(module, device, full=True).items()
            if key in names
        ]
