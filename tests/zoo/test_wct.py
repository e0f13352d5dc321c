from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from zoo.models.decoder import reflected
from zoo.models.stylizer import Stylizer
from zoo.models.vgg import VGGEncoder
from zoo.models.wct import WCT, power, statistics, whiten_colour


def correlated(c: int, h: int, w: int, seed: int) -> Tensor:
    """Features with a covariance of full rank and a mean, (1, c, h, w), float64."""
    draw = np.random.default_rng(seed)
    rows = draw.normal(size=(c, c)) @ draw.normal(size=(c, h * w)) + draw.normal(size=(c, 1))
    return torch.from_numpy(rows.reshape(1, c, h, w))


def covariance(features: Tensor) -> np.ndarray:
    return np.cov(features.flatten(1).view(features.shape[1], -1).numpy(), bias=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_covariance_and_mean_become_the_styles(dtype: torch.dtype) -> None:
    content, style = correlated(6, 12, 9, 0).to(dtype), correlated(6, 7, 15, 1).to(dtype)
    made = whiten_colour(content, [statistics(style, 0.0)], [1.0], 0.0)
    assert made.dtype == dtype
    tolerance = 1e-8 if dtype == torch.float64 else 2e-3
    wanted = covariance(style)
    np.testing.assert_allclose(covariance(made), wanted, atol=tolerance * np.abs(wanted).max())
    np.testing.assert_allclose(made.mean((2, 3)), style.mean((2, 3)), atol=1e-4)


def test_closed_form() -> None:
    content, style = correlated(4, 10, 10, 2), correlated(4, 8, 8, 3)
    rows = content[0].flatten(1).numpy()
    transform = scipy.linalg.sqrtm(covariance(style)) @ scipy.linalg.inv(scipy.linalg.sqrtm(covariance(content)))
    wanted = transform @ (rows - rows.mean(1, keepdims=True)) + style[0].flatten(1).numpy().mean(1, keepdims=True)
    made = whiten_colour(content, [statistics(style, 0.0)], [1.0], 0.0)[0].flatten(1).numpy()
    np.testing.assert_allclose(made, wanted, rtol=1e-6, atol=1e-8)


def test_own_style_is_the_identity_and_mixing_mixes_results() -> None:
    content, first, second = correlated(5, 9, 9, 4), correlated(5, 9, 9, 5), correlated(5, 6, 9, 6)
    torch.testing.assert_close(whiten_colour(content, [statistics(content)], [1.0]), content)
    known = [statistics(first), statistics(second)]
    single = [whiten_colour(content, [one], [1.0]) for one in known]
    torch.testing.assert_close(whiten_colour(content, known, [0.3, 0.7]), 0.3 * single[0] + 0.7 * single[1])


@given(c=st.integers(1, 12), h=st.integers(1, 3), w=st.integers(1, 3), scale=st.sampled_from([0.0, 1e-6, 1.0, 1e3]))
def test_tiny_and_flat_maps_stay_finite(c: int, h: int, w: int, scale: float) -> None:
    content = (scale * correlated(c, h, w, 7)).float().relu()
    style = correlated(c, 1, 2, 8).float()
    made = whiten_colour(content, [statistics(style)], [1.0])
    assert torch.isfinite(made).all()
    # whitening never amplifies to more than variance 1, so nothing gets farther from the mean than the style allows
    spread = (made - style.mean((2, 3), keepdim=True)).flatten(1).norm(dim=1)
    assert spread <= 1.01 * (h * w) ** 0.5 * statistics(style).root.norm() + 1e-4


def test_directions_of_little_variance_are_not_blown_up() -> None:
    matrix = torch.diag(torch.tensor([1.0, 1e-12]))[None]
    gain = power(matrix, -0.5).diagonal(dim1=1, dim2=2)
    assert gain[0, 0] == pytest.approx(1) and gain[0, 1] < 400


@pytest.fixture
def model() -> WCT:
    torch.manual_seed(0)
    made = WCT(encoder_width=3)
    made.attach(VGGEncoder(3))
    return made.eval()


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (40, 25)])
@torch.no_grad()
def test_any_size_comes_back(model: WCT, size: tuple[int, int]) -> None:
    assert isinstance(model, Stylizer)
    styles = [torch.rand(1, 3, 20, 33), torch.rand(1, 3, 16, 16)]
    made = model.stylise(torch.rand(1, 3, *size), styles, [0.25, 0.75], 1.0)
    assert made.shape == (1, 3, *size) and torch.isfinite(made).all()


@torch.no_grad()
def test_intensity_zero_only_reconstructs(model: WCT) -> None:
    content = torch.rand(1, 3, 32, 32)
    style = torch.rand(1, 3, 20, 20)
    # what the decoder loses is carried past it
    torch.testing.assert_close(model.stylise(content, [style], [1.0], 0.0), content, rtol=0, atol=1e-5)
    assert not torch.allclose(model.stylise(content, [style], [1.0], 1.0), content, rtol=0, atol=1e-4)
    model.carry = False
    x = content
    encoder = model.perceptual(content)
    for level in range(5, 0, -1):
        layer = f"conv{level}_1"
        x = model.decoder(reflected(encoder, x.clamp(0, 1), [layer])[layer], level)[-1]
    torch.testing.assert_close(model.stylise(content, [style], [1.0], 0.0), x)


@torch.no_grad()
def test_does_not_depend_on_the_batch(model: WCT) -> None:
    contents, styles = torch.rand(3, 3, 33, 26), torch.rand(3, 3, 40, 40)
    together = model(contents, styles)
    for index in range(3):
        alone = model(contents[index : index + 1], styles[index : index + 1])
        torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-3, atol=1e-3)
