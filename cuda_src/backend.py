"""Which code runs `torch.ops.nsz.*`: the compiled library or the plain-PyTorch reference, chosen at the first call.

Order: a library installed in this package; one compiled into the user's cache at first use (seconds, once); the
reference. NSZ_BACKEND=reference skips the compiled ones, NSZ_BACKEND=compiled makes their failure an error.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from cuda_src import ops
from cuda_src.reference import matting, tv1d, tv2d

REFERENCE = {
    "prox_tv1d": tv1d.prox_tv1d,
    "prox_tv1d_backward": tv1d.prox_tv1d_backward,
    "prox_tv2d": tv2d.prox_tv2d,
    "region_mean": tv2d.region_mean,
    "isotropic_gradient": tv2d.isotropic_gradient,
    "matting_bands": matting.matting_bands,
    "matting_apply": matting.matting_apply,
    "matting_chebyshev": matting.matting_chebyshev,
    "matting_cg": matting.matting_cg,
}
# written on top of the others, so the same in every backend
PYTHON_ONLY = ("isotropic_gradient",)


@dataclass(frozen=True)
class Backend:
    """What runs the operators, and why.

    Attributes:
        name: "compiled" or "reference".
        source: "installed", "cache" (compiled at first use) or "none".
        library: the loaded CPU library, or None.
        cuda: whether CUDA tensors meet compiled kernels too.
        reason: why this one was chosen.
        hint: what to do to get a faster one; empty when there is nothing to gain.
    """

    name: str
    source: str
    library: Path | None
    cuda: bool
    reason: str
    hint: str


_lock = threading.RLock()
_active: Backend | None = None
_registered: list[torch.library.Library] = []


def backend() -> Backend:
    """The backend in use; decides (and compiles, at the very first call on a machine) when nothing did before."""
    global _active
    with _lock:
        if _active is None:
            _active = _choose()
        return _active


def _choose() -> Backend:
    from cuda_src import build  # late: `python -m cuda_src.build` runs that module as a script

    wish = os.environ.get("NSZ_BACKEND", "auto")
    if wish not in ("auto", "compiled", "reference"):
        raise ValueError(f"NSZ_BACKEND is {wish!r}; it can be 'auto', 'compiled' or 'reference'")
    if wish == "reference":
        _forget()
        _use_reference("CPU", "CUDA")
        return Backend("reference", "none", None, False, "NSZ_BACKEND=reference asks for it", "unset NSZ_BACKEND")
    troubles = []
    for portable in (False, True):
        library = build.INSTALLED / build.library_name("cpu", portable)
        if library.exists():
            try:
                return _loaded(library, "installed")
            except OSError as error:
                troubles.append(f"{library} could not be loaded: {error}")
    try:
        return _loaded(build.compile_library(build.cache_folder()), "cache")
    except (build.BuildError, OSError) as error:
        troubles.append(str(error))
    reason = "; ".join(troubles)
    if wish == "compiled":
        raise RuntimeError(f"NSZ_BACKEND=compiled, but there are no compiled kernels: {reason}")
    _forget()
    _use_reference("CPU", "CUDA")
    hint = "install a C++ compiler (Debian: apt-get install g++) and PyTorch 2.10 or later, then start again"
    return Backend("reference", "none", None, False, reason, hint)


def _loaded(library: Path, source: str) -> Backend:
    from cuda_src import build

    _forget()
    try:
        torch.ops.load_library(str(library))
    except OSError:
        _postpone()
        raise
    _use_reference("CPU", "CUDA", names=PYTHON_ONLY)
    compiled = [name for name in REFERENCE if name not in PYTHON_ONLY]
    where = "installed in the package" if source == "installed" else "compiled into the user's cache"
    reason = f"the library {where} was loaded"
    if not torch.cuda.is_available():
        _use_reference("CUDA", names=compiled)
        return Backend("compiled", source, library, False, reason, "")
    # that of the package serves every processor, so it may be there where the CPU library had to be compiled anew
    installed = build.INSTALLED / build.library_name("cuda")
    try:
        torch.ops.load_library(
            str(build.compile_library((installed if installed.exists() else library).parent, "cuda"))
        )
    except (build.BuildError, OSError) as error:
        _use_reference("CUDA", names=compiled)
        hint = "CUDA tensors run the plain-PyTorch reference: install the CUDA toolkit (nvcc), then `make` again"
        return Backend("compiled", source, library, False, f"{reason}; no CUDA kernels: {error}", hint)
    return Backend("compiled", source, library, True, reason, "")


def _use_reference(*keys: str, names: Iterable[str] = REFERENCE) -> None:
    registered = torch.library.Library("nsz", "IMPL")
    for key in keys:
        for name in names:
            registered.impl(name, REFERENCE[name], key)
    _registered.append(registered)


def _forget() -> None:
    while _registered:
        _registered.pop()._destroy()


def _postpone() -> None:
    """Registers operators that choose a backend when first called, so that an import neither compiles nor waits."""
    waiting = torch.library.Library("nsz", "IMPL")

    def first_call(name: str):
        def call(*args):
            backend()
            return getattr(torch.ops.nsz, name).default(*args)

        return call

    for key in ("CPU", "CUDA"):
        for name in ops.SCHEMAS:
            waiting.impl(name, first_call(name), key)
    _registered.append(waiting)


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # that a kernel will be replaced later is what is meant here
    _postpone()
