"""Training the perceptual encoder as a classifier of small pictures, and its release: folded and normalised."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..datasets import ImageFiles, decoded, resize_shorter
from ..models.vgg import VGGClassifier, normalise
from .objective import Export, Moment, OnData
from .recipe import Recipe
from .sampling import positions

PARTIAL = 2000  # images of a validation between others


class Classify(OnData):
    """Cross entropy on random crops of labelled pictures.

    Data: `train/<class>/**` and a validation set, either `val/<class>/**` or as Tiny-ImageNet has it, `val/images/*`
    with `val/val_annotations.txt` (name and class in each line).
    """

    needs = "with train/ and val/"
    model: VGGClassifier

    def __init__(self, recipe: Recipe, data: Path | None, cache: Path) -> None:
        super().__init__(recipe, data, cache)
        self.model = VGGClassifier(**recipe.model)

    @cached_property
    def _files(self) -> ImageFiles:
        return ImageFiles(self.path)

    @cached_property
    def _train(self) -> tuple[np.ndarray, np.ndarray]:
        return self._load(labels_of(self._files)[0])

    @cached_property
    def _val(self) -> tuple[np.ndarray, np.ndarray]:
        return self._load(labels_of(self._files)[1])

    def _load(self, labels: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
        names = list(labels)
        pixels = decoded(self._files, names, self.recipe.data["side"], self.cache, resize_shorter)
        return pixels, np.fromiter(labels.values(), np.int64)

    def prepare(self) -> None:
        """Decode the pictures."""
        _ = self._train, self._val

    def batch(self, moment: Moment) -> tuple[Tensor, Tensor]:
        """Crops (B, 3, s, s) in [0, 1] and labels (B,)."""
        pixels, labels = self._train
        index = positions(moment, len(labels), self.recipe.batch, self.recipe.seed)
        images = torch.from_numpy(pixels[index]).to(moment.device)
        size, min_area = int(moment.values["size"]), moment.values["min_area"]
        return random_crops(images, size, min_area, moment.generator), torch.from_numpy(labels[index]).to(moment.device)

    def loss(self, model: nn.Module, batch: tuple[Tensor, Tensor], moment: Moment) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross entropy with label smoothing, and top-1 on the batch."""
        images, labels = batch
        scores = model(images).float()
        loss = F.cross_entropy(scores, labels, label_smoothing=self.recipe.loss.get("label_smoothing", 0.0))
        return loss, {"top1": (scores.argmax(1) == labels).float().mean()}

    def validate(self, model: nn.Module, device: torch.device, *, full: bool) -> dict[str, float]:
        """Top-1 and top-5 on whole pictures."""
        pixels, labels = self._val
        # the subset is spread evenly over the set, whatever its order
        index = np.arange(len(labels)) if full else np.linspace(0, len(labels) - 1, PARTIAL).round().astype(int)
        top1 = top5 = 0.0
        for part in np.array_split(index, math.ceil(len(index) / 250)):
            scores = model(to_float(torch.from_numpy(pixels[part]).to(device))).float()
            best = scores.topk(min(5, scores.shape[1]), 1).indices == torch.from_numpy(labels[part]).to(device)[:, None]
            top1 += best[:, 0].sum().item()
            top5 += best.any(1).sum().item()
        return {"top1": top1 / len(index), "top5": top5 / len(index)}

    def export(self) -> Export:
        """The encoder without its head: batch norm folded, activations of root mean square 1 per layer."""
        encoder = copy.deepcopy(self.model).cpu().eval().fold()
        pixels, _ = self._train
        index = np.linspace(0, len(pixels) - 1, min(1000, len(pixels))).round().astype(int)
        normalise(encoder, [to_float(torch.from_numpy(pixels[part])) for part in np.array_split(index, 8)])
        return Export(encoder, {"width": self.recipe.model.get("width", 32)})

    def measure(self, module: nn.Module, validation: Mapping[str, float], device: torch.device) -> list[dict[str, Any]]:
        """Top-1 and top-5 of the classifier, in per cent."""
        settings = "per cent; with the linear head on pooled conv5_1 that it was trained with, whole pictures"
        return [
            {
                "dataset": "Tiny-ImageNet validation",
                "metric": metric,
                "value": round(100 * validation[key], 2),
                "settings": settings,
            }
            for key, metric in (("top1", "top-1"), ("top5", "top-5"))
        ]


def labels_of(files: ImageFiles) -> tuple[dict[str, int], dict[str, int]]:
    """Image name -> class number, of the training and of the validation set.

    The archive may have one folder around `train/` and `val/`.

    Raises:
        ValueError: no such folders, or a validation image without a known class.
    """
    roots = sorted({name.split("train/")[0] for name in files.images() if "train/" in name}, key=len)
    if not roots:
        raise ValueError(f"data {files.path}: no images under train/<class>/")
    root = roots[0]
    train = files.images(root + "train/")
    folders = [name[len(root) :].split("/")[1] for name in train]
    numbers = {folder: number for number, folder in enumerate(sorted(set(folders)))}
    val = files.images(root + "val/")
    listing = root + "val/val_annotations.txt"
    if listing in files.names:
        lines = (line.split("\t") for line in files.read(listing).decode().splitlines())
        classes = {words[0]: words[1] for words in lines if len(words) > 1}
        val_folders = [classes.get(name.rsplit("/", 1)[1], "") for name in val]
    else:
        val_folders = [name[len(root) :].split("/")[1] for name in val]
    if strangers := sorted(set(val_folders) - set(numbers)):
        raise ValueError(f"data {files.path}: validation classes that train/ lacks: {strangers[:5]}")
    return (
        {name: numbers[folder] for name, folder in zip(train, folders, strict=True)},
        {name: numbers[folder] for name, folder in zip(val, val_folders, strict=True)},
    )


def to_float(pixels: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) to float (B, 3, H, W) in [0, 1], channels last in memory."""
    return pixels.permute(0, 3, 1, 2).float().div_(255)


def random_crops(pixels: Tensor, size: int, min_area: float, generator: torch.Generator) -> Tensor:
    """One random crop of each picture, half of them mirrored, scaled to one size: all as one batched resampling.

    Args:
        pixels: uint8 (B, H, W, 3).
        size: Height and width of the crops.
        min_area: A crop covers between this share of the picture and all of it; its ratio of sides is in [3/4, 4/3].
        generator: On the CPU.

    Returns:
        (B, 3, size, size) in [0, 1].
    """
    count = len(pixels)
    u = torch.rand(6, count, generator=generator)
    area = min_area + (1 - min_area) * u[0]
    ratio = torch.exp((2 * u[1] - 1) * math.log(4 / 3))
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = width * torch.where(u[2] < 0.5, -1.0, 1.0)
    theta[:, 1, 1] = height
    theta[:, 0, 2] = (2 * u[3] - 1) * (1 - width)
    theta[:, 1, 2] = (2 * u[4] - 1) * (1 - height)
    grid = F.affine_grid(theta.to(pixels.device), [count, 3, size, size], align_corners=False)
    crops = F.grid_sample(to_float(pixels), grid, padding_mode="border", align_corners=False)
    return crops.contiguous(memory_format=torch.channels_last)
