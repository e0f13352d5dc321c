"""The kernels on a CUDA device, beside plain PyTorch there and the same kernels on the processor.

`python -m benchmarks.cuda` on a machine with a device and nvcc. A process has one backend, so there are two of them,
which take turns; of each figure the median over all turns counts.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.functional import interpolate

import cuda_src

TURNS = 3
SECONDS = 0.4  # that a figure is taken for, in each turn
LAM = 50.0


def cases(device: str) -> dict[str, Callable[[], Any]]:
    """What is timed, by name; inputs are the same on all devices."""
    generator = torch.Generator().manual_seed(0)

    def noise(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator).to(device)

    many, long, images, image = (noise(*shape) for shape in ((8192, 32), (2048, 1024), (16, 256, 256), (512, 512)))
    guide = interpolate(noise(1, 3, 16, 32), size=(256, 512), mode="bicubic").clamp(0, 1)
    y = 0.9 * guide.flip(1) + 0.1 * noise(1, 3, 256, 512)
    bands = cuda_src.matting_laplacian(guide)
    return {
        "prox_tv1d, 8192 rows of 32": lambda: cuda_src.prox_tv1d(many, 0.3),
        "prox_tv1d, 2048 rows of 1024": lambda: cuda_src.prox_tv1d(long, 0.3),
        "prox_tv2d, 16 images of 256 x 256": lambda: cuda_src.prox_tv2d(images, 0.1, tol=1e-4),
        "prox_tv2d, 512 x 512": lambda: cuda_src.prox_tv2d(image, 0.1, tol=1e-4),
        "prox_tv2d isotropic, 512 x 512": lambda: cuda_src.prox_tv2d(image, 0.1, mode="isotropic", tol=1e-3),
        "matting_laplacian, 512 x 256": lambda: cuda_src.matting_laplacian(guide),
        "matting_solve, 512 x 256": lambda: cuda_src.matting_solve(bands, y, LAM),
        "matting_solve by conjugate gradients, 512 x 256": lambda: cuda_src.matting_solve(
            bands, guide, LAM, method="cg"
        ),
    }


def measured(call: Callable[[], Any], device: str) -> float:
    """Seconds of a call, after one to warm up."""

    def wait() -> None:
        if device == "cuda":
            torch.cuda.synchronize()

    call()
    wait()
    times: list[float] = []
    while not times or sum(times) < SECONDS:
        begin = time.perf_counter()
        call()
        wait()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def child(backend: str, device: str) -> dict[str, float]:
    """Seconds of each case, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.cuda", device]
    done = subprocess.run(command, env={**os.environ, "NSZ_BACKEND": backend}, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Prints the table; with a device as the argument, this process's own figures."""
    if len(sys.argv) > 1:
        print(json.dumps({name: measured(call, sys.argv[1]) for name, call in cases(sys.argv[1]).items()}))
        return
    if not cuda_src.backend().cuda:
        raise SystemExit(f"no kernels for CUDA here: {cuda_src.backend().hint or 'there is no device'}")
    columns = {"kernel": ("compiled", "cuda"), "PyTorch": ("reference", "cuda"), "processor": ("compiled", "cpu")}
    turns = [{name: child(*column) for name, column in columns.items()} for _ in range(TURNS)]
    print(f"{torch.cuda.get_device_name()}; torch {torch.__version__}; processor: {torch.get_num_threads()} threads")
    print(f"{'':50}{'kernel ms':>11}{'PyTorch ms':>12}{'ratio':>8}{'processor ms':>14}{'ratio':>8}")
    for case in turns[0]["kernel"]:
        kernel, plain, processor = (1e3 * statistics.median(turn[name][case] for turn in turns) for name in columns)
        ratios = f"{plain / kernel:>7.1f}x", f"{processor / kernel:>7.1f}x"
        print(f"{case:50}{kernel:>11.3f}{plain:>12.2f}{ratios[0]}{processor:>14.2f}{ratios[1]}")


if __name__ == "__main__":
    main()
