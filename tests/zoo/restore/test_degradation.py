"""Degradations against Pillow and closed forms; masks; the Laplacian pyramid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from zoo.restore.degradation import JPEG, Chain, Downsample, Grey, Identity, Mask, Noise, fill, lanczos
from zoo.restore.masks import preset, random_mask
from zoo.restore.pyramid import laplacian_l1, laplacian_pyramid, reconstruction_loss


def images(count: int = 2, height: int = 16, width: int = 24) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_lanczos_is_pillows(factor: int) -> None:
    x = images(1, 64, 48)
    y = Downsample(factor).forward(x)
    for channel in range(3):
        source = Image.fromarray(x[0, channel].numpy())
        expected = np.asarray(source.resize((48 // factor, 64 // factor), Image.Resampling.LANCZOS))
        np.testing.assert_allclose(y[0, channel].numpy(), expected, atol=2e-6)


@given(st.integers(1, 40), st.integers(1, 40))
def test_lanczos_keeps_constants(before: int, after: int) -> None:
    torch.testing.assert_close(lanczos(before, after).sum(1), torch.ones(after))


def test_energy_is_the_weighted_mean() -> None:
    x = images()
    y = Grey().forward(x)
    torch.testing.assert_close(y, (x[:, :1] + x[:, 1:2] + x[:, 2:]) / 3)
    assert torch.equal(Grey().energy(x, y), torch.zeros(2))
    known = torch.ones(16, 24)
    known[4:8, 5:9] = 0
    mask = Mask(known, rim=2, rim_weight=5)
    weights = np.ones((16, 24))
    weights[2:10, 3:11] = 5
    weights[4:8, 5:9] = 0
    other = images().flip(0)
    error = (x - other).square().numpy() * weights
    expected = error.sum((1, 2, 3)) / (3 * weights.sum())
    # what the evidence has in the hole counts for nothing
    torch.testing.assert_close(mask.energy(x, other), torch.from_numpy(expected).float())
    filled = torch.where(known.bool(), other, 7.0)
    torch.testing.assert_close(mask.energy(x, filled), mask.energy(x, other))


def test_energy_has_the_right_slope() -> None:
    x, y = images(1, 8, 8).double(), torch.rand(1, 1, 4, 4, dtype=torch.float64)
    known = torch.ones(4, 4)
    known[1, 2] = 0
    chain = Chain([Grey(), Downsample(2), Mask(known, rim=1)])
    assert torch.autograd.gradcheck(lambda z: chain.energy(z, y), x.requires_grad_())


def test_chain_is_one_after_the_other() -> None:
    x = images(2, 16, 16)
    known = torch.ones(4, 4)
    known[0, 0] = 0
    chain = Chain([Grey(), Downsample(4), Mask(known)])
    y = Downsample(4).forward(Grey().forward(x)) * known
    assert torch.equal(chain.forward(x), y)
    assert torch.equal(chain.degrade(x), y)
    assert torch.equal(chain.energy(x, y), torch.zeros(2))
    evidence = chain.evidence(y)
    assert evidence.shape == (2, 4, 16, 16)
    assert evidence[:, 3].unique().tolist() == pytest.approx([0, 1 / 48])


def test_noise_and_jpeg() -> None:
    x = images(1, 64, 64)
    noisy = Noise(25).degrade(x, torch.Generator().manual_seed(1))
    assert float((noisy - x).std() * 255) == pytest.approx(25, rel=0.05)
    assert torch.equal(noisy, Noise(25).degrade(x, torch.Generator().manual_seed(1)))
    smooth = torch.linspace(0.2, 0.8, 64).expand(1, 3, 64, 64)
    assert 0 < float((JPEG(50).degrade(smooth) - smooth).abs().mean()) < 0.02
    assert JPEG(50).degrade(smooth[:, :1]).shape == (1, 1, 64, 64)
    assert torch.equal(JPEG().forward(x), x), "the likelihood is the plain squared error"
    assert torch.equal(Identity().evidence(x)[:, :3], x)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31))
def test_fill_keeps_and_stays_within(height: int, width: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 2, height, width, generator=generator)
    known = (torch.rand(1, 1, height, width, generator=generator) < 0.4).float()
    made = fill(image * known + 99 * (1 - known), known)
    assert torch.equal(torch.where(known > 0, made, 0), image * known)
    if known.any():
        given_ = image[(known > 0).expand_as(image)]
        assert made.min() >= given_.min() - 1e-5 and made.max() <= given_.max() + 1e-5
    else:
        assert (made == 0.5).all()


def test_refusals() -> None:
    with pytest.raises(ValueError, match="divided by 4"):
        Downsample(4).forward(images(1, 10, 16))
    with pytest.raises(ValueError, match="whole picture"):
        Mask(torch.zeros(4, 4))
    with pytest.raises(ValueError, match="mask: expected"):
        Mask(torch.ones(2, 3, 4, 4))
    with pytest.raises(ValueError, match="factor"):
        Downsample(0)
    with pytest.raises(ValueError, match="centre"):
        preset("middle", 8, 8)


def test_presets_are_the_papers() -> None:
    centre = preset("centre", 128, 128)
    assert centre.sum() == 50 * 50 and centre[39:89, 39:89].all()
    assert preset("half", 128, 128).sum() == 128 * 64
    random = preset("random95", 128, 128, seed=3)
    assert random.sum() == round(0.95 * 128**2)
    assert torch.equal(random, preset("random95", 128, 128, seed=3))
    assert not torch.equal(random, preset("random95", 128, 128, seed=4))


@given(st.integers(4, 40), st.integers(0, 2**31))
def test_random_masks_leave_something(side: int, seed: int) -> None:
    hole = random_mask(side, torch.Generator().manual_seed(seed))
    assert hole.shape == (side, side) and not hole.all()
    assert torch.equal(hole, random_mask(side, torch.Generator().manual_seed(seed)))


@given(st.integers(8, 33), st.integers(8, 33))
def test_bands_add_up_to_the_picture(height: int, width: int) -> None:
    from zoo.restore.pyramid import expand

    x = images(1, height, width)
    *bands, rest = laplacian_pyramid(x)
    for band in reversed(bands):
        rest = band + expand(rest, *band.shape[-2:])
    torch.testing.assert_close(rest, x)


def test_pyramid_is_opencvs_inside() -> None:
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    x = images(1, 64, 64)
    source = x[0, 0].numpy()
    small = cv2.pyrDown(source, borderType=cv2.BORDER_REPLICATE)
    expected = source - cv2.pyrUp(small)
    bands = laplacian_pyramid(x, 2)
    np.testing.assert_allclose(bands[1][0, 0].numpy(), small, atol=1e-6)
    np.testing.assert_allclose(bands[0][0, 0, 4:-4, 4:-4].numpy(), expected[4:-4, 4:-4], atol=1e-6)


def test_laplacian_l1() -> None:
    x = images(3, 32, 32)
    assert torch.equal(laplacian_l1(x, x), torch.zeros(3))
    # a constant difference is in the last band alone, with weight 2^(-2*3)
    torch.testing.assert_close(laplacian_l1(x + 0.5, x), torch.full((3,), 0.5 / 64), rtol=1e-4, atol=1e-6)
    expected = sum(band.abs().mean((1, 2, 3)) / 4**j for j, band in enumerate(laplacian_pyramid(x - x.flip(0))))
    torch.testing.assert_close(laplacian_l1(x, x.flip(0)), expected)
    total, mse = reconstruction_loss(x, x.flip(0))
    torch.testing.assert_close(mse, (x - x.flip(0)).square().mean((1, 2, 3)))
    torch.testing.assert_close(total, mse + expected)
