"""The most memory that a piece of work took."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

PROCESS = Path("/proc/self")


@dataclass
class Peak:
    """What `peak_memory` finds out."""

    size: int | None = None
    """Bytes beyond what was in use before, once the work is done; None where the system cannot say."""


@contextlib.contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Measure the work inside: on a CUDA device what torch allocates, else what the process holds (Linux only).

    Only one measurement at a time makes sense: it resets the process' own high-water mark.
    """
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        torch.cuda.synchronize(device)
        peak.size = torch.cuda.max_memory_allocated(device) - before
        return
    _give_back()
    try:
        (PROCESS / "clear_refs").write_text("5")  # VmHWM starts anew
        before_held = _held("VmRSS")
    except OSError:
        yield peak
        return
    yield peak
    after = _held("VmHWM")
    peak.size = None if after is None or before_held is None else max(0, after - before_held)


def _give_back() -> None:
    """Free memory that the allocator keeps would hide what the work takes."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _held(kind: str) -> int | None:
    for line in (PROCESS / "status").read_text().splitlines():
        if line.startswith(kind + ":"):
            return int(line.split()[1]) * 1024
    return None
