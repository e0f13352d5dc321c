"""Which backend is chosen, and that the operators work in each of them. Every case is a fresh process."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cuda_src import build

ROOT = Path(__file__).parents[2]
HAS_COMPILER = any(shutil.which(c) for c in ("g++", "clang++", "c++"))
needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="no C++ compiler is installed")

PROBE = """
import json, warnings
warnings.simplefilter("error")
import torch, cuda_src
y = cuda_src.prox_tv1d(torch.tensor([0.0, 1.0, 5.0, 6.0]), 1.0)
x = torch.tensor([[0.0, 1.0, 4.0], [0.5, 3.0, 2.0]], requires_grad=True)
z, gap = cuda_src.prox_tv2d(x, 0.2, return_gap=True)
z.square().sum().backward()
i = cuda_src.prox_tv2d(x, 0.2, mode="isotropic")
i.square().sum().backward()
guide = torch.arange(48.0).sin().abs().view(1, 3, 4, 4)
m = cuda_src.matting_solve(cuda_src.matting_laplacian(guide), guide.flip(1), method="cg")
b = cuda_src.backend()
print(json.dumps({"name": b.name, "source": b.source, "reason": b.reason, "hint": b.hint, "cuda": b.cuda,
                  "library": str(b.library), "y": y.tolist(), "z": z.tolist(), "grad": x.grad.tolist(),
                  "m": m.flatten().tolist()}))
"""


def probe(**environment: str) -> dict:
    full = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    # run from elsewhere: `-c` puts the current folder before PYTHONPATH
    done = subprocess.run([sys.executable, "-c", PROBE], env=full, cwd="/", capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def copied_package(folder: Path) -> str:
    """The package without an installed library."""
    shutil.copytree(ROOT / "cuda_src", folder / "cuda_src", ignore=shutil.ignore_patterns("lib", "__pycache__"))
    return str(folder)


def test_reference_on_request_gives_the_same_numbers():
    plain, usual = probe(NSZ_BACKEND="reference"), probe()
    assert plain["name"] == "reference" and "NSZ_BACKEND" in plain["reason"]
    assert plain["y"] == pytest.approx([1.0, 1.0, 5.0, 5.0])
    for part in ("z", "grad", "m"):
        for a, b in zip(plain[part], usual[part], strict=True):
            assert a == pytest.approx(b, abs=1e-3 if part == "m" else 1e-4)


@needs_compiler
def test_compiles_into_the_cache_at_first_use_and_finds_it_again(tmp_path):
    path = copied_package(tmp_path)
    cache = tmp_path / "cache"
    first = probe(PYTHONPATH=path, NSZ_CACHE=str(cache))
    assert (first["name"], first["source"]) == ("compiled", "cache")
    built = list(cache.iterdir())
    assert [str(b) for b in built] == [first["library"]]  # and no half-written file beside it
    stamp = built[0].stat().st_mtime_ns
    second = probe(PYTHONPATH=path, NSZ_CACHE=str(cache), CXX="/nonexistent/compiler")
    assert second["library"] == first["library"] and built[0].stat().st_mtime_ns == stamp


def test_without_a_compiler_the_reference_says_why_and_what_to_do(tmp_path):
    got = probe(PYTHONPATH=copied_package(tmp_path), NSZ_CACHE=str(tmp_path / "cache"), CXX="/nonexistent/compiler")
    assert got["name"] == "reference" and got["y"] == pytest.approx([1.0, 1.0, 5.0, 5.0])
    assert "/nonexistent/compiler" in got["reason"] and "compiler" in got["hint"]


def test_a_compiler_that_fails_is_quoted(tmp_path):
    bad = tmp_path / "cc"
    bad.write_text("#!/bin/sh\necho 'fatal: out of cheese' >&2\nexit 3\n")
    bad.chmod(0o755)
    got = probe(PYTHONPATH=copied_package(tmp_path), NSZ_CACHE=str(tmp_path / "cache"), CXX=str(bad))
    assert got["name"] == "reference"
    assert "out of cheese" in got["reason"] and "exit code 3" in got["reason"]
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_falls_to_the_reference(tmp_path):
    (tmp_path / "file").write_text("in the way")
    got = probe(PYTHONPATH=copied_package(tmp_path), NSZ_CACHE=str(tmp_path / "file" / "cache"))
    assert got["name"] == "reference" and "file" in got["reason"]


def test_a_damaged_library_is_named_and_passed_over(tmp_path):
    path = copied_package(tmp_path)
    library = tmp_path / "cuda_src" / "lib" / build.library_name()
    library.parent.mkdir()
    library.write_bytes(b"\x7fELF, not really")
    got = probe(PYTHONPATH=path, NSZ_CACHE=str(tmp_path / "cache"), CXX="/nonexistent/compiler")
    assert got["name"] == "reference" and library.name in got["reason"]


def test_an_unknown_wish_is_an_error():
    with pytest.raises(AssertionError, match="NSZ_BACKEND is 'fast'"):
        probe(NSZ_BACKEND="fast")


def test_a_changed_source_asks_for_another_library(tmp_path, monkeypatch):
    before = build.library_name()
    shutil.copytree(build.SOURCES, tmp_path / "csrc")
    monkeypatch.setattr(build, "SOURCES", tmp_path / "csrc")
    assert build.library_name() == before
    (tmp_path / "csrc" / "tv1d.h").open("a").write("// changed\n")
    assert build.library_name() != before
    assert build.library_name(portable=True) != build.library_name()


@needs_compiler
@pytest.mark.parametrize("extra", ((), ("-DNSZ_ONE_LANE",)))
def test_other_lanes_give_the_same(tmp_path, extra):
    """The lanes of an older processor; and one lane, which is what a CUDA thread runs, compiled for the CPU."""
    library = tmp_path / "lanes.so"
    subprocess.run(build.cpu_command(library, portable=True, extra=extra), check=True)
    script = f"""
import torch, cuda_src
from cuda_src import backend
g = torch.Generator().manual_seed(0)
cases = []
for n in (1, 2, 3, 17, 100):
    x = torch.randn(19, n, generator=g, dtype=torch.float64)
    w = torch.rand(19, max(1, n - 1), generator=g, dtype=torch.float64)
    cases += [("prox_tv1d", (x, w, m)) for m in (0, 1)] + [("prox_tv1d", (x, w[:1, :1] * 2, 0))]
    cases += [("prox_tv1d_backward", (x.round(), x, per_edge)) for per_edge in (True, False)]
for shape in ((1, 1, 1), (2, 7, 33), (1, 40, 18)):
    x = torch.randn(shape, generator=g, dtype=torch.float64)
    lam, zero = torch.full((1, 1), 0.4, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)
    start = torch.zeros(shape[0], dtype=torch.int64)
    cases += [("prox_tv2d", (x, lam, lam, zero, zero, zero, zero, start, mode, 30, 1e-6, True)) for mode in (0, 1)]
for shape in ((1, 3, 3), (2, 5, 40), (1, 20, 17), (1, 35, 9)):
    guide, y = (torch.rand(shape[0], c, *shape[1:], generator=g, dtype=torch.float64) for c in (3, 5))
    bands = cuda_src.matting_laplacian(guide, 1e-3)
    cases += [("matting_bands", (guide, 1e-3)), ("matting_apply", (bands, y))]
    cases += [("matting_chebyshev", (bands, y, 20.0, k, 9.0)) for k in (0, 1, 2, 9)]
    cases.append(("matting_cg", (bands, y, 20.0, 12, 1e-13)))
call = lambda: [getattr(torch.ops.nsz, name)(*arguments) for name, arguments in cases]
many = call()
assert cuda_src.backend().name == "compiled"
torch.ops.load_library({str(library)!r})  # replaces the kernels
for (name, _), a, b in zip(cases, many, call()):
    for s, t in zip(torch.utils._pytree.tree_leaves(a), torch.utils._pytree.tree_leaves(b)):
        torch.testing.assert_close(s, t, rtol=1e-9, atol=1e-10, msg=lambda m: name + ": " + m)
print("same")
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NSZ_BACKEND": "compiled"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout.strip() == "same", done.stderr


@pytest.mark.parametrize("there", (True, False))
def test_an_installed_cuda_library_is_not_compiled_again(there, monkeypatch, tmp_path):
    backend = sys.modules["cuda_src.backend"]
    loaded = []

    def no_nvcc(out):
        raise build.BuildError("no nvcc")

    installed = tmp_path / "lib" / build.library_name("cuda")
    installed.parent.mkdir()
    if there:
        installed.touch()
    monkeypatch.setattr(build, "INSTALLED", installed.parent)
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("_forget", "_use_reference"):
        monkeypatch.setattr(backend, name, lambda *names, **options: None)
    monkeypatch.setattr(build, "cuda_command", no_nvcc)
    cached = tmp_path / "cache" / "nsz_cpu.so"
    found = backend._loaded(cached, "cache")
    assert loaded == [str(cached), str(installed)][: 1 + there]
    assert found.cuda == there
