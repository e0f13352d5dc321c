from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from zoo import checkpoints
from zoo.datasets import ImageFiles
from zoo.models.vgg import LAYERS
from zoo.training import train
from zoo.training.classify import labels_of, random_crops, to_float
from zoo.training.recipe import parse_recipe


def test_labels(labelled: Path) -> None:
    training, validation = labels_of(ImageFiles(labelled))
    assert len(training) == 16 and len(validation) == 8
    for names in (training, validation):
        assert all(number == (0 if "bright" in name else 1) for name, number in names.items())
    # one folder around it, as in the archive
    assert list(labels_of(ImageFiles(labelled.parent))[0].values()) == list(training.values())
    with pytest.raises(ValueError, match="train"):
        labels_of(ImageFiles(labelled / "val"))


def test_unknown_validation_class(labelled: Path) -> None:
    listing = labelled / "val" / "val_annotations.txt"
    listing.write_text(listing.read_text().replace("dark\t", "dusk\t"))
    with pytest.raises(ValueError, match="dusk"):
        labels_of(ImageFiles(labelled))


def test_crops_lie_inside_and_whole_pictures_stay() -> None:
    ramp = np.broadcast_to(np.arange(32, dtype=np.uint8)[None, None, :, None] * 8, (64, 32, 32, 3))
    pixels = torch.from_numpy(ramp.copy())
    crops = random_crops(pixels, 16, 0.25, torch.Generator().manual_seed(0))
    assert crops.shape == (64, 3, 16, 16)
    assert crops.min() >= 0 and crops.max() <= 31 * 8 / 255 + 1e-6
    slope = crops[:, 0].diff(dim=2).mean((1, 2))
    mirrored = (slope < 0).float().mean()
    assert 0.25 < mirrored < 0.75
    # a crop of a share of the width is stretched: its slope is less than the whole picture's, by at most half or so
    whole = 2 * 8 / 255
    assert slope.abs().max() <= whole * 1.01 and slope.abs().min() > whole * 0.4
    assert slope.abs().max() - slope.abs().min() > 0.2 * whole
    assert torch.equal(crops, random_crops(pixels, 16, 0.25, torch.Generator().manual_seed(0)))


def test_learns_two_classes_and_releases_an_encoder(labelled: Path, tmp_path: Path) -> None:
    recipe = parse_recipe(
        {
            "name": "vgg19_half.test",
            "objective": "classify",
            "batch": 8,
            "precision": "float32",
            "model": {"width": 2, "classes": 2},
            "data": {"side": 16},
            "optimiser": {"kind": "adam"},
            "schedule": {"lr": 0.01, "size": 16, "min_area": 0.5},
            "release": {
                "summary": "a test",
                "tasks": ["encode"],
                "paper": {"title": "none", "section": "0"},
                "licence": "Apache-2.0",
                "input": {"channels": 3},
            },
        }
    )
    *_, last = train(recipe, tmp_path / "run", data=labelled, steps=25, cpu=True)
    assert last.metrics["top1"] > 0.8
    path = tmp_path / "run" / "vgg19_half.test.safetensors"
    encoder = checkpoints.load_checkpoint(path, config={"width": 2})
    files = ImageFiles(labelled)
    pixels = np.stack([files.decode(name)[:16, :16] for name in labels_of(files)[0]])
    with torch.no_grad():
        found = encoder(to_float(torch.from_numpy(pixels)))
    assert isinstance(encoder, nn.Module) and found.keys() == set(LAYERS)
    for name, activation in found.items():
        # normalised on the same pictures, resized a little differently
        assert 0.8 < float(activation.square().mean().sqrt()) < 1.25, name
