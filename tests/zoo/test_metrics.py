"""PSNR and SSIM against their definitions and scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from zoo.metrics import psnr, ssim
from zoo.noise import add_noise


@pytest.fixture
def pair(cartoon):
    clean = torch.from_numpy(cartoon).permute(2, 0, 1)[None] / 255
    return add_noise(clean, 20, seed=1), clean


def test_psnr_is_its_formula_on_8_bit_values(pair):
    noisy, clean = pair
    error = np.clip(noisy.double().numpy() * 255, 0, 255).round() - (clean.double().numpy() * 255).round()
    assert psnr(noisy, clean).item() == pytest.approx(10 * math.log10(255**2 / (error**2).mean()), abs=1e-4)


def test_ssim_agrees_with_scikit_image(pair):
    structural_similarity = pytest.importorskip("skimage.metrics").structural_similarity
    noisy, clean = ((image[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy() for image in pair)
    # torchmetrics takes the mean over the whole map, scikit-image leaves the border out of its own
    _, similarity = structural_similarity(
        noisy,
        clean,
        data_range=255,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert ssim(*pair).item() == pytest.approx(similarity.mean(), abs=1e-3)


def test_one_value_per_image(pair):
    noisy, clean = pair
    images = torch.cat([noisy, clean, (noisy + clean) / 2])
    references = clean.expand_as(images)
    for metric in (psnr, ssim):
        values = metric(images, references)
        assert values.shape == (3,)
        for i in range(3):
            assert values[i].item() == pytest.approx(metric(images[i : i + 1], clean).item(), rel=1e-5)
    assert psnr(clean, clean).item() == math.inf
    assert ssim(clean, clean).item() == pytest.approx(1, abs=2e-4)


def test_bad_shapes(pair):
    with pytest.raises(ValueError, match="reference"):
        psnr(pair[0], pair[1][..., 1:])
    with pytest.raises(ValueError, match=r"\(B, C, H, W\)"):
        psnr(pair[0][0], pair[1][0])
    with pytest.raises(ValueError, match="at least 11"):
        ssim(torch.zeros(1, 1, 10, 40), torch.zeros(1, 1, 10, 40))
