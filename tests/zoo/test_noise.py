"""Noise is white, repeatable and an image's own; its level is found again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.noise import add_noise, estimate_sigma


def test_level_and_whiteness():
    noise = (add_noise(torch.full((3, 256, 256), 0.5), 20, seed=3) - 0.5) * 255
    assert noise.std().item() == pytest.approx(20, rel=0.01)
    assert abs(noise.mean().item()) < 0.2
    neighbours = torch.stack([noise[..., 1:].flatten(), noise[..., :-1].flatten()])
    assert abs(torch.corrcoef(neighbours)[0, 1].item()) < 0.01


def test_each_image_has_its_own_noise():
    clean = torch.rand(3, 1, 16, 16)
    together = add_noise(clean, 25, seed=[5, 9, 5])
    for i, seed in enumerate([5, 9, 5]):
        assert torch.equal(together[i], add_noise(clean[i], 25, seed=seed))
    assert torch.equal(add_noise(clean, 25, seed=4), add_noise(clean, 25, seed=[4, 5, 6]))
    assert not torch.equal(together[0] - clean[0], together[1] - clean[1])


def test_kinds(cartoon):
    noisy = add_noise(cartoon, 30, seed=1)
    assert noisy.dtype == np.uint8 and noisy.shape == cartoon.shape
    assert np.array_equal(np.array(add_noise(Image.fromarray(cartoon), 30, seed=1)), noisy)
    alpha = np.full((*cartoon.shape[:2], 1), 77, np.uint8)
    assert (add_noise(np.concatenate([cartoon, alpha], 2), 30)[..., 3] == 77).all()
    assert np.array_equal(add_noise(cartoon, 0), cartoon)


def test_bad_arguments(cartoon):
    for sigma in (-1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="sigma"):
            add_noise(cartoon, sigma)
    with pytest.raises(TypeError, match="sigma"):
        add_noise(cartoon, "much")
    with pytest.raises(ValueError, match="seed: one per image"):
        add_noise(torch.zeros(2, 1, 4, 4), 5, seed=[1])
    with pytest.raises(ValueError, match=r"\(C, H, W\)"):
        estimate_sigma(torch.zeros(4, 4))


@pytest.mark.parametrize("sigma", [5, 10, 25, 50])
def test_estimate_on_a_cartoon_with_clipping(cartoon, sigma):
    large = np.kron(cartoon, np.ones((4, 4, 1), np.uint8))
    noisy = torch.from_numpy(add_noise(large, sigma, seed=2)).permute(2, 0, 1) / 255
    assert estimate_sigma(noisy) == pytest.approx(sigma, rel=0.08)


@pytest.mark.parametrize("name", ["astronaut", "camera", "chelsea", "coffee", "rocket", "moon", "brick"])
@pytest.mark.parametrize("sigma", [10, 25, 50])
def test_estimate_on_photographs(name, sigma):
    data = pytest.importorskip("skimage.data")
    noisy = Image.fromarray(add_noise(getattr(data, name)(), sigma, seed=2))
    pixels = torch.from_numpy(np.array(noisy)).float() / 255
    pixels = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
    assert estimate_sigma(pixels) == pytest.approx(sigma, rel=0.15)


def test_estimate_is_near_zero_where_there_is_no_noise(cartoon):
    assert estimate_sigma(torch.from_numpy(cartoon).permute(2, 0, 1) / 255) < 0.5
    assert estimate_sigma(torch.full((3, 200, 200), 0.3)) < 1e-3
    ramp = torch.linspace(0, 1, 300).expand(1, 200, 300)
    assert estimate_sigma(ramp) < 1e-3


def test_estimate_of_tiny_pictures():
    assert estimate_sigma(torch.rand(3, 3, 50)) == 0
    assert estimate_sigma(torch.rand(1, 4, 4)) > 0
