"""The optimisation: its change of variables against scipy, its objective and its minimum against formulas."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import torch
from scipy import ndimage
from torch import Tensor

from zoo.loading import load
from zoo.models.vgg import VGGEncoder
from zoo.prox import Degradation, upsample
from zoo.style.loss import content_target, style_targets, total_loss
from zoo.superres.optimise import OUTSIDE, OptimiseStep, _Spectrum, optimise


@pytest.fixture(scope="module")
def encoder() -> VGGEncoder:
    module = load("vgg19_half.tiny_imagenet").requires_grad_(False)
    assert isinstance(module, VGGEncoder)
    return module


def waves(height: int = 30, width: int = 36) -> Tensor:
    y, x = torch.meshgrid(torch.arange(height) / 9, torch.arange(width) / 9, indexing="ij")
    return (0.5 + 0.2 * torch.sin(7 * x + y) + 0.15 * torch.sin(11 * y))[None, None]


def grey(x: Tensor) -> Tensor:
    return x.expand(-1, 3, -1, -1)


@pytest.mark.parametrize("scale", (2, 3, 4))
def test_variables_are_weighted_cosines(scale: int) -> None:
    D = Degradation(scale)
    like = torch.zeros(1, 1, 24, 36, dtype=torch.float64)
    spectrum = _Spectrum(like, D, lam=50.0)
    z = torch.randn(like.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = scipy.fft.idctn((spectrum.weight * z)[0, 0].numpy(), norm="ortho")
    np.testing.assert_allclose(spectrum.pixels(z)[0, 0].numpy(), expected, atol=1e-12)
    # the weights come from what the blur leaves of a cosine; mirrored, the odd kernel keeps its shape
    if scale == 3:
        cosine = scipy.fft.idct(np.eye(36)[5], norm="ortho")
        left = ndimage.correlate1d(cosine, D.kernel.numpy(), mode="reflect") @ cosine
        weight = (1 + 2 * 50 * left**2 / 9 / 0.05) ** -0.5
        assert float(spectrum.weight[0, 5]) == pytest.approx(weight, rel=1e-6)


def test_objective_is_the_formula(encoder: VGGEncoder) -> None:
    D, truth = Degradation(3), waves()
    low = D(truth)
    start = upsample(low, 3).clamp(0, 1)
    grams = style_targets(encoder, grey(truth))
    *_, last = optimise(encoder, start, low, D, grams, [1, 0.5, 1, 1, 0], lam=20.0, iterations=3, tv_weight=0.1)

    def objective(x: Tensor) -> float:
        loss = total_loss(encoder, grey(x), grams, content_target(encoder, grey(start)), [1, 0.5, 1, 1, 0], 0.02, 0.1)
        return float(loss) + 20.0 * float((D(x) - low).square().sum())

    first = next(optimise(encoder, start, low, D, grams, [1, 0.5, 1, 1, 0], lam=20.0, iterations=3, tv_weight=0.1))
    assert first.objective == pytest.approx(objective(start), rel=1e-4) and torch.equal(first.image, start)
    # what is reported of the last counts the pixels outside as well, and these are few
    assert last.objective == pytest.approx(objective(last.image), rel=0.05)
    assert last.objective < 0.6 * first.objective and OUTSIDE > 0


def test_without_reference_it_is_the_minimum_of_a_plain_objective(encoder: VGGEncoder) -> None:
    """Of 0.02 times the content loss and the data term: no small change makes it smaller."""
    D, truth = Degradation(2), waves(32, 32)
    low = D(truth)
    start = upsample(low, 2).clamp(0, 1)
    target = content_target(encoder, grey(start))

    def objective(x: Tensor) -> Tensor:
        content = (content_target(encoder, grey(x)) - target).square().mean()
        return 0.02 * content + 50.0 * (D(x) - low).square().sum()

    steps = list(optimise(encoder, start, low, D, None, [0] * 5, iterations=60, tv_weight=0.0))
    values = [step.objective for step in steps]
    assert values == sorted(values, reverse=True) and [step.iteration for step in steps] == list(range(len(steps)))
    x = steps[-1].image.clone().requires_grad_()
    (slope,) = torch.autograd.grad(objective(x), x)
    (before,) = torch.autograd.grad(objective(y := start.clone().requires_grad_()), y)
    assert float(slope.norm()) < 0.02 * float(before.norm())
    assert float((D(steps[-1].image) - low).abs().max()) < 1 / 255


def test_states_are_those_of_the_best_and_the_last_is_done(encoder: VGGEncoder) -> None:
    D, truth = Degradation(3), waves()
    low = D(truth)
    start = upsample(low, 3).clamp(0, 1)
    made: list[OptimiseStep] = list(optimise(encoder, start, low, D, None, [0] * 5, iterations=4))
    assert [step.done for step in made] == [False] * 4 + [True]
    assert all(step.image.min() >= 0 and step.image.max() <= 1 for step in made)
    (only,) = optimise(encoder, start, low, D, None, [0] * 5, iterations=0)
    assert only.done and torch.equal(only.image, start)
