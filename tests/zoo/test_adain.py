from __future__ import annotations

import numpy as np
import pytest
import torch

from zoo.models.adain import LAYER, AdaIN, adain, moments
from zoo.models.decoder import reflected
from zoo.models.stylizer import Stylizer
from zoo.models.vgg import VGGEncoder


@pytest.fixture
def model() -> AdaIN:
    torch.manual_seed(0)
    made = AdaIN(encoder_width=4)
    made.attach(VGGEncoder(4))
    return made.eval()


def test_moments_become_the_styles() -> None:
    generator = torch.Generator().manual_seed(0)
    content = torch.rand(2, 5, 9, 7, generator=generator).double() * 3 + 1
    style = torch.randn(2, 5, 4, 11, generator=generator).double() * 0.5 - 2
    made = adain(content, moments(style)).numpy()
    np.testing.assert_allclose(made.mean((2, 3)), style.numpy().mean((2, 3)), rtol=1e-6)
    np.testing.assert_allclose(made.std((2, 3)), style.numpy().std((2, 3)), rtol=1e-4)
    # the pattern stays: what is left is a line for each channel
    line = np.corrcoef(made[1, 3].ravel(), content[1, 3].numpy().ravel())[0, 1]
    assert line == pytest.approx(1, abs=1e-9)


def test_flat_channels_stay_finite_and_have_gradients() -> None:
    flat = torch.full((1, 2, 3, 3), 0.5, requires_grad=True)
    made = adain(flat, moments(torch.zeros(1, 2, 4, 4)))
    made.sum().backward()
    assert torch.isfinite(made).all() and flat.grad is not None and torch.isfinite(flat.grad).all()


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (40, 25)])
@torch.no_grad()
def test_any_size_comes_back(model: AdaIN, size: tuple[int, int]) -> None:
    assert isinstance(model, Stylizer)
    styles = [torch.rand(1, 3, 20, 33), torch.rand(1, 3, 16, 16)]
    made = model.stylise(torch.rand(1, 3, *size), styles, [0.25, 0.75], 1.0)
    assert made.shape == (1, 3, *size) and torch.isfinite(made).all()


@torch.no_grad()
def test_under_autocast(model: AdaIN) -> None:
    content, style = torch.rand(2, 1, 3, 32, 24)
    whole = model.stylise(content, [style], [1.0], 0.6)
    with torch.autocast("cpu", torch.bfloat16):
        half = model.stylise(content, [style], [1.0], 0.6).float()
    assert (half - whole).abs().mean() < 0.05 * whole.abs().mean()


@torch.no_grad()
def test_intensity_and_mixing_are_linear_in_features(model: AdaIN) -> None:
    content, first, second = torch.rand(3, 1, 3, 32, 24)
    encoder = model.perceptual(content)
    f, s, t = (reflected(encoder, image, [LAYER])[LAYER] for image in (content, first, second))
    for weights, intensity in (((1.0, 0.0), 0.0), ((0.3, 0.7), 0.6), ((0.0, 1.0), 1.0), ((0.5, 0.5), 3.0)):
        mixed = weights[0] * adain(f, moments(s)) + weights[1] * adain(f, moments(t))
        alpha = min(1.0, intensity)
        wanted = model.decoder(alpha * mixed + (1 - alpha) * f)[-1]
        torch.testing.assert_close(model.stylise(content, [first, second], weights, intensity), wanted)


@torch.no_grad()
def test_does_not_depend_on_the_batch(model: AdaIN) -> None:
    contents, styles = torch.rand(3, 3, 21, 26), torch.rand(3, 3, 18, 18)
    together = model(contents, styles)
    for index in range(3):
        alone = model(contents[index : index + 1], styles[index : index + 1])
        torch.testing.assert_close(together[index : index + 1], alone, rtol=1e-5, atol=1e-5)


def test_holds_no_weights_of_the_encoder(model: AdaIN) -> None:
    assert all(key.startswith("decoder.") for key in model.state_dict())
    assert all(name.startswith("decoder.") for name, _ in model.named_parameters())
    with pytest.raises(ValueError, match="width 4"):
        model.attach(VGGEncoder(2))


def test_refusals(model: AdaIN) -> None:
    image = torch.rand(1, 3, 16, 16)
    for arguments, message in (
        ((image[..., :15, :], [image], [1.0], 1.0), "content"),
        ((image, [image[:, :1]], [1.0], 1.0), "styles"),
        ((image, [], [], 1.0), "weights"),
        ((image, [image, image], [0.5, 0.6], 1.0), "weights"),
        ((image, [image], [1.0], -0.1), "intensity"),
    ):
        with pytest.raises(ValueError, match=message):
            model.stylise(*arguments)
