"""prox_tv2d against scipy, stored prox_tv results, its own certificate computed here, finite differences."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

import cuda_src
from cuda_src.reference import tv2d as reference

MODES = ("anisotropic", "isotropic")
START = torch.zeros(1, dtype=torch.int64)
TIGHT = {"tol": 1e-14, "max_iter": 100_000}
STORED = np.load(Path(__file__).parent / "data" / "prox_tv.npz")


def differences(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Matrices of the differences to the right and down on the flattened image."""
    across = np.kron(np.eye(height), np.diff(np.eye(width), axis=0))
    down = np.kron(np.diff(np.eye(height), axis=0), np.eye(width))
    return across, down


def oracle(x: np.ndarray, wr: np.ndarray, wb: np.ndarray) -> np.ndarray:
    """Anisotropic: the dual as bounded least squares, by scipy's exact active-set method."""
    d = np.concatenate(differences(*x.shape))
    bound = np.maximum(np.concatenate((wr.ravel(), wb.ravel())), 1e-13)
    u = lsq_linear(d.T, x.ravel(), (-bound, bound), method="bvls", tol=1e-15, max_iter=5000).x
    return x - (d.T @ u).reshape(x.shape)


def objective(x: np.ndarray, y: np.ndarray, lam: float, mode: str) -> float:
    across, down = (
        np.pad(d, p) for d, p in ((np.diff(y, axis=1), ((0, 0), (0, 1))), (np.diff(y, axis=0), ((0, 1), (0, 0))))
    )
    tv = np.hypot(across, down).sum() if mode == "isotropic" else np.abs(across).sum() + np.abs(down).sum()
    return 0.5 * ((y - x) ** 2).sum() + lam * tv


@pytest.mark.parametrize("shape", ((1, 1), (1, 6), (5, 1), (4, 5)))
@pytest.mark.parametrize("lam", (0.0, 0.05, 0.4, 1.0))
@pytest.mark.parametrize("flat", (False, True))
def test_anisotropic_equals_bounded_least_squares(shape, lam, flat):
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    if flat:
        x = x.round()  # ties
    height, width = shape
    expected = oracle(x.numpy(), np.full((height, width - 1), lam), np.full((height - 1, width), lam))
    np.testing.assert_allclose(cuda_src.prox_tv2d(x, lam, tol=1e-15, max_iter=3000), expected, rtol=0, atol=1e-6)
    zero = torch.zeros(1, *shape, dtype=torch.float64)
    weights = torch.full((1, 1), lam, dtype=torch.float64)
    plain = reference.prox_tv2d(x[None], weights, weights, *[zero] * 4, START, 0, 500, 1e-15, True)[0][0]
    np.testing.assert_allclose(plain, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", ((1, 6), (5, 1), (4, 5)))
def test_edge_weights_equal_bounded_least_squares(shape):
    g = torch.Generator().manual_seed(6)
    height, width = shape
    x = torch.randn(shape, dtype=torch.float64, generator=g)
    wr = torch.rand(height, width - 1, generator=g).double()
    wb = torch.rand(height - 1, width, generator=g).double()
    wr[wr < 0.2] = 0
    got = cuda_src.prox_tv2d(x, 0.8, edge_weights=(wr, wb), tol=1e-15, max_iter=3000)
    np.testing.assert_allclose(got, oracle(x.numpy(), 0.8 * wr.numpy(), 0.8 * wb.numpy()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ("weak", "middle"))
def test_anisotropic_equals_prox_tv(name):
    x, lam, y = (torch.from_numpy(STORED[f"image_{name}_{part}"]) for part in ("x", "lam", "y"))
    torch.testing.assert_close(cuda_src.prox_tv2d(x, lam, **TIGHT), y, rtol=0, atol=1e-6)
    single = cuda_src.prox_tv2d(x.float(), lam, tol=0.0, max_iter=600)
    torch.testing.assert_close(single.double(), y, rtol=0, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 40)),
    lam=st.sampled_from([0.0, 0.1, 1.0, 1e4]),
    mode=st.sampled_from(MODES),
    seed=st.integers(0, 999),
)
def test_gap_is_a_certificate(shape, lam, mode, seed):
    """The dual that comes back is feasible and proves, computed here with matrices, how far y is from the optimum."""
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    y, gap, (p, q, *_) = cuda_src.prox_tv2d(x, lam, mode=mode, tol=1e-6, return_gap=True, return_dual=True)
    x, y, p, q = (t.numpy() for t in (x, y, p, q))
    if mode == "anisotropic":  # p, q are the images of the duals; these are their running sums
        u, v = -np.cumsum(p, 1), -np.cumsum(q, 0)
        assert np.abs(u[:, -1]).max() < 1e-8 * (1 + lam) and np.abs(v[-1]).max() < 1e-8 * (1 + lam)
        assert max(np.abs(u).max(), np.abs(v).max()) <= lam * (1 + 1e-9) + 1e-12
    else:
        u, v = p, q
        assert np.hypot(u, v).max() <= lam * (1 + 1e-9) + 1e-12
    across, down = differences(*x.shape)
    pushed = across.T @ u[:, :-1].ravel() + down.T @ v[:-1].ravel()
    dual = 0.5 * (x**2).sum() - 0.5 * ((x.ravel() - pushed) ** 2).sum()
    primal = objective(x, y, lam, mode)
    assert primal - dual == pytest.approx(gap.item(), abs=1e-7 * (1 + primal))
    assert gap.item() <= 1e-6 * primal + 1e-7


@pytest.mark.parametrize("mode", MODES)
def test_zero_and_huge_lam(mode):
    x = torch.rand(3, 17, 31, dtype=torch.float64)
    assert torch.equal(cuda_src.prox_tv2d(x, 0.0, mode=mode), x)
    mean = x.mean((1, 2), keepdim=True).expand_as(x)
    for lam in (1e4, 1e20, float("inf")):
        y = cuda_src.prox_tv2d(x, lam, mode=mode, tol=1e-12, max_iter=20_000)
        torch.testing.assert_close(y, mean, rtol=0, atol=1e-5)


def test_isotropic_is_rotation_friendly_and_differs_from_anisotropic():
    x = torch.randn(12, 12, dtype=torch.float64)
    iso = cuda_src.prox_tv2d(x, 0.3, mode="isotropic", **TIGHT)
    turned = cuda_src.prox_tv2d(x.T, 0.3, mode="isotropic", **TIGHT).T
    torch.testing.assert_close(iso, turned, rtol=0, atol=1e-5)
    assert (iso - cuda_src.prox_tv2d(x, 0.3, **TIGHT)).abs().max() > 1e-2


def test_isotropic_of_a_single_row_is_the_1d_prox():
    x = torch.randn(1, 50, dtype=torch.float64)
    y = cuda_src.prox_tv2d(x, 0.5, mode="isotropic", **TIGHT)
    torch.testing.assert_close(y, cuda_src.prox_tv1d(x, 0.5), rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_result_of_an_image_does_not_depend_on_its_batch_mates(mode, dtype):
    x = torch.randn(5, 23, 37, dtype=dtype)
    lam = torch.tensor([0.0, 0.1, 0.5, 3.0, 1e5], dtype=dtype)
    y, gap = cuda_src.prox_tv2d(x, lam, mode=mode, tol=1e-4, return_gap=True)
    for i in range(5):
        alone, gap_alone = cuda_src.prox_tv2d(x[i], lam[i], mode=mode, tol=1e-4, return_gap=True)
        assert torch.equal(alone, y[i]) and torch.equal(gap_alone, gap[i])


@pytest.mark.parametrize("mode", MODES)
def test_number_of_threads_does_not_matter(mode):
    x = torch.rand(150, 203)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(cuda_src.prox_tv2d(x, 0.1, mode=mode, tol=1e-4))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*results)


@pytest.mark.parametrize("mode", MODES)
def test_fixed_iterations_equal_the_reference(mode):
    x = torch.randn(2, 13, 29, dtype=torch.float64)
    state = [torch.randn_like(x) / 10 for _ in range(4)]
    for p, q in (state[:2], state[2:]):  # there are no edges beyond the border
        p[:, :, -1] = 0
        q[:, -1] = 0
    for lam in (torch.tensor([[0.2], [0.9]], dtype=torch.float64), torch.tensor([[0.3]], dtype=torch.float64)):
        arguments = (x, lam, lam, *state, torch.tensor([0, 5]), int(mode == "isotropic"), 7, 0.0, True)
        got, expected = torch.ops.nsz.prox_tv2d(*arguments), reference.prox_tv2d(*arguments)
        for part, (a, b) in enumerate(zip(got, expected, strict=True)):
            if mode == "isotropic" or part != 3:  # Dykstra does not extrapolate p
                torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("lam", (0.01, 0.2, 5.0))
@pytest.mark.parametrize("shape", ((32, 32), (7, 90), (300, 40), (1, 200)))
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_guessing_from_the_last_sweep_changes_nothing(shape, lam, dtype):
    """Each sweep begins where the last one left the steps of its lines: the same lines as from scratch come out."""
    g = torch.Generator().manual_seed(1)
    x = (torch.rand(shape, generator=g).cumsum(1) / 20 + 0.3 * torch.randn(shape, generator=g)).to(dtype)
    q = extrapolated = torch.zeros_like(x)
    t = 1.0
    for _ in range(25):
        p = x - extrapolated - cuda_src.prox_tv1d(x - extrapolated, lam)
        y = cuda_src.prox_tv1d((x - p).mT.contiguous(), lam).mT
        after = 0.5 * (1 + (1 + 4 * t * t) ** 0.5)
        extrapolated = (x - p - y) + (t - 1) / after * (x - p - y - q)
        q, t = x - p - y, after
    got = cuda_src.prox_tv2d(x, lam, tol=0.0, max_iter=25)
    torch.testing.assert_close(got, y, rtol=0, atol=2e-5 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_a_solve_in_pieces_makes_the_same_iterations(mode):
    x = torch.rand(2, 40, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    whole, gap, iterations = cuda_src.prox_tv2d(
        x, 0.2, mode=mode, tol=0.0, max_iter=60, return_gap=True, return_iterations=True
    )
    dual = None
    gaps = []
    for _ in range(6):
        y, part, dual = cuda_src.prox_tv2d(
            x, 0.2, mode=mode, tol=0.0, max_iter=10, init=dual, return_gap=True, return_dual=True
        )
        gaps.append(part)
    # up to rounding: a new start solves its first lines without a guess
    torch.testing.assert_close(y, whole, rtol=0, atol=1e-13)
    torch.testing.assert_close(gaps[-1], gap, rtol=1e-6, atol=1e-12)
    assert iterations.tolist() == [60, 60]


@pytest.mark.parametrize("mode", MODES)
def test_a_solve_in_pieces_stops_where_a_whole_one_does(mode):
    x = torch.rand(40, 50)
    options = {"mode": mode, "tol": 1e-5, "return_iterations": True}
    whole, iterations = cuda_src.prox_tv2d(x, 0.2, **options)
    dual, made = None, 0
    while made < iterations:  # both look at the gap every 10 iterations
        y, dual, piece = cuda_src.prox_tv2d(x, 0.2, max_iter=10, init=dual, return_dual=True, **options)
        made += piece
    assert made == iterations
    torch.testing.assert_close(y, whole, rtol=0, atol=5e-6)


@pytest.mark.parametrize("mode", MODES)
def test_iterations_are_counted_for_each_image(mode):
    x = torch.rand(3, 30, 30, dtype=torch.float64)
    lam = torch.tensor([0.0, 0.01, 0.3])
    iterations = cuda_src.prox_tv2d(x, lam, mode=mode, return_iterations=True)[1]
    assert 0 < iterations[0] <= iterations[1] < iterations[2] < 3000


def test_half_types_and_strides():
    x = torch.rand(2, 3, 20, 22)
    y = cuda_src.prox_tv2d(x, 0.1)
    assert torch.equal(cuda_src.prox_tv2d(x.mT.contiguous().mT, 0.1), y)
    assert torch.equal(cuda_src.prox_tv2d(x.to(memory_format=torch.channels_last), 0.1), y)
    assert torch.equal(cuda_src.prox_tv2d(x, torch.full((3,), 0.1)), y)
    assert cuda_src.prox_tv2d(x.half(), 0.1).dtype == torch.float16
    assert (cuda_src.prox_tv2d(x.bfloat16(), 0.1).float() - y).abs().max() < 0.02


def test_implicit_gradients_equal_finite_differences():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 5, dtype=torch.float64, generator=g, requires_grad=True)
    lam = (torch.rand(2, dtype=torch.float64, generator=g) * 0.8 + 0.05).requires_grad_()
    one = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    wr = torch.rand(2, 4, 4, dtype=torch.float64, generator=g, requires_grad=True)
    wb = torch.rand(1, 3, 5, dtype=torch.float64, generator=g, requires_grad=True)
    exact = {"tol": 1e-15, "max_iter": 1000}
    assert torch.autograd.gradcheck(lambda x, lam: cuda_src.prox_tv2d(x, lam, **exact), (x, lam))
    assert torch.autograd.gradcheck(lambda x, lam: cuda_src.prox_tv2d(x, lam, **exact), (x, one))
    assert torch.autograd.gradcheck(
        lambda x, lam, wr, wb: cuda_src.prox_tv2d(x, lam, edge_weights=(wr, wb), **exact), (x, one, wr, wb)
    )


def test_implicit_gradients_of_the_isotropic_mode_equal_finite_differences():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 5, dtype=torch.float64, generator=g, requires_grad=True)
    lam = torch.tensor([0.2, 0.5], dtype=torch.float64, requires_grad=True)

    def f(x, lam):
        return cuda_src.prox_tv2d(x, lam, mode="isotropic", tol=1e-15, max_iter=20_000)

    assert torch.autograd.gradcheck(f, (x, lam), atol=1e-4, rtol=1e-3)


def test_second_derivatives_of_the_isotropic_mode_are_refused_not_wrong():
    x = torch.rand(5, 5, dtype=torch.float64, requires_grad=True)
    y = cuda_src.prox_tv2d(x, 0.1, mode="isotropic")
    (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="unrolled"):
        first.sum().backward()


def test_unrolled_gradients_equal_finite_differences():
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, 6, dtype=torch.float64, generator=g, requires_grad=True)
    lam = torch.tensor([0.2, 0.5], dtype=torch.float64, requires_grad=True)
    for mode, steps in (("anisotropic", 2), ("isotropic", 6)):
        assert torch.autograd.gradcheck(
            lambda x, lam, mode=mode, steps=steps: cuda_src.prox_tv2d(
                x, lam, mode=mode, grad="unrolled", max_iter=steps
            ),
            (x, lam),
        )


def test_unrolled_and_implicit_agree_once_converged():
    x = torch.rand(16, 18, dtype=torch.float64)
    grads = []
    for options in ({"grad": "unrolled", "max_iter": 150}, TIGHT):
        a, lam = x.clone().requires_grad_(), torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
        y = cuda_src.prox_tv2d(a, lam, **options)
        (y * torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view_as(y)).sum().backward()
        grads.append((y.detach(), lam.grad))
    torch.testing.assert_close(grads[0][0], grads[1][0], rtol=0, atol=1e-6)
    torch.testing.assert_close(grads[0][1], grads[1][1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "word"),
    [
        ((torch.full((3, 3), float("nan")), 1.0), {}, ValueError, "x"),
        ((torch.zeros(3), 1.0), {}, ValueError, "x"),
        ((torch.zeros(0, 3), 1.0), {}, ValueError, "x"),
        ((torch.zeros(3, 3, dtype=torch.int32), 1.0), {}, TypeError, "x"),
        ((torch.zeros(3, 3), -0.1), {}, ValueError, "lam"),
        ((torch.zeros(2, 3, 3), torch.ones(3)), {}, ValueError, "lam"),
        ((torch.zeros(3, 3), 1.0), {"mode": "round"}, ValueError, "mode"),
        ((torch.zeros(3, 3), 1.0), {"grad": "none"}, ValueError, "grad"),
        ((torch.zeros(3, 3), 1.0), {"max_iter": 0}, ValueError, "max_iter"),
        ((torch.zeros(3, 3), 1.0), {"tol": -1.0}, ValueError, "tol"),
        ((torch.zeros(3, 3), 1.0), {"init": (*[torch.zeros(2, 2)] * 4, torch.tensor(0))}, ValueError, "init"),
        ((torch.zeros(3, 3), 1.0), {"init": (torch.zeros(3, 3), torch.zeros(3, 3))}, TypeError, "init"),
        ((torch.zeros(3, 3), 1.0), {"edge_weights": torch.ones(3, 2)}, TypeError, "edge_weights"),
        (
            (torch.zeros(3, 3), 1.0),
            {"edge_weights": (torch.ones(3, 2), torch.ones(2, 3)), "mode": "isotropic"},
            ValueError,
            "edge_weights",
        ),
    ],
)
def test_bad_input_names_the_argument(arguments, options, error, word):
    with pytest.raises(error, match=rf"\b{word}\b"):
        cuda_src.prox_tv2d(*arguments, **options)
