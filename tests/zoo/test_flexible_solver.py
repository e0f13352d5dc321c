"""The flexible solver against the equations of its paper."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from torch import Tensor
from torch.nn import functional as F

from zoo.models.flexible_solver import (
    LEVELS,
    MATRICES,
    NORMS,
    RIDGE,
    FlexibleSolver,
    LearnedGradient,
    Style,
    even,
    mix,
    normalised,
    pad,
    root,
)

CHANNELS = [2, 4, 8, 16, 16]


def solver(iterations: int = 2, seed: int = 0, **options) -> FlexibleSolver:
    torch.manual_seed(seed)
    made = FlexibleSolver(iterations, 3, encoder_width=2, **options).eval()
    for parameter in made.parameters():  # far from the cautious start, so that every part shows
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return made


def grams(seed: int, count: int = 1) -> tuple[Tensor, ...]:
    g = torch.Generator().manual_seed(seed)
    rows = [torch.rand(count, c, 40, generator=g) for c in CHANNELS]
    return tuple(r @ r.mT / 40 for r in rows)


def picture(h: int = 40, w: int = 33, count: int = 1, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, h, w, generator=torch.Generator().manual_seed(seed))


def sum_of_backward_maps(step: LearnedGradient, x: Tensor, style: Style, betas: list[float]) -> Tensor:
    """Equation 10 literally: each level's own forward map, style filter and backward map, then the weighted sum."""
    maps, f = [], x
    for level, conv in enumerate(step.forwards):
        A = conv(pad(F.avg_pool2d(f, 2, ceil_mode=True, count_include_pad=False) if level else f))
        if step.norm == "instance":
            A = F.instance_norm(A) * step.gains[level] + step.shifts[level]
        elif step.norm == "pixel":
            A = A / (A.square().mean(1, keepdim=True) + 1e-4).sqrt() * step.gains[level] + step.shifts[level]
        maps.append(A)
        f = A.clamp(min=0)
    total = torch.zeros_like(x)
    for level in range(LEVELS):
        filters = step.G[level].T @ style.grams[level][0] @ step.H[level]
        b = torch.einsum("bchw,cd->bdhw", maps[level].clamp(min=0), filters)
        for below in range(level, -1, -1):
            b = step.backwards[below](pad(b * (maps[below] > 0)))
            if below:
                b = F.interpolate(b, size=maps[below - 1].shape[2:])
        total = total + betas[level] * b
    return total


@pytest.mark.parametrize("norm", NORMS)
def test_one_cascade_equals_the_sum_over_levels(norm):
    net, x = solver(norm=norm), picture()
    style = net.conditioned(Style(grams(1)))
    betas = [1.0, 0.0, 0.5, 2.0, 0.7]
    with torch.no_grad():
        got = net.steps[0](x, [style], torch.tensor([betas]))
        torch.testing.assert_close(got, sum_of_backward_maps(net.steps[0], x, style, betas), rtol=1e-4, atol=1e-5)


def test_the_update_is_linear_in_betas():
    net, x, style = solver(), picture(), Style(grams(1))
    with torch.no_grad():
        assert torch.equal(net(x, [style], torch.zeros(LEVELS)), x)
        style = net.conditioned(style)
        each = [net.steps[0](x, [style], torch.eye(LEVELS)[i : i + 1]) for i in range(LEVELS)]
        assert all(part.abs().max() > 1e-6 for part in each)
        torch.testing.assert_close(net.steps[0](x, [style], torch.ones(1, LEVELS)), sum(each), rtol=1e-4, atol=1e-5)


def test_mixing():
    a, b = grams(1), grams(2)
    for one, other in zip(mix([a, b], [2.0, 0.0]), a, strict=True):
        torch.testing.assert_close(one, normalised(other))
    swapped = zip(mix([a, b], [1, 3]), mix([b, a], [3, 1]), strict=True)
    assert all(torch.allclose(one, other) for one, other in swapped)
    for weights in ([1.0], [-1.0, 2.0], [0.0, 0.0]):
        with pytest.raises(ValueError, match="weights"):
            mix([a, b], weights)


def test_masks_assign_styles_to_regions():
    net, x, a, b = solver(1), picture(64, 64), grams(1), grams(2)
    left = torch.zeros(1, 1, 64, 64)
    left[..., :32] = 1
    with torch.no_grad():
        everywhere = net(x, [Style(a, torch.ones_like(left))])
        torch.testing.assert_close(everywhere, net(x, [Style(a)]))
        here, there = net.conditioned(Style(a, left)), net.conditioned(Style(b, 1 - left))
        halves = net.steps[0](x, [here, there], torch.ones(1, LEVELS))
        only = net.steps[0](x, [here], torch.ones(1, LEVELS))
        other = net.steps[0](x, [there], torch.ones(1, LEVELS))
    # the cascade is linear in what enters it, so regions add up
    torch.testing.assert_close(halves, only + other, rtol=1e-4, atol=1e-5)


def test_prox_comes_after_each_update():
    net, x, style = solver(3), picture(), Style(grams(1))
    seen = []

    def box(y: Tensor) -> Tensor:
        seen.append(y)
        return y.clamp(0.2, 0.8)

    with torch.no_grad():
        iterates = net(x, [style], prox=box, iterates=True)
    assert len(seen) == len(iterates) == 3
    assert all(y.min() >= 0.2 and y.max() <= 0.8 for y in iterates)
    with torch.no_grad():
        several = net(x, [style], prox=[box, lambda y: 2 * y], iterates=True)
        none = net(x, [style], prox=[])
    assert torch.equal(several[0], 2 * iterates[0]), "the first of the list first"
    assert torch.equal(none, net(x, [style]))


@settings(max_examples=15, deadline=None)
@given(h=st.integers(1, 50), w=st.integers(1, 50), norm=st.sampled_from(NORMS))
def test_any_size(h, w, norm):
    with torch.no_grad():
        made = solver(norm=norm)(picture(h, w), [Style(grams(1))])
    assert made.shape == (1, 3, h, w) and made.isfinite().all() and made.min() >= 0 and made.max() <= 1


def test_pictures_of_a_batch_do_not_meet():
    net, x, styles = solver(), picture(24, 24, 3), grams(1, 3)
    with torch.no_grad():
        together = net(x, [Style(styles)], torch.rand(3, LEVELS, generator=torch.Generator().manual_seed(3)))
        betas = torch.rand(3, LEVELS, generator=torch.Generator().manual_seed(3))
        for i in range(3):
            alone = net(x[i : i + 1], [Style(tuple(s[i : i + 1] for s in styles))], betas[i])
            torch.testing.assert_close(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)


def test_roots_of_gram_matrices():
    for gram in grams(1, 3):
        R = root(gram)
        torch.testing.assert_close(R, R.mT)
        torch.testing.assert_close(R @ R, gram, rtol=1e-3, atol=1e-4)
        eigenvalues = torch.linalg.eigvalsh(even(R))
        assert eigenvalues.min() > -1e-4
        torch.testing.assert_close(eigenvalues.square().mean(-1), torch.ones(3))
    assert root(torch.zeros(1, 4, 4)).isfinite().all()


@pytest.mark.parametrize("matrices", ["relative", "whitened"])
def test_matrices_relative_to_the_average_style(matrices):
    net = solver(matrices=matrices)
    assert not net.calibrated and solver().calibrated
    average = [gram[0] for gram in grams(5)]
    net.calibrate(average)
    assert net.calibrated
    # the average itself is the identity, up to what the ridge takes from weak directions
    for matrix, c in zip(net.conditioned(Style(tuple(gram[None] for gram in average))).grams, CHANNELS, strict=True):
        values = torch.linalg.eigvalsh(average[CHANNELS.index(c)])
        strong = values / values.mean() > 20 * RIDGE
        assert strong.any()
        torch.testing.assert_close(matrix[0].diagonal().mean(), torch.tensor(1.0), rtol=0.1, atol=0)
    again = FlexibleSolver(2, 3, encoder_width=2, matrices=matrices)
    again.load_state_dict(net.state_dict())
    assert again.calibrated, "the average style is part of the weights"


def test_differences_of_style_and_content():
    net, x, style, content = solver(matrices="relative", filters="difference"), picture(), grams(1), grams(2)
    net.calibrate([gram[0] for gram in grams(5)])
    with pytest.raises(ValueError, match="content"):
        net(x, [Style(style)])
    with pytest.raises(ValueError, match="styles"):
        net(x, [Style(style, own=content[:4])])
    with torch.no_grad():
        for step in net.steps:
            step.reset()
        plain = solver(matrices="relative")
        plain.load_state_dict({key: value for key, value in net.state_dict().items() if ".K." not in key})
        begin = net(x, [Style(style, own=content)])
        torch.testing.assert_close(begin, plain(x, [Style(style)]), msg="K begins at 0")
        for step in net.steps:
            for K in step.K:
                torch.nn.init.normal_(K, std=0.3, generator=torch.Generator().manual_seed(1))
        assert not torch.allclose(net(x, [Style(style, own=content)]), begin)
        torch.testing.assert_close(net(x, [Style(style, own=style)]), begin, msg="no difference, no push")
        known = net.conditioned(Style(style, own=content))
        assert known.difference is not None
        for got, W, S, C in zip(known.difference, net.whitening, style, content, strict=True):
            expected = np.real(sqrtm((W @ S[0] @ W).double().numpy()) - sqrtm((W @ C[0] @ W).double().numpy()))
            np.testing.assert_allclose(got[0], expected, atol=2e-3)


@pytest.mark.parametrize("matrices", MATRICES)
def test_contrast_of_the_style(matrices):
    """It does not matter, or a style of 7 times the contrast pushes 7 times as hard."""
    net, x, style = solver(1, matrices=matrices), picture(), grams(1)
    factor = 7 if matrices == "whitened" else 1
    with torch.no_grad():
        plain, more = (next(net.iterate(x, [Style(tuple(k * s for s in style))])) - x for k in (1, 49))
    torch.testing.assert_close(more, factor * plain, rtol=1e-3, atol=1e-3 * float(plain.abs().max()))


def test_gradient_flows_through_what_is_pushed_and_not_through_the_step_function():
    """h(A) of equation 9 has derivative 0: the gradient with respect to betas alone is exact."""
    net, x, style = solver(1).double(), picture(12, 12).double(), Style(tuple(s.double() for s in grams(1)))
    betas = torch.ones(LEVELS, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda b: next(net.iterate(x, [style], b)), (betas,))


@pytest.mark.parametrize(
    ("arguments", "word"),
    (
        ((torch.rand(3, 8, 8), [Style(grams(1))]), "content"),
        ((torch.rand(1, 3, 8, 8), []), "styles"),
        ((torch.rand(1, 3, 8, 8), [Style(grams(1)[:4])]), "styles"),
        ((torch.rand(1, 3, 8, 8), [Style(grams(1), torch.ones(1, 1, 4, 4))]), "mask"),
        ((torch.rand(2, 3, 8, 8), [Style(grams(1))], torch.ones(3, LEVELS)), "betas"),
    ),
)
def test_bad_input_names_the_argument(arguments, word):
    with pytest.raises(ValueError, match=word):
        solver()(*arguments)


def test_bad_configuration():
    with pytest.raises(ValueError, match="decoder"):
        FlexibleSolver(decoder="tanh")
    with pytest.raises(ValueError, match="norm"):
        FlexibleSolver(norm="batch")
    with pytest.raises(ValueError, match="matrices"):
        FlexibleSolver(matrices="cube")
    with pytest.raises(ValueError, match="filters"):
        FlexibleSolver(filters="own")
    with pytest.raises(ValueError, match="filters"):
        FlexibleSolver(matrices="root", filters="difference")
    with pytest.raises(ValueError, match="iterations"):
        FlexibleSolver(iterations=0)
    for wrong in ((1.0,) * 4, (1.0, 1.0, 1.0, 1.0, -0.5)):
        with pytest.raises(ValueError, match="usual_betas"):
            FlexibleSolver(usual_betas=wrong)
