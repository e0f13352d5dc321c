"""Each proximal operator against the minimum of its own objective."""

import numpy as np
import pytest
import torch
from scipy import ndimage

import cuda_src
from zoo.prox import (
    Box,
    Compose,
    DataConsistency,
    Degradation,
    Photorealism,
    TemporalConsistency,
    TotalVariation,
    upsample,
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def slope(prox, regulariser, x: torch.Tensor) -> float:
    """The largest entry of the objective's gradient ½‖y − x‖² + r(y) at y = prox(x)."""
    y = prox(x).detach().requires_grad_()
    (0.5 * (y - x).square().sum() + regulariser(y)).backward()
    assert y.grad is not None
    return y.grad.abs().max().item()


def test_temporal_is_at_its_minimum_and_keeps_what_the_mask_hides():
    x, warped, mask = random(2, 3, 7, 9), random(2, 3, 7, 9, seed=1), random(2, 1, 7, 9, seed=2)
    mask[:, :, :3] = 0
    prox = TemporalConsistency(warped, mask, lam=0.37)
    assert slope(prox, lambda y: 0.37 * (mask * (y - warped)).square().sum(), x) < 1e-12
    assert torch.equal(prox(x)[:, :, :3], x[:, :, :3])
    assert torch.allclose(TemporalConsistency(warped, torch.ones_like(mask), 1e9)(x), warped, atol=1e-6)
    assert torch.equal(TemporalConsistency(warped, mask, 0)(x), x)


@pytest.mark.parametrize("solver", ("chebyshev", "cg"))
def test_photorealism_is_at_its_minimum(solver):
    guide, x = random(2, 3, 9, 11), random(2, 3, 9, 11, seed=1)
    bands = cuda_src.matting_laplacian(guide)
    prox = Photorealism(guide, 5.0, solver, tol=1e-9)
    assert slope(prox, lambda y: 5.0 * (y * cuda_src.matting_apply(bands, y)).sum(), x) < 1e-5
    # one guide serves a batch, and a batch of guides its own pictures
    shared = Photorealism(guide[:1], 5.0, solver, tol=1e-9)(x)
    assert torch.equal(shared[0], prox(x)[0]) and not torch.allclose(shared[1], prox(x)[1])


def test_photorealism_moves_edges_back_to_where_the_content_has_them():
    guide = torch.zeros(1, 3, 24, 24)
    guide[..., 12:] = 1
    stylised = 0.2 + 0.5 * guide + 0.3 * (torch.arange(24) % 4 < 2)[:, None]  # stripes that the content does not have
    result = Photorealism(guide, 1000.0, "cg")(stylised)
    left, right = result[0, 0, :, :12], result[0, 0, :, 12:]
    assert left.std() < 0.01 and right.std() < 0.01
    assert torch.allclose(right.mean() - left.mean(), torch.tensor(0.5), atol=0.01)


def test_total_variation_and_box():
    x = random(2, 3, 8, 9) * 3 - 1
    assert torch.equal(TotalVariation(0.1, "isotropic")(x), cuda_src.prox_tv2d(x, 0.1, mode="isotropic", tol=1e-4))
    assert torch.equal(Box(0, 1)(x), x.clamp(0, 1))
    # prox of a box and of a quadratic, in this order
    quadratic = TemporalConsistency(random(2, 3, 8, 9), torch.ones(2, 1, 8, 9, dtype=x.dtype))
    chain = Compose([quadratic, Box(0.2, 0.6), lambda y: 2 * y])
    assert torch.equal(chain(x), 2 * quadratic(x).clamp(0.2, 0.6))
    assert Compose([])(x) is x


@pytest.mark.parametrize("scale", (2, 3, 4))
@pytest.mark.parametrize("cells", [(1, 1), (2, 7), (9, 5)])
def test_adjoint_of_the_degradation(scale, cells):
    d = Degradation(scale)
    x, z = random(2, 3, cells[0] * scale, cells[1] * scale), random(2, 3, *cells, seed=1)
    assert torch.allclose((d(x) * z).sum(), (x * d.adjoint(z)).sum(), rtol=1e-12)
    assert torch.allclose(d(torch.ones_like(x)), torch.ones_like(z))


def test_degradation_is_scipys_gaussian_at_every_third_pixel():
    x = random(1, 1, 27, 36)
    blurred = ndimage.gaussian_filter(x[0, 0].numpy(), 3, radius=8, mode="reflect")  # 17 x 17
    np.testing.assert_allclose(Degradation(3)(x)[0, 0], blurred[1::3, 1::3], atol=1e-12)


@pytest.mark.parametrize("scale", (2, 3, 4))
def test_norm_bound_of_the_degradation(scale):
    d, height, width = Degradation(scale), 6 * scale, 5 * scale
    unit = torch.eye(height * width, dtype=torch.float64).view(-1, 1, height, width)
    norm = np.linalg.norm(d(unit).flatten(1).numpy(), 2) ** 2
    assert norm * (1 - 1e-9) <= d.norm_squared(height, width) <= 1.2 * norm


def test_no_scale_shifts_the_picture():
    for scale in (2, 3, 4):
        at = torch.arange(24 * scale, dtype=torch.float64)
        ramp = (at[:, None] + 2 * at).expand(1, 1, -1, -1)
        again = upsample(Degradation(scale)(ramp), scale)
        inner = (..., slice(6 * scale, -6 * scale), slice(6 * scale, -6 * scale))
        # bicubic interpolation ripples on a ramp; a pixel's shift would be 3
        assert (again - ramp)[inner].mean().abs() < 0.01 and (again - ramp)[inner].abs().max() < 0.2 * scale


@pytest.mark.parametrize("scale", (2, 3, 4))
def test_data_consistency_is_at_its_minimum(scale):
    d = Degradation(scale)
    x = random(2, 3, 5 * scale, 6 * scale, seed=1)
    low = torch.linspace(0, 1, 30, dtype=x.dtype).view(5, 6) + random(2, 3, 1, 1)
    exact = DataConsistency(low, d, 50.0, steps=200, method="cg")
    assert slope(exact, lambda y: 50.0 * (low - d(y)).square().sum(), x) < 1e-4
    few = DataConsistency(low, d, 50.0)(x)
    assert (few - exact(x)).norm() < 0.01 * (exact(x) - x).norm()
    assert torch.allclose(DataConsistency(low, d, 50.0, steps=400)(x), exact(x), atol=1e-4)
    assert (d(exact(x)) - low).norm() < 0.25 * (d(x) - low).norm()
    assert torch.equal(exact(x)[:1], DataConsistency(low[:1], d, 50.0, steps=200, method="cg")(x[:1]))


def test_gradients_flow_through_a_chain():
    guide, low = random(1, 3, 6, 6), random(1, 3, 2, 2, seed=1)
    chain = Compose(
        [
            DataConsistency(low, Degradation(3), 2.0, steps=3),
            TemporalConsistency(guide, torch.full((1, 1, 6, 6), 0.5, dtype=guide.dtype)),
            Photorealism(guide, 3.0, tol=1e-3),
        ]
    )
    assert torch.autograd.gradcheck(chain, random(1, 3, 6, 6, seed=2).requires_grad_(), fast_mode=True)


def test_types_are_kept():
    guide = random(1, 3, 6, 6).float()
    low = random(1, 3, 2, 2).float()
    x = random(1, 3, 6, 6, seed=1)
    proxes = [
        Photorealism(guide),
        TemporalConsistency(guide, guide[:, :1]),
        DataConsistency(low, Degradation(3)),
        Box(),
    ]
    for dtype in (torch.float32, torch.float64):
        for prox in [*proxes, TotalVariation(0.1)]:
            assert prox(x.to(dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g: Photorealism(g[0]), "guide"),
        (lambda g: Photorealism(g, -1), "lam"),
        (lambda g: Photorealism(g, solver="lu"), "solver"),
        (lambda g: Photorealism(g)(g[..., :-1]), "x"),
        (lambda g: Photorealism(torch.cat((g, g)))(torch.cat((g, g, g))), "x"),
        (lambda g: TemporalConsistency(g, g), "mask"),
        (lambda g: TemporalConsistency(g, g[:, :1, :3]), "mask"),
        (lambda g: TemporalConsistency(g, g[:, :1] + 1), "mask"),
        (lambda g: Degradation(5), "scale"),
        (lambda g: Degradation(3)(g[..., :-1]), "multiples of 3"),
        (lambda g: DataConsistency(g, Degradation(3))(g), "x"),
        (lambda g: DataConsistency(g, Degradation(3), steps=0), "steps"),
        (lambda g: Box(1, 0), "low"),
        (lambda g: TotalVariation(0.1, "diagonal"), "mode"),
    ],
)
def test_errors_name_the_argument(call, words):
    with pytest.raises(ValueError, match=words):
        call(random(1, 3, 6, 6))
    with pytest.raises(TypeError, match="floating-point"):
        Photorealism(torch.zeros(1, 3, 6, 6, dtype=torch.uint8))
    with pytest.raises(TypeError, match="proxes"):
        Compose([3])


def test_penalties_are_the_regularisers_as_means():
    guide, x, warped = random(1, 3, 7, 9), random(1, 3, 7, 9, seed=1).requires_grad_(), random(1, 3, 7, 9, seed=2)
    mask = random(1, 1, 7, 9, seed=3)
    bands = cuda_src.matting_laplacian(guide)
    for term, expected in (
        (Photorealism(guide, 5.0).penalty, lambda y: 5.0 * (y * cuda_src.matting_apply(bands, y)).sum() / y.numel()),
        (TemporalConsistency(warped, mask, 0.4).penalty, lambda y: 0.4 * (mask * (y - warped)).square().mean()),
    ):
        found, wanted = term(x), expected(x)
        torch.testing.assert_close(found, wanted)
        ours, theirs = (torch.autograd.grad(value, x)[0] for value in (found, wanted))
        torch.testing.assert_close(ours, theirs)
