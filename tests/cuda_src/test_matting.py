"""The matting Laplacian against Levin's formula written out, and the solvers against a sparse direct one."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import spsolve

import cuda_src
from cuda_src.matting import EPS, SPECTRUM
from cuda_src.reference.matting import OFFSETS

sizes = st.tuples(st.integers(1, 9), st.integers(1, 21))


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def levin(image: np.ndarray, eps: float) -> np.ndarray:
    """Levin et al. 2008, equation 12, entry by entry: image (3, H, W) -> (H W, H W)."""
    _, height, width = image.shape
    total = np.zeros((height * width, height * width))
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            pixels = [(row + a, column + b) for a in (-1, 0, 1) for b in (-1, 0, 1)]
            colours = np.array([image[:, i, j] for i, j in pixels])
            mean = colours.mean(0)
            inverse = np.linalg.inv(np.cov(colours.T, bias=True) + eps / 9 * np.eye(3))
            for p, (i, j) in enumerate(pixels):
                for q, (k, m) in enumerate(pixels):
                    weight = (1 + (colours[p] - mean) @ inverse @ (colours[q] - mean)) / 9
                    total[i * width + j, k * width + m] += (p == q) - weight
    return total


def matrix(bands: torch.Tensor) -> sparse.csr_matrix:
    """The bands of one image (13, H, W) as a sparse matrix."""
    _, height, width = bands.shape
    at = np.arange(height * width).reshape(height, width)
    half = sparse.csr_matrix((height * width, height * width))
    for k, (down, right) in enumerate(OFFSETS):
        rows, columns = np.nonzero(np.ones((height, width)))
        inside = (rows + down < height) & (columns + right >= 0) & (columns + right < width)
        first = at[rows[inside], columns[inside]]
        values = bands[k].double().numpy().ravel()
        assert not values[np.setdiff1d(at, first)].any()  # what leads outside is 0
        half = half + sparse.csr_matrix((values[first], (first, first + down * width + right)), half.shape)
    return half + sparse.triu(half, 1).T


def exact(bands: torch.Tensor, y: torch.Tensor, lam: float) -> np.ndarray:
    """(C, H W): scipy's direct solution for one image."""
    system = (sparse.eye(y[0].numel()) + 2 * lam * matrix(bands)).tocsc()
    return np.stack([spsolve(system, channel.double().numpy().ravel()) for channel in y])


@given(size=sizes, seed=st.integers(0, 99), eps=st.sampled_from([EPS, 1e-3, 1.0]), levels=st.sampled_from([0, 1, 7]))
def test_bands_are_levins_matrix(size, seed, eps, levels):
    guide = random(1, 3, *size, seed=seed)
    guide = (guide * levels).round() / max(levels, 1) if levels != 7 else guide  # flat, black and white, or noise
    bands = cuda_src.matting_laplacian(guide, eps)
    np.testing.assert_allclose(matrix(bands[0]).toarray(), levin(guide[0].numpy(), eps), atol=1e-6, rtol=0)


@given(size=sizes, batch=st.integers(1, 3), channels=st.integers(1, 5), seed=st.integers(0, 99))
def test_apply_is_the_product(size, batch, channels, seed):
    bands = cuda_src.matting_laplacian(random(batch, 3, *size, seed=seed))
    y = random(batch, channels, *size, seed=seed + 1)
    got = cuda_src.matting_apply(bands, y)
    for one, band, value in zip(got, bands, y, strict=True):
        product = matrix(band) @ value.reshape(channels, -1).numpy().T
        np.testing.assert_allclose(one.reshape(channels, -1).numpy().T, product, atol=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (2, 9), (9, 2)])
def test_without_room_for_a_window_the_matrix_is_zero(size):
    bands = cuda_src.matting_laplacian(random(2, 3, *size))
    y = random(2, 3, *size)
    assert not bands.any() and not cuda_src.matting_apply(bands, y).any()
    for method in ("chebyshev", "cg"):
        x, bound, _ = cuda_src.matting_solve(bands, y, method=method, return_info=True)
        assert torch.equal(x, y) and (bound <= 1e-2).all()


def test_spectrum_is_in_0_to_9_and_reaches_9():
    for seed, guide in enumerate((random(3, 9, 14), torch.linspace(0, 1, 3 * 12 * 15).view(3, 12, 15).double())):
        values = np.linalg.eigvalsh(matrix(cuda_src.matting_laplacian(guide[None])[0]).toarray())
        assert values.min() > -1e-12 and values.max() < SPECTRUM
        if seed == 1:  # a smooth guide
            assert values.max() > 0.85 * SPECTRUM


def test_null_space_holds_affine_functions_of_the_colours():
    guide = random(1, 3, 11, 19)
    bands = cuda_src.matting_laplacian(guide, 1e-9)
    y = 0.3 + torch.einsum("dc,bchw->bdhw", random(3, 3, seed=2) - 0.5, guide)
    assert cuda_src.matting_apply(bands, torch.ones_like(y)).abs().max() < 1e-12
    assert cuda_src.matting_apply(bands, y).abs().max() < 1e-7
    assert cuda_src.matting_apply(bands, random(1, 3, 11, 19, seed=3)).abs().max() > 0.1
    for method in ("chebyshev", "cg"):
        assert torch.allclose(cuda_src.matting_solve(bands, y, 50.0, method=method), y, atol=1e-6)


def photograph(height: int, width: int, name: str) -> torch.Tensor:
    data = pytest.importorskip("skimage.data")
    picture = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None].float() / 255
    picture = torch.nn.functional.interpolate(picture, size=(height, width), mode="area")
    return (picture * 255).round() / 255


@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_solvers_against_a_direct_one(dtype):
    guide, style = photograph(61, 90, "coffee").to(dtype), photograph(61, 90, "astronaut").to(dtype)
    y = (0.7 * guide.flip(1) + 0.3 * style + 0.1 * torch.randn_like(guide)).clamp(0, 1)
    bands = cuda_src.matting_laplacian(guide)
    star = exact(bands[0], y[0], 50.0)

    def error(**options) -> float:
        x, bound, _ = cuda_src.matting_solve(bands, y, 50.0, return_info=True, **options)
        far = np.linalg.norm(x[0].reshape(3, -1).double().numpy() - star, axis=1)
        rounding = 1e-5 if dtype == torch.float32 else 1e-10
        assert (far <= (bound.item() + rounding) * np.linalg.norm(y[0].reshape(3, -1), axis=1)).all()
        return np.linalg.norm(far) / np.linalg.norm(star)

    assert error() <= 1e-2
    assert error(method="cg") <= 1e-3
    # both go as far as the numbers do
    rounding = 1e-4 if dtype == torch.float32 else 1e-8
    assert error(tol=1e-9) <= rounding
    assert error(method="cg", tol=1e-5 if dtype == torch.float32 else 1e-8) <= rounding


@given(lam=st.sampled_from([0.01, 1.0, 50.0, 1e4]), order=st.integers(0, 120), seed=st.integers(0, 20))
def test_chebyshev_error_is_within_its_bound(lam, order, seed):
    guide = random(1, 3, 7, 9, seed=seed)
    guide = guide if seed % 2 else guide.round(decimals=1).sort().values
    bands = cuda_src.matting_laplacian(guide)
    y = random(1, 2, 7, 9, seed=seed + 1) - 0.5
    star = exact(bands[0], y[0], lam)
    x = cuda_src.matting_solve(bands, y, lam, order=order)[0].reshape(2, -1).numpy()
    start = np.linalg.norm(star - y[0].reshape(2, -1).numpy(), axis=1)
    far = np.linalg.norm(x - star, axis=1)
    assert (far <= cuda_src.chebyshev_bound(order, lam) * start + 1e-10).all()


def test_order_is_the_lowest_that_keeps_the_bound():
    for lam in (0.1, 5.0, 50.0, 1e5):
        for tol in (0.5, 1e-2, 1e-6):
            order = cuda_src.chebyshev_order(lam, tol)
            assert cuda_src.chebyshev_bound(order, lam) <= tol < cuda_src.chebyshev_bound(order - 1, lam)
    assert cuda_src.chebyshev_order(0, 1e-9) == 0 == cuda_src.chebyshev_bound(0, 0.0)
    assert cuda_src.chebyshev_bound(10**6, 1.0) == 0


def test_chebyshev_bound_is_reached_by_the_worst_eigenvector():
    """The bound is not only above the error: on an interval this polynomial is that far off somewhere."""
    guide = torch.linspace(0, 1, 3 * 12 * 15, dtype=torch.float64).view(1, 3, 12, 15)
    bands = cuda_src.matting_laplacian(guide)
    values, vectors = np.linalg.eigh(matrix(bands[0]).toarray())
    y = torch.from_numpy(vectors.T.copy()).view(1, -1, 12, 15)
    x = cuda_src.matting_solve(bands, y, 50.0, order=20)[0].reshape(180, -1).numpy()
    star = vectors.T / (1 + 100 * values)[:, None]
    far, start = np.linalg.norm(x - star, axis=1), np.linalg.norm(star - vectors.T, axis=1)
    assert 0.7 < (far / np.maximum(start, 1e-9) / cuda_src.chebyshev_bound(20, 50.0)).max() < 1 + 1e-6


@pytest.mark.parametrize("method", ("chebyshev", "cg"))
def test_an_image_does_not_depend_on_its_batch_mates(method):
    flat = torch.full((1, 3, 20, 24), 0.5)
    guides = torch.cat((random(1, 3, 20, 24, dtype=torch.float32), flat, random(1, 3, 20, 24, seed=1).float()))
    y = torch.cat((random(1, 3, 20, 24, seed=2).float(), flat, 100 * random(1, 3, 20, 24, seed=3).float()))
    bands = cuda_src.matting_laplacian(guides)
    together, _, products = cuda_src.matting_solve(bands, y, method=method, return_info=True)
    for i in range(3):
        alone = cuda_src.matting_solve(bands[i : i + 1], y[i : i + 1], method=method)
        assert torch.equal(together[i : i + 1], alone)
        assert torch.equal(bands[i : i + 1], cuda_src.matting_laplacian(guides[i : i + 1]))
    if method == "cg":
        assert products[1] == 0 < products[0]  # a constant is its own solution
    shared = cuda_src.matting_solve(bands[:1], y, method=method)
    assert torch.equal(shared[0], together[0])


def test_results_do_not_depend_on_the_threads():
    guide, y = random(1, 3, 70, 33).float(), random(1, 3, 70, 33, seed=1).float()
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            bands = cuda_src.matting_laplacian(guide)
            results.append((bands, *(cuda_src.matting_solve(bands, y, method=m) for m in ("chebyshev", "cg"))))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def test_types_and_memory_formats():
    guide, y = random(2, 3, 12, 14).float(), random(2, 3, 12, 14, seed=1).float()
    bands = cuda_src.matting_laplacian(guide)
    assert bands.dtype == torch.float32
    assert cuda_src.matting_laplacian(guide.double()).dtype == torch.float64
    x = cuda_src.matting_solve(bands, y)
    for half in (torch.float16, torch.bfloat16):
        assert cuda_src.matting_laplacian(guide.to(half)).dtype == torch.float32
        got = cuda_src.matting_solve(bands, y.to(half))
        assert got.dtype == half and torch.allclose(got.float(), x, atol=2e-2)
        assert cuda_src.matting_apply(bands, y.to(half)).dtype == half
    assert cuda_src.matting_solve(bands, y.double()).dtype == torch.float64
    strided = y.to(memory_format=torch.channels_last)
    assert torch.equal(cuda_src.matting_solve(bands, strided), x)
    turned = guide.mT.contiguous().mT
    assert torch.equal(cuda_src.matting_laplacian(turned), bands)


def test_zero_and_huge_lam():
    guide, y = random(1, 3, 8, 9), random(1, 3, 8, 9, seed=1)
    bands = cuda_src.matting_laplacian(guide, 1e-2)
    for method in ("chebyshev", "cg"):
        assert torch.allclose(cuda_src.matting_solve(bands, y, 0.0, method=method), y, atol=1e-12)
    # in the limit what L maps to 0 stays: the mean
    x = cuda_src.matting_solve(bands, y, 1e9, method="cg", tol=1e-3, max_iter=5000)
    assert torch.allclose(x, y.mean((2, 3), keepdim=True).expand_as(x), atol=1e-4)


def test_gradients():
    bands = cuda_src.matting_laplacian(random(2, 3, 5, 6), 1e-4)
    y = random(2, 2, 5, 6, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: cuda_src.matting_apply(bands, v), y)
    assert torch.autograd.gradcheck(lambda v: cuda_src.matting_solve(bands, v, 5.0, order=7), y)
    solve = lambda v: cuda_src.matting_solve(bands, v, 5.0, method="cg", tol=1e-13)  # noqa: E731
    assert torch.autograd.gradcheck(solve, y)
    assert torch.autograd.gradgradcheck(lambda v: cuda_src.matting_apply(bands, v), y)
    guide = random(1, 3, 5, 6).requires_grad_()
    with pytest.raises(RuntimeError, match="no derivative with respect to its guide"):
        cuda_src.matting_apply(cuda_src.matting_laplacian(guide), y.detach()[:1]).sum().backward()


def test_compiles_without_graph_breaks():
    guide, y = random(1, 3, 6, 7), random(1, 3, 6, 7, seed=1)

    def solve(guide, y):
        bands = cuda_src.matting_laplacian(guide)
        return cuda_src.matting_solve(bands, 2 * y) + cuda_src.matting_solve(bands, y, method="cg", tol=1e-8)

    compiled = torch.compile(solve, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(guide, y), solve(guide, y))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda b, y: cuda_src.matting_laplacian(y[:, :2]), ValueError, "guide has shape"),
        (lambda b, y: cuda_src.matting_laplacian(y, 0), ValueError, "eps"),
        (lambda b, y: cuda_src.matting_laplacian(y / 0), ValueError, "NaN or infinite"),
        (lambda b, y: cuda_src.matting_laplacian(y.long()), TypeError, "floating-point"),
        (lambda b, y: cuda_src.matting_apply(b[:, :5], y), ValueError, "bands has shape"),
        (lambda b, y: cuda_src.matting_apply(b, y[..., :-1]), ValueError, "bands are of"),
        (lambda b, y: cuda_src.matting_apply(b, y[0]), ValueError, "y has shape|at least 4"),
        (lambda b, y: cuda_src.matting_solve(b, y, -1.0), ValueError, "lam"),
        (lambda b, y: cuda_src.matting_solve(b, y, float("inf")), ValueError, "lam"),
        (lambda b, y: cuda_src.matting_solve(b, y, tol=0.0), ValueError, "tol"),
        (lambda b, y: cuda_src.matting_solve(b, y, order=-1), ValueError, "order"),
        (lambda b, y: cuda_src.matting_solve(b, y, order=2, method="cg"), ValueError, "order"),
        (lambda b, y: cuda_src.matting_solve(b, y, method="lu"), ValueError, "method"),
        (lambda b, y: cuda_src.matting_solve(b, y, method="cg", max_iter=0), ValueError, "max_iter"),
        (lambda b, y: cuda_src.matting_solve(b, y, "50"), TypeError, "lam"),
    ],
)
def test_errors_name_the_argument(call, error, words):
    y = random(1, 3, 6, 7)
    with pytest.raises(error, match=words):
        call(cuda_src.matting_laplacian(y), y)
