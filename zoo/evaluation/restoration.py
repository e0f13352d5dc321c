"""Image priors on the paper's tasks (tables 1 and 2): squared and perceptual distance to the true pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import registry
from ..datasets import ImageFiles, resize_shorter
from ..loading import load
from ..models.latent import LatentModel
from ..restore.degradation import Degradation, Downsample, Grey, Mask
from ..restore.fit import fit_dip, fit_kind, fit_latents, frozen
from ..restore.masks import preset
from ..tasks.restore import STEPS, starting_latent

TASKS = ("centre", "half", "random95", "x8", "colourise")
ENCODER = "vgg19_half.tiny_imagenet"
# relu1_2, 2_2, 3_3, 4_3, 5_3 of VGG-16 in the paper; ours ends with conv5_1
LAYERS = ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_1")
GOLDEN = 7919  # apart, so that masks of neighbouring seeds are not alike
# Athar et al. 2019, table 1, CelebA: task -> architecture -> MSE
PAPER = {
    "centre": {"lcm": 0.0034, "glo": 0.0038, "dip": 0.0091, "ae": 0.0065, "wgan_gp": 0.0344},
    "x8": {"lcm": 0.0061, "glo": 0.0063, "dip": 0.0052, "ae": 0.0083, "wgan_gp": 0.0446},
    "colourise": {"lcm": 0.0071, "glo": 0.0069, "dip": 0.0136, "ae": 0.0194, "wgan_gp": 0.0373},
}


@dataclass(frozen=True)
class Restored:
    """One picture."""

    image: str
    mse: float
    """Over all pixels; for holes, over the missing ones (table 1)."""
    mse_known: float | None
    """Over the known ones (table 2); None without holes."""
    perceptual: float
    """Mean squared distance of the encoder's layers, for holes at the missing places."""
    energy: float
    """What was minimised."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return asdict(self)


def task_of(name: str, size: int, seed: int = 0) -> tuple[Degradation, Tensor | None]:
    """A task's degradation for pictures of one size, and its hole, bool (size, size), if it has one.

    Raises:
        ValueError: an unknown task.
    """
    if name == "x8":
        return Downsample(8), None
    if name == "colourise":
        return Grey(), None
    if name not in TASKS:
        raise ValueError(f"task: one of {', '.join(TASKS)}, got {name!r}")
    hole = preset(name, size, size, seed)
    return Mask(1 - hole.float()), hole


@torch.no_grad()
def perceptual_distance(encoder: nn.Module, first: Tensor, second: Tensor, hole: Tensor | None = None) -> Tensor:
    """Mean over five layers of the mean squared distance of their activations.

    Args:
        encoder: `vgg19_half.tiny_imagenet`, here in the place of the paper's VGG-16.
        first, second: (B, 3, H, W) in [0, 1].
        hole: bool (H, W): only places that it touches count.

    Returns:
        (B,).
    """
    total = first.new_zeros(len(first))
    ours, theirs = encoder(first, LAYERS), encoder(second, LAYERS)
    for layer in LAYERS:
        error = (ours[layer] - theirs[layer]).square().mean(1)
        if hole is None:
            total += error.flatten(1).mean(1)
        else:
            where = F.adaptive_max_pool2d(hole[None, None].to(error), error.shape[-2:])[0]
            total += (where * error).flatten(1).sum(1) / where.sum()
    return total / len(LAYERS)


def evaluate_prior(
    model: str | nn.Module,
    data: str | Path,
    task: str,
    *,
    under: str = "val/",
    limit: int | None = 50,
    steps: int | None = None,
    seed: int = 0,
    space: str | None = None,
    start: str = "encoder",
    pull: float | None = None,
    batch: int = 10,
    name: str | None = None,
    device: torch.device | str = "cpu",
    look: Callable[[Tensor, Tensor, Tensor], None] | None = None,
) -> Iterator[Restored]:
    """Degrade pictures, restore them, and measure. What the prior gives is measured as it is, nothing pasted in.

    Args:
        model: An entry for the task "restore", or the model itself.
        data: Folder, .zip or .tar of pictures; scaled and cut to the prior's size.
        task: One of `TASKS`.
        under: Folder of the pictures in the data; where there is none, all are taken.
        limit: Only the first so many.
        steps: Of the fit; None: 300, for a deep image prior 1000.
        seed: Of the fits; for "random95" picture i gets the mask of 7919 · seed + i.
        space: "z" for a latent convolutional model fitted in z.
        start, pull: see `zoo.tasks.restore`.
        batch: Pictures that are fitted together; they do not depend on each other.
        name: What to call a model that is not given by name.
        device: Where to compute.
        look: Called with evidence, results and true pictures of each batch, (B, 3, H, W) each.

    Yields:
        A record for each picture, in the order of their names.

    Raises:
        ValueError: an unknown task, no pictures, or a model for something else.
    """
    title = registry.info(model).name if isinstance(model, str) else name or "model.own"
    module = load(title, device=device) if isinstance(model, str) else model.to(device)
    kind = fit_kind(module)
    size = module.size if isinstance(module, LatentModel) else 128
    task_of(task, size)
    files = ImageFiles(data)
    names = (files.images(under) or files.images())[:limit]
    if not names:
        raise ValueError(f"data {str(data)!r}: holds no pictures")
    encoder = load(ENCODER, device=device)
    count = steps or STEPS[kind]
    each = 1 if kind == "dip" else batch
    for first in range(0, len(names), each):
        part = names[first : first + each]
        pixels = np.stack([resize_shorter(files.decode(file), size) for file in part])
        clean = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).to(device)
        degradation, holes = _batch_task(task, size, len(part), GOLDEN * seed + first)
        y = degradation.degrade(clean)

        def energy(x: Tensor, degradation: Degradation = degradation, y: Tensor = y) -> Tensor:
            return degradation.energy(x, y)

        if isinstance(module, LatentModel):
            evidence = degradation.evidence(y)
            begin = starting_latent(module, title.split(".")[-1], evidence) if start == "encoder" else None
            fits: Any = fit_latents(
                module, energy, len(part), steps=count, seed=seed, start=begin, space=space, pull=pull, device=device
            )
        else:
            fits = fit_dip(module, energy, (size, size), steps=count, seed=seed, device=device)  # type: ignore[arg-type]
        with frozen(module):
            for fit in fits:
                last = fit
        made = last.render()
        if look is not None:
            look(degradation.evidence(y)[:, :3], made, clean)
        for index, file in enumerate(part):
            hole = None if holes is None else holes[index].to(device)
            error = (made[index] - clean[index]).square()
            distance = perceptual_distance(encoder, made[index : index + 1], clean[index : index + 1], hole)
            yield Restored(
                file,
                float(error.mean() if hole is None else error[:, hole].mean()),
                None if hole is None else float(error[:, ~hole].mean()),
                float(distance),
                float(last.best_energy[index]),
            )


def _batch_task(task: str, size: int, count: int, seed: int) -> tuple[Degradation, Tensor | None]:
    """The degradation of a batch; single missing pixels are others in each picture."""
    degradation, hole = task_of(task, size, seed)
    if hole is None:
        return degradation, None
    holes = torch.stack([preset(task, size, size, seed + index) for index in range(count)])
    return Mask(1 - holes[:, None].float()), holes


def mean_restored(
    scores: Sequence[Restored], model: str, data: str | Path, task: str, settings: str = ""
) -> list[dict[str, Any]]:
    """Means as records of `zoo.entry.Metric`, the paper's figure beside ours where it has one.

    Args:
        scores: Of all pictures.
        model: `arch.tag`.
        data: Where the pictures are.
        task: What was done to them.
        settings: What else the figures depend on.
    """
    notes = f"{task}, {len(scores)} pictures" + (f", {settings}" if settings else "")
    where = "missing pixels" if scores[0].mse_known is not None else "all pixels"
    rows: list[tuple[str, list[float], float | None, str]] = [
        (f"MSE, {task}", [s.mse for s in scores], PAPER.get(task, {}).get(model.split(".")[0]), where),
        (f"perceptual, {task}", [s.perceptual for s in scores], None, f"five layers of {ENCODER}"),
    ]
    if scores[0].mse_known is not None:
        rows.append((f"MSE of known pixels, {task}", [s.mse_known or 0.0 for s in scores], None, "known pixels"))
    return [
        {
            "dataset": Path(data).stem,
            "metric": metric,
            "value": float(f"{sum(values) / len(values):.4g}"),
            "paper_value": paper,
            "settings": f"{notes}; {what}" + ("; the paper's on CelebA" if paper is not None else ""),
        }
        for metric, values, paper, what in rows
    ]
