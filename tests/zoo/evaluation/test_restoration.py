"""The paper's restoration tasks: what is measured, and where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import zoo
from zoo.evaluation.restoration import LAYERS, TASKS, evaluate_prior, mean_restored, perceptual_distance, task_of
from zoo.models.latent import LatentModel


class Flat(LatentModel):
    """A prior that knows pictures of one colour."""

    size = 128
    latent_shape = (3,)

    def __init__(self) -> None:
        super().__init__()
        self.fit = {"lr": 0.5, "spaces": ("z",)}

    def decode(self, latent: Tensor) -> Tensor:
        return torch.sigmoid(latent)[:, :, None, None].expand(-1, 3, 128, 128)

    def start(self, generator: torch.Generator) -> Tensor:
        return torch.zeros(3)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Pictures of one colour each; the second has another colour in its centre."""
    (tmp_path / "val").mkdir()
    for index, colour in enumerate(((200, 60, 90), (40, 120, 220))):
        image = Image.new("RGB", (128, 128), colour)
        if index:
            image.paste((140, 20, 120), (39, 39, 89, 89))
        image.save(tmp_path / "val" / f"{index}.png")
    return tmp_path


def test_error_is_that_of_the_hole(faces: Path) -> None:
    seen: list[Tensor] = []
    scores = list(
        evaluate_prior(Flat(), faces, "centre", steps=200, look=lambda *pictures: seen.extend(pictures), batch=1)
    )
    assert [score.image for score in scores] == ["val/0.png", "val/1.png"]
    assert scores[0].mse < 1e-4 and scores[0].mse_known is not None and scores[0].mse_known < 1e-4
    # the second one's centre cannot be guessed: differences of 100/255 in each channel
    assert scores[1].mse == pytest.approx((100 / 255) ** 2, rel=0.03)
    assert scores[1].mse_known == pytest.approx(0, abs=1e-4)
    assert scores[1].perceptual > 10 * scores[0].perceptual
    assert len(seen) == 6 and seen[0].shape == (1, 3, 128, 128)
    means = mean_restored(scores, "lcm.faces128", faces, "centre")
    assert means[0]["value"] == pytest.approx((scores[0].mse + scores[1].mse) / 2, rel=1e-3)
    assert means[0]["paper_value"] == 0.0034 and means[2]["metric"] == "MSE of known pixels, centre"


@pytest.mark.parametrize("task", TASKS)
def test_every_task(faces: Path, task: str) -> None:
    (score,) = evaluate_prior(Flat(), faces, task, steps=60, limit=1)
    # grey says nothing of the colour; all else does
    assert (score.mse < 1e-3) == (task != "colourise")
    assert score.energy < 1e-3
    assert (score.mse_known is None) == (task in ("x8", "colourise"))


def test_perceptual_distance_is_a_mean_of_squares() -> None:
    encoder = zoo.load("vgg19_half.tiny_imagenet")
    first, second = (torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    with torch.no_grad():
        a, b = encoder(first, LAYERS), encoder(second, LAYERS)
    expected = sum((a[layer] - b[layer]).square().mean((1, 2, 3)) for layer in LAYERS) / 5
    torch.testing.assert_close(perceptual_distance(encoder, first, second), expected)
    assert float(perceptual_distance(encoder, first, first).sum()) == 0
    hole = torch.zeros(64, 64, dtype=torch.bool)
    hole[:, 32:] = True
    changed = first.clone()
    changed[..., :16] = 0.5  # so far from the hole that hardly anything of it is seen there
    left = perceptual_distance(encoder, first, changed, ~hole)
    assert (perceptual_distance(encoder, first, changed, hole) < 0.2 * left).all()
    assert isinstance(encoder, nn.Module)


def test_random_holes_are_others_for_each_picture() -> None:
    _, hole = task_of("random95", 128, 0)
    assert hole is not None and np.isclose(hole.float().mean(), 0.95, atol=1e-3)
    other = task_of("random95", 128, 1)[1]
    assert other is not None and not torch.equal(hole, other)


def test_refusals(faces: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="task: one of"):
        next(evaluate_prior(Flat(), faces, "sharpen"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no pictures"):
        next(evaluate_prior(Flat(), tmp_path / "empty", "half"))
