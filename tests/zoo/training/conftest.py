from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zoo.training import Recipe
from zoo.training.recipe import load_recipe, parse_recipe
from zoo.training.schedule import Schedule


def picture(seed: int, height: int = 60, width: int = 72) -> np.ndarray:
    """Waves with grain, uint8 (H, W, 3): different seeds look different, even from afar."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / 72
    planes = [
        np.sin(2 * np.pi * (draw.uniform(-3, 3) * x + draw.uniform(-3, 3) * y + draw.uniform())) for _ in range(3)
    ]
    return np.clip(127 + 80 * np.stack(planes, -1) + draw.normal(0, 8, (height, width, 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with ten pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(10):
        Image.fromarray(picture(seed)).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Two classes of 16-pixel pictures, dark and bright, with a validation set laid out as in Tiny-ImageNet."""
    root = tmp_path / "labelled"
    lines = []
    draw = np.random.default_rng(0)
    for number, name in enumerate(("dark", "bright")):
        (root / "train" / name / "images").mkdir(parents=True)
        (root / "val" / "images").mkdir(parents=True, exist_ok=True)
        for index in range(12):
            pixels = (draw.uniform(0, 90, (20, 18, 3)) + 160 * number).astype(np.uint8)
            where = f"train/{name}/images" if index < 8 else "val/images"
            Image.fromarray(pixels).save(root / where / f"{name}_{index}.png")
            if index >= 8:
                lines.append(f"{name}_{index}.png\t{name}\t0\t0\t5\t5")
    (root / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    return root


def denoise_table() -> dict[str, Any]:
    """The table of a recipe that trains in a moment."""
    return {
        "name": "dncnn_tv.test",
        "objective": "denoise",
        "batch": 2,
        "precision": "float32",
        "model": {"depth": 3, "width": 8, "tv": True},
        "data": {"sigma": [25, 25]},
        "optimiser": {"kind": "adam"},
        "schedule": {"lr": {"points": [[0.0, 1e-3], [1.0, 1e-4]], "between": "cosine"}, "size": [[0.0, 16], [0.5, 20]]},
        "release": {
            "summary": "a test",
            "tasks": ["denoise"],
            "paper": {"title": "none", "section": "0"},
            "licence": "Apache-2.0",
            "input": {"channels": 3},
            "data": ["noise"],
        },
    }


@pytest.fixture
def table() -> dict[str, Any]:
    return denoise_table()


@pytest.fixture
def recipe() -> Recipe:
    return parse_recipe(denoise_table())


LATENT = """
name = "lcm.test"
objective = "latent"
batch = 2
precision = "bf16"
model = { size = 64, width = 0.03125 }
data = { val_images = 2, val_steps = 3 }
loss = { inner = 3, freeze_norm = 0.9, latent = { kind = "sgd", momentum = 0.5 } }
optimiser = { kind = "sgd" }
schedule = { lr = 1.0, lr_latent = 1.0 }
[release]
summary = "a test"
tasks = ["restore"]
licence = "Apache-2.0"
input = { channels = 3 }
paper = { title = "none", section = "0" }
data = ["waves"]
"""


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Four training and two validation pictures of 64 pixels."""
    y, x = np.mgrid[:64, :64] / 64
    for number in range(6):
        folder = tmp_path / "faces" / ("train" if number < 4 else "val")
        folder.mkdir(parents=True, exist_ok=True)
        planes = [0.5 + 0.4 * np.sin(6 * (x * (number + k) + y * (number - k))) for k in range(3)]
        Image.fromarray((255 * np.stack(planes, -1)).astype(np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "faces"


@pytest.fixture
def latent(tmp_path: Path) -> Recipe:
    """A latent convolutional model of 64 pixels that trains in a moment."""
    (tmp_path / "recipe.toml").write_text(LATENT)
    return load_recipe(tmp_path / "recipe.toml")


@pytest.fixture
def amortised(latent: Recipe) -> Recipe:
    """The same, its latents predicted by a network in the first half of the budget."""
    loss = {**latent.loss, "amortised": 0.5, "rank": 8, "encoder_width": 16}
    return replace(latent, loss=loss, schedule={**latent.schedule, "lr_encoder": Schedule(((0.0, 1e-3),))})
