"""The CUDA file: compiled wherever nvcc is; run against the CPU, and timed, where there is a GPU."""

import shutil
import time

import pytest
import torch

import cuda_src
from cuda_src import build


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="nvcc is not installed")
def test_cuda_sources_compile_for_every_architecture(tmp_path):
    library = build.compile_library(tmp_path, "cuda")
    code = library.read_bytes()
    for architecture in build.ARCHITECTURES:
        assert f"sm_{architecture}".encode() in code


gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.mark.cuda
@gpu
def test_compiled_kernels_serve_cuda_tensors_where_nvcc_is():
    assert cuda_src.backend().cuda == (shutil.which("nvcc") is not None)


@pytest.mark.cuda
@gpu
@pytest.mark.parametrize("dtype", (torch.float32, torch.float64))
def test_1d_equals_the_cpu(dtype):
    tight = {"rtol": 0, "atol": 1e-5 if dtype == torch.float32 else 1e-10}
    for shape in ((1, 1), (7, 2), (300, 33), (5, 1000)):
        x = torch.randn(shape, dtype=dtype)
        w = torch.rand(shape[0], shape[1] - 1, dtype=dtype)
        for lam in (0.0, 0.5, 1e6):
            for method in ("direct", "newton"):
                for edges in (None, w):
                    results = []
                    for device in ("cpu", "cuda"):
                        a, e = (v if v is None else v.to(device, copy=True).requires_grad_() for v in (x, edges))
                        y = cuda_src.prox_tv1d(a, lam, method=method, edge_weights=e)
                        y.backward(torch.linspace(-1, 1, y.numel(), dtype=dtype, device=y.device).view_as(y))
                        results.append((y.detach().cpu(), a.grad.cpu()))
                    torch.testing.assert_close(results[1][0], results[0][0], **tight)
                    torch.testing.assert_close(results[1][1], results[0][1], rtol=1e-4, atol=1e-4)


@pytest.mark.cuda
@gpu
@pytest.mark.parametrize("mode", ("anisotropic", "isotropic"))
def test_2d_equals_the_cpu(mode):
    for shape in ((1, 1, 1), (3, 1, 9), (2, 40, 31), (1, 130, 200)):
        x = torch.rand(shape, dtype=torch.float64)
        for lam in (0.0, 0.1, 1.0):
            results = []
            for device in ("cpu", "cuda"):
                a = x.to(device, copy=True).requires_grad_()
                y, gap = cuda_src.prox_tv2d(a, lam, mode=mode, tol=0.0, max_iter=40, return_gap=True)
                y.square().sum().backward()
                results.append((y.detach().cpu(), gap.cpu(), a.grad.cpu()))
            for a, b in zip(*results, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.cuda
@gpu
def test_matting_equals_the_cpu():
    for shape in ((1, 2, 9), (2, 3, 3), (3, 20, 17), (1, 130, 200)):
        guide = torch.rand(shape[0], 3, *shape[1:], dtype=torch.float64)
        for eps, count in ((1e-7, 1), (1e-3, 5)):
            values = torch.rand(shape[0], count, *shape[1:], dtype=torch.float64)
            results = []
            for device in ("cpu", "cuda"):
                bands = cuda_src.matting_laplacian(guide.to(device), eps)
                y = values.to(device, copy=True).requires_grad_()
                parts = [cuda_src.matting_apply(bands, y), cuda_src.matting_solve(bands, y)]
                parts += cuda_src.matting_solve(bands, y, method="cg", tol=1e-9, return_info=True)[:2]
                sum(part.square().sum() for part in parts).backward()
                results.append([part.detach().cpu() for part in (bands, *parts, y.grad)])
            for a, b in zip(*results, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.cuda
@gpu
def test_cuda_is_timed(record_property):
    """No bound is asserted: the numbers go into the report."""
    x = torch.randn(8192, 32, device="cuda")
    image = torch.rand(512, 512, device="cuda")
    picture = torch.rand(1, 3, 256, 512, device="cuda")
    bands = cuda_src.matting_laplacian(picture)
    for name, f in (
        ("prox_tv1d 8192x32", lambda: cuda_src.prox_tv1d(x, 1.0)),
        ("prox_tv2d 512x512", lambda: cuda_src.prox_tv2d(image, 0.1, tol=1e-4)),
        ("matting_laplacian 512x256", lambda: cuda_src.matting_laplacian(picture)),
        ("matting_solve 512x256", lambda: cuda_src.matting_solve(bands, picture)),
        ("matting_solve cg 512x256", lambda: cuda_src.matting_solve(bands, picture, method="cg")),
    ):
        f()
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(20):
            f()
        torch.cuda.synchronize()
        record_property(name, f"{(time.perf_counter() - start) / 20 * 1e3:.3f} ms")
