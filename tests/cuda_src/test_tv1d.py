"""prox_tv1d against closed forms, scipy's bounded least squares, stored prox_tv results, finite differences."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

import cuda_src
from cuda_src.reference import tv1d as reference

METHODS = ("direct", "newton", "reference")
STORED = np.load(Path(__file__).parent / "data" / "prox_tv.npz")


def prox(x, lam, method, edge_weights=None):
    if method != "reference":
        return cuda_src.prox_tv1d(x, lam, method=method, edge_weights=edge_weights)
    weights = torch.as_tensor(lam, dtype=x.dtype).reshape(-1, 1)
    if edge_weights is not None and x.shape[-1] > 1:
        weights = weights * edge_weights
    return reference.prox_tv1d(x, weights)


def oracle(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The dual as bounded least squares, min ||D^T u - x|| with |u| <= w, by scipy's exact active-set method."""
    n = len(x)
    if n == 1:
        return x
    d = np.diff(np.eye(n), axis=0)
    bound = np.maximum(w, 1e-13)  # lsq_linear wants lower < upper
    u = lsq_linear(d.T, x, (-bound, bound), method="bvls", tol=1e-15).x
    return x - d.T @ u


@pytest.mark.parametrize("method", METHODS)
def test_two_samples_move_towards_each_other_by_lam(method):
    x = torch.tensor([[0.0, 1.0], [3.0, 0.0]], dtype=torch.float64)
    y = prox(x, 0.3, method)
    torch.testing.assert_close(y, torch.tensor([[0.3, 0.7], [2.7, 0.3]], dtype=torch.float64), rtol=0, atol=1e-15)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ("short", "long", "strong"))
def test_equals_prox_tv(method, name):
    x, lam, y = (torch.from_numpy(STORED[f"rows_{name}_{part}"]) for part in ("x", "lam", "y"))
    torch.testing.assert_close(prox(x, lam.item(), method), y, rtol=0, atol=1e-9)
    torch.testing.assert_close(prox(x.float(), lam.item(), method).double(), y, rtol=0, atol=1e-5)


rows = st.integers(1, 24).flatmap(
    lambda n: st.lists(st.lists(st.integers(-8, 8), min_size=n, max_size=n), min_size=1, max_size=5)
)


def certify(x: np.ndarray, y: np.ndarray, w: np.ndarray, atol: float) -> None:
    """Optimality of each row: the dual, fixed by y, keeps to its bounds and lies on them wherever y steps."""
    u = np.cumsum(y - x, axis=1)
    step = np.diff(y, axis=1)
    scale = atol * x.shape[1]
    assert np.abs(u[:, -1]).max() <= scale
    assert (np.abs(u[:, :-1]) <= w + scale).all()
    stepped = np.abs(step) > scale
    np.testing.assert_allclose(u[:, :-1][stepped], (w * np.sign(step))[stepped], rtol=0, atol=scale)


@settings(max_examples=60, deadline=None)
@given(rows=rows, lam=st.sampled_from([0.0, 1e-8, 0.25, 1.0, 2.5, 7.0, 1e4, 1e12]), noise=st.booleans())
@example(rows=[[0, 0, 1, -3, 2]], lam=0.25, noise=False)  # the dual of a step is its bound but for the last digit
@example(rows=[[0, 8, 0, 0, 2]], lam=1e-8, noise=False)  # steps that the squared norm of y has no digits for
@example(rows=[[6, 0, 4, -8, 8, 8, 8, 0, 1]], lam=0.25, noise=False)  # a dual on its bound but for the last digit
def test_every_method_meets_the_optimality_conditions(rows, lam, noise):
    x = torch.tensor(rows, dtype=torch.float64) / 4  # integers: ties and flat runs
    if noise:
        x = x + torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) / 3
    w = np.full((x.shape[0], x.shape[1] - 1), lam)
    for method in METHODS:
        certify(x.numpy(), prox(x, lam, method).numpy(), w, 1e-11)
    certify(x.numpy(), cuda_src.prox_tv1d(x.float(), lam).double().numpy(), w, 2e-6)


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
@pytest.mark.parametrize("largest, lam, size", [(1, 0.25, 5), (4, 0.5, 6), (8, 1.5, 8), (16, 1 / 3, 60)])
def test_newton_equals_direct_where_duals_lie_on_their_bounds(dtype, largest, lam, size):
    x = torch.randint(-largest, largest + 1, (2000, size), generator=torch.Generator().manual_seed(size)).to(dtype) / 4
    w = torch.randint(0, 5, (2000, size - 1), generator=torch.Generator().manual_seed(3)).to(dtype) / 4
    exact = 16 * torch.finfo(dtype).eps * largest
    for weights in (None, w):
        direct = prox(x, lam, "direct", edge_weights=weights)
        torch.testing.assert_close(prox(x, lam, "newton", edge_weights=weights), direct, rtol=0, atol=exact)


@settings(max_examples=60, deadline=None)
@given(rows=rows, seed=st.integers(0, 1000))
def test_every_method_meets_the_optimality_conditions_with_edge_weights(rows, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.tensor(rows, dtype=torch.float64) / 4 + torch.randn(len(rows), len(rows[0]), generator=g).double() / 4
    w = torch.rand(x.shape[0], x.shape[1] - 1, generator=g).double() * 2
    w[w < 0.3] = 0  # cut edges
    w[w > 1.8] = 1e6  # and unbreakable ones
    for method in METHODS:
        certify(x.numpy(), prox(x, 1.0, method, edge_weights=w).numpy(), w.numpy(), 1e-11)


@pytest.mark.parametrize("lam", (0.0, 0.1, 0.6, 2.0))
def test_equals_bounded_least_squares(lam):
    x = torch.randn(4, 15, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    expected = np.stack([oracle(row, np.full(14, lam)) for row in x.numpy()])
    for method in METHODS:
        np.testing.assert_allclose(prox(x, lam, method), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_zero_and_infinite_lam(method):
    x = torch.randn(5, 40, dtype=torch.float64)
    assert torch.equal(prox(x, 0.0, method), x)
    mean = x.mean(1, keepdim=True).expand_as(x)
    torch.testing.assert_close(prox(x, float("inf"), method), mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(prox(x.float(), 1e30, method), mean.float(), rtol=0, atol=2e-6)


def test_a_signal_that_makes_the_direct_method_rescan_falls_to_the_taut_string():
    # every sample of a convex ramp moves the lower level, and the row has to be scanned again from nearly everywhere
    n = 4000
    x = torch.linspace(0, 1, n, dtype=torch.float64).square().repeat(3, 1)
    for lam in (0.1, 10.0, 100.0):
        torch.testing.assert_close(cuda_src.prox_tv1d(x, lam), prox(x, lam, "reference"), rtol=0, atol=1e-10)
    saw = (torch.arange(n) % 2).double() * 1e-3 + x[0]
    for lam in (1e-4, 0.3, 20.0):
        torch.testing.assert_close(
            cuda_src.prox_tv1d(saw[None], lam), prox(saw[None], lam, "reference"), rtol=0, atol=1e-10
        )


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_result_of_a_row_does_not_depend_on_the_others(dtype):
    x = torch.randn(37, 53, dtype=dtype)
    lam = torch.rand(37, dtype=dtype)
    together = cuda_src.prox_tv1d(x, lam)
    assert all(torch.equal(together[i], cuda_src.prox_tv1d(x[i], lam[i])) for i in range(37))


def test_shapes_strides_and_half_types():
    x = torch.randn(6, 5, 4, 7)
    y = cuda_src.prox_tv1d(x, 0.3)
    moved = x.permute(2, 3, 0, 1).contiguous().permute(2, 3, 0, 1)
    assert not moved.is_contiguous()
    assert torch.equal(cuda_src.prox_tv1d(moved, 0.3), y)
    assert torch.equal(cuda_src.prox_tv1d(x[::2, :, 1:3], 0.3), y[::2, :, 1:3])
    assert torch.equal(cuda_src.prox_tv1d(x, torch.full((4,), 0.3)), y)
    for half in (torch.float16, torch.bfloat16):
        z = cuda_src.prox_tv1d(x.to(half), 0.3)
        assert z.dtype == half
        assert torch.equal(z, cuda_src.prox_tv1d(x.to(half).float(), 0.3).to(half))


@pytest.mark.parametrize("method", ("direct", "newton"))
def test_gradients_equal_finite_differences(method):
    g = torch.Generator().manual_seed(3)
    x = torch.randn(3, 9, dtype=torch.float64, generator=g, requires_grad=True)
    lam = torch.rand(3, dtype=torch.float64, generator=g, requires_grad=True)
    one = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    w = torch.rand(3, 8, dtype=torch.float64, generator=g, requires_grad=True)
    shared = torch.rand(8, dtype=torch.float64, generator=g, requires_grad=True)

    def f(x, lam, edges=None):
        return cuda_src.prox_tv1d(x, lam, method=method, edge_weights=edges)

    for inputs in ((x, lam), (x, one), (x, lam, w), (x, one, shared)):
        assert torch.autograd.gradcheck(f, inputs)
        assert torch.autograd.gradgradcheck(f, inputs)


def test_backward_equals_the_paper_s_dense_jacobian():
    """Yeh et al. 2022, eq. 8 and 9: dy/dx = M L^T, M = L (L^T L)^-1 with L the columns where y jumps, and the first."""
    x = torch.randn(40, dtype=torch.float64, generator=torch.Generator().manual_seed(5), requires_grad=True)
    y = cuda_src.prox_tv1d(x, 0.7)
    jacobian = torch.stack([torch.autograd.grad(y[i], x, retain_graph=True)[0] for i in range(40)])
    lower = torch.tril(torch.ones(40, 40, dtype=torch.float64))
    jumps = torch.cat((torch.ones(1, dtype=torch.bool), y.detach().diff() != 0))
    columns = lower[:, jumps]
    assert 2 < columns.shape[1] < 40
    expected = columns @ torch.linalg.inv(columns.T @ columns) @ columns.T
    torch.testing.assert_close(jacobian, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "error", "word"),
    [
        ((torch.tensor([1.0, float("nan")]), 1.0), ValueError, "x"),
        ((torch.tensor([1.0, float("inf")]), 1.0), ValueError, "x"),
        ((torch.zeros(3), -1.0), ValueError, "lam"),
        ((torch.zeros(3), float("nan")), ValueError, "lam"),
        ((torch.zeros(2, 3), torch.tensor([1.0, -1.0])), ValueError, "lam"),
        ((torch.zeros(2, 3), torch.ones(3)), ValueError, "lam"),
        ((torch.zeros(3), "much"), TypeError, "lam"),
        ((torch.zeros(3, 0), 1.0), ValueError, "x"),
        ((torch.tensor(1.0), 1.0), ValueError, "x"),
        ((torch.arange(4), 1.0), TypeError, "x"),
        (([1.0, 2.0], 1.0), TypeError, "x"),
    ],
)
def test_bad_input_names_the_argument(arguments, error, word):
    with pytest.raises(error, match=rf"\b{word}\b"):
        cuda_src.prox_tv1d(*arguments)


def test_bad_options_name_the_argument():
    with pytest.raises(ValueError, match="method"):
        cuda_src.prox_tv1d(torch.zeros(3), 1.0, method="magic")
    with pytest.raises(ValueError, match="edge_weights"):
        cuda_src.prox_tv1d(torch.zeros(3), 1.0, edge_weights=torch.ones(3))
    with pytest.raises(ValueError, match="edge_weights"):
        cuda_src.prox_tv1d(torch.zeros(3), 1.0, edge_weights=-torch.ones(2))


def test_large_finite_values_are_accepted():
    x = torch.tensor([3e38, 3e38, -1e38])
    assert torch.equal(cuda_src.prox_tv1d(x, 0.0), x)
