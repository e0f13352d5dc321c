"""The loss of style transfer against its formulas, written out with numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zoo.models.vgg import STYLE_LAYERS, VGGEncoder
from zoo.style.loss import (
    alpha,
    content_target,
    gram,
    loss_terms,
    style_targets,
    total_loss,
    total_variation,
)


@pytest.fixture(scope="module")
def encoder() -> VGGEncoder:
    torch.manual_seed(0)
    encoder = VGGEncoder(width=2).double().eval().requires_grad_(False)
    for conv in encoder.convs.values():
        torch.nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    return encoder


def pictures(count: int, height: int = 32, width: int = 48, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(batch=st.integers(1, 3), c=st.integers(1, 4), h=st.integers(1, 5), w=st.integers(1, 5))
def test_gram_is_the_definition(batch: int, c: int, h: int, w: int) -> None:
    features = torch.randn(batch, h, w, c, dtype=torch.float64).permute(0, 3, 1, 2)  # not contiguous
    for found, one in zip(gram(features), features, strict=True):
        rows = one.permute(1, 2, 0).reshape(h * w, c).numpy()
        np.testing.assert_allclose(found.numpy(), rows.T @ rows / (h * w), rtol=1e-12, atol=1e-12)


def test_gram_keeps_its_precision_under_autocast() -> None:
    features = torch.rand(1, 3, 64, 64)
    with torch.autocast("cpu", torch.bfloat16):
        found = gram(features.bfloat16())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, gram(features.bfloat16().float()))


def test_the_formula_of_section_5_1(encoder: VGGEncoder) -> None:
    x, content, style = pictures(1), pictures(1, seed=1), pictures(1, 24, 40, seed=2)
    betas = [1.0, 0.0, 0.5, 2.0, 1 / 0.9]
    features, wanted, source = (
        {name: value[0].permute(1, 2, 0).reshape(-1, value.shape[1]).numpy() for name, value in encoder(one).items()}
        for one in (x, content, style)
    )

    def gram_of(rows: np.ndarray) -> np.ndarray:
        return rows.T @ rows / len(rows)

    scale = sum(np.linalg.norm(gram_of(source[name])) ** 2 / source[name].shape[1] ** 2 for name in STYLE_LAYERS)
    expected = 0.02 * np.linalg.norm(features["conv4_2"] - wanted["conv4_2"]) ** 2 / features["conv4_2"].size
    for beta, name in zip(betas, STYLE_LAYERS, strict=True):
        distance = np.linalg.norm(gram_of(features[name]) - gram_of(source[name])) ** 2
        expected += beta / scale * distance / features[name].shape[1] ** 2
    plane = x[0].numpy()
    tv = np.abs(np.diff(plane, axis=1)).sum() + np.abs(np.diff(plane, axis=2)).sum()
    expected += 0.3 * tv / plane.size
    grams = style_targets(encoder, style)
    assert float(alpha(grams)) == pytest.approx(scale, rel=1e-10)
    found = total_loss(encoder, x, grams, content_target(encoder, content), betas)
    assert found.shape == (1,) and float(found) == pytest.approx(expected, rel=1e-10)


def test_the_loss_of_a_picture_does_not_depend_on_the_batch(encoder: VGGEncoder) -> None:
    x, content, style = pictures(3), pictures(3, seed=1), pictures(3, seed=2)
    betas = torch.rand(3, 5, dtype=torch.float64)
    grams, target = style_targets(encoder, style), content_target(encoder, content)
    together = loss_terms(encoder, x, grams, target, betas)
    for i in range(3):
        one = {name: value[i : i + 1] for name, value in grams.items()}
        alone = loss_terms(encoder, x[i : i + 1], one, target[i : i + 1], betas[i])
        torch.testing.assert_close(together.total[i : i + 1], alone.total)
        torch.testing.assert_close(together.style[i : i + 1], alone.style)
    # one style for all
    single = {name: value[:1] for name, value in grams.items()}
    assert total_loss(encoder, x, single, target).shape == (3,)


def test_gradient(encoder: VGGEncoder) -> None:
    x = pictures(2, 16, 16).requires_grad_()
    grams = style_targets(encoder, pictures(2, 16, 16, seed=1))
    target = content_target(encoder, pictures(2, 16, 16, seed=2))
    direction = pictures(2, 16, 16, seed=3) - 0.5
    (slope,) = torch.autograd.grad(total_loss(encoder, x, grams, target).sum(), x)
    with torch.no_grad():
        ahead, back = (total_loss(encoder, x + h * direction, grams, target).sum() for h in (1e-6, -1e-6))
    assert float((slope * direction).sum()) == pytest.approx(float(ahead - back) / 2e-6, rel=1e-4)


def test_pixels_are_clipped_first(encoder: VGGEncoder) -> None:
    x = (4 * pictures(1) - 2).requires_grad_()
    grams, target = style_targets(encoder, pictures(1, seed=1)), content_target(encoder, pictures(1, seed=2))
    loss = total_loss(encoder, x, grams, target)
    torch.testing.assert_close(loss, total_loss(encoder, x.clamp(0, 1), grams, target))
    loss.sum().backward()
    outside = (x < 0) | (x > 1)
    assert x.grad is not None and (x.grad[outside] == 0).all() and (x.grad[~outside] != 0).any()


def test_total_variation_is_a_mean() -> None:
    step = torch.zeros(1, 3, 10, 20)
    step[..., 10:] = 1
    assert float(total_variation(step)) == pytest.approx(1 / 20)
    assert float(total_variation(torch.ones(1, 1, 1, 1))) == 0


def test_a_style_of_nothing_is_finite(encoder: VGGEncoder) -> None:
    x = pictures(1)
    grams = {name: torch.zeros_like(value) for name, value in style_targets(encoder, x).items()}
    assert torch.isfinite(total_loss(encoder, x, grams, content_target(encoder, x))).all()
