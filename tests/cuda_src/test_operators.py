"""The operators as PyTorch sees them: schemas, fake kernels, autograd, torch.compile; compiled against reference."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import cuda_src
from cuda_src.backend import REFERENCE


def samples() -> dict[str, list[tuple]]:
    g = torch.Generator().manual_seed(0)
    rows, images = torch.randn(4, 9, generator=g), torch.rand(2, 6, 8, generator=g)
    zero, none = [torch.zeros_like(images) for _ in range(4)], [torch.empty(0) for _ in range(4)]
    start = torch.zeros(2, dtype=torch.int64)
    guides = torch.rand(2, 3, 6, 8, generator=g)
    bands = cuda_src.matting_laplacian(guides, 1e-5)

    def grad(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=g).requires_grad_()

    return {
        "prox_tv1d": [
            (rows.clone().requires_grad_(), grad(4, 1), 0),
            (rows.clone().requires_grad_(), grad(1, 8), 1),
        ],
        "prox_tv1d_backward": [(rows.round(), grad(4, 9), True), (rows.round(), grad(4, 9), False)],
        "prox_tv2d": [
            (images.clone().requires_grad_(), grad(2, 1), grad(1, 1), *zero, start, 0, 20, 1e-4, True),
            (images.clone().requires_grad_(), grad(1, 6, 7), grad(2, 5, 8), *none, start, 0, 5, 0.0, False),
            (images.clone().requires_grad_(), grad(2, 1), grad(2, 1).detach(), *none, start, 1, 20, 1e-4, True),
        ],
        "region_mean": [
            (grad(2, 6, 8), torch.rand(2, 6, 7, generator=g) < 0.5, torch.rand(2, 5, 8, generator=g) < 0.5)
        ],
        "isotropic_gradient": [
            (images.round(decimals=1), images + 1, torch.rand(2, 1), torch.full((2, 1, 1), 1e-3)),
        ],
        "matting_bands": [(guides, 1e-5)],
        "matting_apply": [(bands, grad(2, 3, 6, 8)), (bands[:1], grad(2, 1, 6, 8))],
        "matting_chebyshev": [(bands, grad(2, 3, 6, 8), 5.0, 6, 9.0)],
        "matting_cg": [(bands, grad(2, 3, 6, 8), 5.0, 99, 1e-12)],
    }


@pytest.mark.parametrize("name", sorted(REFERENCE))
def test_opcheck(name):
    for arguments in samples()[name]:
        torch.library.opcheck(getattr(torch.ops.nsz, name).default, arguments)


SAME = (
    "prox_tv1d", "prox_tv1d_backward", "region_mean", "isotropic_gradient",
    "matting_bands", "matting_apply", "matting_chebyshev", "matting_cg",
)  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_operator_equals_its_reference(name):
    for arguments in samples()[name]:
        arguments = tuple(
            a.detach().double() if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in arguments
        )
        got, expected = getattr(torch.ops.nsz, name)(*arguments), REFERENCE[name](*arguments)
        for a, b in zip(torch.utils._pytree.tree_leaves(got), torch.utils._pytree.tree_leaves(expected), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(shape=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)), seed=st.integers(0, 999))
def test_region_mean_equals_the_reference(shape, seed):
    g = torch.Generator().manual_seed(seed)
    batch, height, width = shape
    values = torch.randn(shape, dtype=torch.float64, generator=g)
    right = torch.rand(batch, height, width - 1, generator=g) < 0.6
    below = torch.rand(batch, height - 1, width, generator=g) < 0.6
    got = torch.ops.nsz.region_mean(values, right, below)
    torch.testing.assert_close(got, REFERENCE["region_mean"](values, right, below), rtol=0, atol=1e-12)
    # pixels that are joined share a value, and nothing is lost
    assert torch.equal(got[:, :, 1:][right], got[:, :, :-1][right])
    assert torch.equal(got[:, 1:][below], got[:, :-1][below])
    torch.testing.assert_close(got.sum((1, 2)), values.sum((1, 2)))


def test_torch_compile_without_graph_breaks_gives_the_same_numbers():
    def f(x, lam):
        rows = cuda_src.prox_tv1d(x * 2, lam)
        return (cuda_src.prox_tv2d(rows, lam, tol=1e-5) ** 2).sum()

    results = []
    for function in (f, torch.compile(f, fullgraph=True, backend="aot_eager")):
        x = torch.rand(2, 10, 12, generator=torch.Generator().manual_seed(1)).requires_grad_()
        lam = torch.tensor(0.1, requires_grad=True)
        value = function(x, lam)
        value.backward()
        results.append((value.detach(), x.grad, lam.grad))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b)


def test_works_under_inference_mode_and_no_grad():
    x = torch.rand(8, 8)
    with torch.inference_mode():
        a = cuda_src.prox_tv2d(x, 0.1)
    assert torch.equal(a, cuda_src.prox_tv2d(x, 0.1))
