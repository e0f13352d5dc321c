"""Compiles the kernels: `python -m cuda_src.build` puts them beside this package, where every import finds them.

The library names carry a key of everything that decides whether a library may be loaded: the sources, the flags and the
instruction set of the processor. A changed source or another machine asks for another name, never for a wrong library.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parent / "csrc"
INSTALLED = Path(__file__).parent / "lib"
# the oldest PyTorch whose stable ABI has what the sources use; one library serves it and every later release
TORCH_TARGET = "0x020a000000000000"
ARCHITECTURES = ("80", "90", "120")


class BuildError(RuntimeError):
    """No compiler, or a compiler that failed; the message says which and how."""


def cache_folder() -> Path:
    """Where libraries compiled at first use are kept: $NSZ_CACHE, or the user's cache folder."""
    if "NSZ_CACHE" in os.environ:
        return Path(os.environ["NSZ_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "neural-solver-zoo"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())


def _flags(portable: bool) -> list[str]:
    if platform.machine() in ("x86_64", "AMD64"):
        return ["-march=x86-64-v3" if portable else "-march=native"]
    return [] if portable else ["-mcpu=native"]


def library_name(device: str = "cpu", portable: bool = False) -> str:
    """File name of the library for `device` ("cpu" or "cuda") on this machine, or on any of its kind (`portable`)."""
    digest = hashlib.sha256()
    for source in sorted(SOURCES.iterdir()):
        digest.update(source.name.encode() + source.read_bytes())
    digest.update(f"{TORCH_TARGET} {platform.machine()} {_flags(portable)}".encode())
    if not portable and device == "cpu":
        digest.update(_processor().encode())
    return f"nsz_{device}{'_portable' if portable else ''}-{digest.hexdigest()[:12]}.so"


def cpu_command(out: Path, portable: bool = False, extra: tuple[str, ...] = ()) -> list[str]:
    """The compiler call for the CPU library, with `extra` flags.

    Raises:
        BuildError: no C++ compiler was found.
    """
    named = os.environ.get("CXX")
    compiler = named or next((c for c in ("g++", "clang++", "c++") if shutil.which(c)), None)
    if compiler is None or sys.platform == "win32":
        raise BuildError("no C++ compiler was found (looked for $CXX, g++, clang++, c++)")
    sources = [str(s) for s in sorted(SOURCES.glob("*.cpp"))]
    includes, links = _torch_paths()
    undefined = ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else []
    return [
        *compiler.split(), "-std=c++17", "-O3", *_flags(portable), "-fPIC", "-shared", "-w", *extra,
        f"-DTORCH_TARGET_VERSION={TORCH_TARGET}", *includes, *sources, *links, "-ltorch_cpu", *undefined,
        "-o", str(out),
    ]  # fmt: skip


def cuda_command(out: Path, architectures: tuple[str, ...] = ARCHITECTURES) -> list[str]:
    """The nvcc call for the CUDA library: machine code for each architecture, PTX of the last for later ones.

    Raises:
        BuildError: nvcc was not found.
    """
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        raise BuildError("nvcc was not found")
    targets = [f"-gencode=arch=compute_{a},code=sm_{a}" for a in architectures]
    last = architectures[-1]
    targets.append(f"-gencode=arch=compute_{last},code=compute_{last}")
    sources = [str(s) for s in sorted(SOURCES.glob("*.cu"))]
    includes, links = _torch_paths()
    return [
        nvcc, "-std=c++17", "-O3", "--threads=0", "-Xcompiler", "-fPIC", "-shared", *targets, "-DUSE_CUDA",
        "--expt-relaxed-constexpr",
        f"-DTORCH_TARGET_VERSION={TORCH_TARGET}", *includes, *sources, *links, "-ltorch_cuda", "-ltorch_cpu",
        "-o", str(out),
    ]  # fmt: skip


def _torch_paths() -> tuple[list[str], list[str]]:
    import torch

    root = Path(torch.__file__).parent
    return [f"-I{root / 'include'}"], [f"-L{root / 'lib'}"]


def compile_library(folder: Path, device: str = "cpu", portable: bool = False) -> Path:
    """Compiles the library for `device` into `folder`, in seconds; does nothing where it is there already.

    Raises:
        BuildError: no compiler, or it failed.
        OSError: the folder cannot be written.
    """
    target = folder / library_name(device, portable)
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    # compiled beside the target and renamed: two processes may build at once, and nobody loads half a file
    handle, name = tempfile.mkstemp(suffix=".so", dir=folder)
    os.close(handle)
    out = Path(name)
    try:
        command = cpu_command(out, portable) if device == "cpu" else cuda_command(out)
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            tail = "\n".join(done.stderr.strip().splitlines()[-12:])
            raise BuildError(f"{command[0]} failed with exit code {done.returncode}:\n{tail}")
        out.chmod(0o755)
        os.replace(out, target)
    finally:
        out.unlink(missing_ok=True)
    return target


def main() -> None:
    """Builds what can be built here into the package; where there is no compiler it says so, and that is no failure."""
    say = sys.stdout.write
    portable = "--portable" in sys.argv[1:]
    devices = ["cpu"]
    if "--cuda" in sys.argv[1:] or _has_gpu():
        devices.append("cuda")
    for device in devices:
        try:
            say(f"kernels for {device}: {compile_library(INSTALLED, device, portable)}\n")
        except (BuildError, OSError) as error:
            say(f"kernels for {device} were not compiled: {error}\nThe plain-PyTorch reference will be used instead.\n")


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available() and shutil.which("nvcc") is not None


if __name__ == "__main__":
    main()
