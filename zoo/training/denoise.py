"""Training of denoisers on patches with white Gaussian noise."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import registry
from ..evaluation.denoising import evaluate_denoiser, mean_scores
from ..metrics import psnr
from ..models.dncnn import DnCNN
from ..noise import add_noise
from .objective import Export, Moment, OnData
from .patches import Pictures, find_sources, load_pictures, random_patches, without
from .recipe import Recipe

HELD_OUT = 12  # pictures kept from training to validate on
LEAST_ERROR = 1e-4  # squared error, 40 dB
ADOPTING_BATCHES = 4  # to measure the statistics on that a released network does without


def log_error(restored: Tensor, clean: Tensor) -> Tensor:
    """Mean over patches of the logarithm of their squared error, by which smooth ones count as they do in a mean PSNR.

    Errors well below those that denoisers reach in flat patches pull no further.
    """
    return (F.mse_loss(restored, clean, reduction="none").mean((1, 2, 3)) + LEAST_ERROR).log().mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": F.l1_loss, "l2": F.mse_loss, "log": log_error}


class Denoise(OnData):
    """Distance of the denoised patch to the clean one.

    Data: a folder with the data sets that the recipe names under `train` and `tests`. Pictures of the test sets are
    found among those for training by content and left out. Any other folder or archive is taken as one set of pictures.
    Noise levels are drawn uniformly between the recipe's two.
    """

    model: DnCNN

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        if recipe.loss.get("kind", "l2") not in LOSSES:
            raise ValueError(f"recipe {recipe.name}: loss.kind must be one of {sorted(LOSSES)}")
        self.model = DnCNN(**{"norm": True, **recipe.model})
        for name, parameter in self.model.named_parameters():
            if name.endswith("raw_lam"):
                # softplus is flat where lam is small
                parameter.lr_scale = recipe.optimiser.get("lam_lr_scale", 1.0)  # type: ignore[attr-defined]

    @property
    def sigmas(self) -> tuple[float, float]:
        """The least and the largest noise level, 0..255 scale."""
        low, high = self.recipe.data["sigma"]
        return float(low), float(high)

    @cached_property
    def test_sets(self) -> list[Path]:
        """The data sets named by the recipe's `tests` that are there."""
        return find_sources(self.path, self.recipe.data.get("tests", []))

    @cached_property
    def pictures(self) -> tuple[Pictures, Pictures, list[str]]:
        """Pictures to train on, pictures held out, and the names of those left out because they are test pictures."""
        sources = find_sources(self.path, self.recipe.data.get("train", [])) or [self.path]
        every = load_pictures(sources)
        rest, left_out = without(every, load_pictures(self.test_sets))
        size = int(max(value for _, value in self.recipe.schedule["size"].points))
        large = [i for i, pixels in enumerate(rest.pixels) if min(pixels.shape[:2]) >= max(size, 32)]
        if len(large) < 2:
            raise ValueError(f"data {self.path}: fewer than 2 pictures with both sides of at least {max(size, 32)}")
        count = min(HELD_OUT, len(large) // 2)
        held = {large[i * len(large) // count] for i in range(count)}
        parts = [[i for i in large if i not in held], sorted(held)]
        train, val = (Pictures([rest.names[i] for i in part], [rest.pixels[i] for i in part]) for part in parts)
        return train, val, left_out

    def prepare(self) -> None:
        """Decode the pictures and leave the test pictures out."""
        _ = self.pictures

    def batch(self, moment: Moment) -> tuple[Tensor, Tensor]:
        """Clean patches (B, 3, s, s) in [0, 1], and the same with noise, not clipped."""
        size = int(moment.values["size"])
        pixels = random_patches(self.pictures[0].pixels, self.recipe.batch, size, moment.generator)
        clean = pixels.to(moment.device, memory_format=torch.channels_last).float().div_(255)
        low, high = self.sigmas
        level = low + (high - low) * torch.rand(len(clean), 1, 1, 1, generator=moment.generator)
        noise = torch.randn(clean.shape, generator=moment.generator) * (level / 255)
        return clean, clean + noise.to(clean)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor], moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean squared or absolute distance; logs the PSNR of the batch, and lam_in and lam_out."""
        clean, noisy = batch
        restored = model(noisy).float()
        loss = LOSSES[self.recipe.loss.get("kind", "l2")](restored, clean)
        logged = {"psnr": -10 * torch.log10(F.mse_loss(restored.detach(), clean))}
        for name in ("tv_in", "tv_out"):
            layer = getattr(self.model, name)
            if hasattr(layer, "lam"):
                logged[f"lam_{name[3:]}"] = layer.lam.mean()
        return loss, logged

    def _levels(self) -> list[float]:
        low, high = self.sigmas
        return [low] if low == high else [level for level in (15.0, 25.0, 50.0) if low <= level <= high]

    def validate(self, model: nn.Module, device: torch.device, *, full: bool) -> dict[str, float]:
        """Mean PSNR on the pictures held out, for each noise level; on part of each picture unless `full`."""
        side = None if full else 160
        metrics = {}
        for level in self._levels():
            total = 0.0
            for index, pixels in enumerate(self.pictures[1].pixels):
                clean = torch.from_numpy(pixels[:side, :side].copy()).permute(2, 0, 1)[None].float().div(255)
                restored = model(add_noise(clean, level, index).to(device)).float().cpu()
                total += float(psnr(restored, clean))
            metrics[f"psnr{level:g}"] = total / len(self.pictures[1].pixels)
        return metrics

    def picture(self, model: nn.Module, device: torch.device) -> Tensor:
        """Noisy and denoised parts of three pictures that are held out."""
        rows = []
        for index, pixels in enumerate(self.pictures[1].pixels[:3]):
            crop = torch.from_numpy(pixels[:128, :128].copy()).permute(2, 0, 1)[None].float().div(255)
            clean = F.pad(crop, (0, 128 - crop.shape[3], 0, 128 - crop.shape[2]))
            noisy = add_noise(clean, self._levels()[-1], index)
            rows.append(torch.cat([noisy[0], model(noisy.to(device)).float().cpu()[0], clean[0]], 2))
        return torch.cat(rows, 1)

    def adopt(self, released: nn.Module, name: str) -> None:
        """Start from a released DnCNN; where the recipe has batch norm, it comes back, measured on training batches.

        A DnCNN-TV can start from a plain DnCNN, and then keeps the lams of its recipe; a deeper network from one with
        fewer convolutions; one for other noise from one for this, whose weights are scaled to it.
        """
        if not isinstance(released, DnCNN):
            raise ValueError(f"init: {name} does not fit this model: it is no DnCNN")
        known = registry.info(name).input.noise
        if known and sum(known) > 0 and sum(self.sigmas) > 0:
            released = released.scaled(sum(self.sigmas) / sum(known))
        if len(released.convs) < len(self.model.convs):
            released = released.deepened(len(self.model.convs))
        noisy = []
        if self.model.has_norm:
            generator = torch.Generator().manual_seed(self.recipe.seed)
            start = Moment(0, 0.0, self.recipe.at(0.0), generator, torch.device("cpu"))
            noisy = [self.batch(start)[1] for _ in range(ADOPTING_BATCHES)]
        try:
            self.model.take_merged(released, noisy)
        except ValueError as error:
            raise ValueError(f"init: {name} does not fit this model: {error}") from None

    def export(self) -> Export:
        """The network with batch norm merged into its convolutions."""
        config = {key: value for key, value in self.recipe.model.items() if key in ("channels", "depth", "width")}
        return Export(copy.deepcopy(self.model).cpu().eval().merge_norm(), config)

    def measure(self, module: nn.Module, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        """Mean PSNR and SSIM on the test sets, beside the paper's."""
        records: list[dict[str, Any]] = []
        for source in self.test_sets:
            for level in self._levels():
                scores = list(evaluate_denoiser(module, source, level, name=self.recipe.name, device=device))
                records += mean_scores(scores, self.recipe.name, source, level)
        return records
