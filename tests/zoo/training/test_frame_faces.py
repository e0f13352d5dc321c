"""Training of the network that frames faces."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo import checkpoints
from zoo.models.face_frame import between, moved
from zoo.training import train
from zoo.training.face_frame import FrameFaces, as_taken, random_holes
from zoo.training.objective import Moment
from zoo.training.recipe import Recipe, parse_recipe

TABLE = {
    "name": "face_frame.test",
    "objective": "face_frame",
    "batch": 32,
    "precision": "float32",
    "model": {"size": 32, "widths": [8, 16, 32], "hidden": 16},
    "data": {"size": 32},
    "loss": {"off": [0.15, 0.15, 0.2, 0.3]},
    "optimiser": {"kind": "adam"},
    "schedule": {"lr": 0.006},
    "release": {
        "summary": "A test",
        "tasks": ["frame"],
        "licence": "Apache-2.0",
        "data": ["drawn"],
        "paper": {"title": "T", "section": "1", "equation": None},
        "input": {"channels": 4, "min_size": 32},
    },
}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces: an oval, two eyes and a mouth, of many colours."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32] / 31 - 0.5
    for number in range(60):
        colours = rng.uniform(0.1, 0.9, (3, 3))
        pixels = np.ones((32, 32, 3)) * colours[0]
        pixels[(x / 0.4) ** 2 + (y / 0.48) ** 2 < 1] = colours[1]
        for place in (-0.17, 0.17):
            pixels[(x - place) ** 2 + (y + 0.1) ** 2 < 0.006] = 0.05
        pixels[(x / 0.16) ** 2 + ((y - 0.25) / 0.05) ** 2 < 1] = colours[2]
        target = folder / ("val" if number % 5 == 0 else "train")
        target.mkdir(exist_ok=True)
        Image.fromarray((255 * pixels).round().astype(np.uint8)).save(target / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return parse_recipe(TABLE)


def test_it_learns(recipe: Recipe, faces: Path, tmp_path: Path) -> None:
    *_, last = train(recipe, tmp_path / "run", data=faces, steps=600, cpu=True)
    found = last.metrics
    assert found["place_3"] < 0.6 * found["place_before"] and found["place_3"] < found["place_1"]
    assert found["degrees_3"] < 0.85 * found["degrees_before"]
    network = checkpoints.load_checkpoint(tmp_path / "run" / "face_frame.test.safetensors").eval()
    assert network(network.golden_input()).shape == (1, 2, 4)


def test_batches(recipe: Recipe, faces: Path, tmp_path: Path) -> None:
    objective = FrameFaces(recipe, faces, tmp_path)
    moments = [
        Moment(step, 0.0, recipe.at(0.0), torch.Generator().manual_seed(step), torch.device("cpu"))
        for step in (3, 3, 4)
    ]
    (views, wanted), again, other = (objective.batch(moment) for moment in moments)
    assert torch.equal(views, again[0]) and torch.equal(wanted, again[1]) and not torch.equal(views, other[0])
    assert views.shape == (32, 4, 32, 32) and set(views[:, 3].unique().tolist()) == {0.0, 1.0}
    # the offsets lead from where the views were taken to the whole picture
    pictures, frames = objective._scenes(torch.rand(8, 3, 32, 32), torch.Generator().manual_seed(0))
    back = moved(frames, between(frames, objective._whole(frames)))
    torch.testing.assert_close(back, objective._whole(frames), rtol=0, atol=1e-4)
    assert (pictures[:, 3].mean((1, 2)) < 1).any() and (frames[:, 2] != 32).all()


def test_holes_and_light() -> None:
    known = random_holes(200, 24, torch.Generator().manual_seed(0))
    assert known.shape == (200, 1, 24, 24) and set(known.unique().tolist()) == {0.0, 1.0}
    share = known.mean((1, 2, 3))
    assert (share == 1).any() and (share < 0.6).any() and share.mean() > 0.6
    pictures = torch.rand(40, 3, 32, 32)
    taken = as_taken(pictures, torch.Generator().manual_seed(0))
    assert taken.shape == pictures.shape and taken.min() >= 0 and taken.max() <= 1
    assert ((taken[:, 0] - taken[:, 1]).abs().amax((1, 2)) < 0.3).any(), "some are without colour"


def test_what_it_refuses(recipe: Recipe, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"loss\.off needs 4"):
        FrameFaces(parse_recipe({**TABLE, "loss": {"off": [0.1]}}), tmp_path, tmp_path)
