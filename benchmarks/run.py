"""`make bench`: every comparison in one run; a table on the screen, numbers in benchmarks/results/tv.json."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import numpy as np
import torch

import cuda_src
from benchmarks import tv

THREADS = 2


def main() -> None:
    """Runs them all."""
    torch.set_num_threads(THREADS)
    backend = cuda_src.backend()
    print(f"backend: {backend.name} ({backend.reason}); torch {torch.__version__}, {THREADS} threads")
    tables = [*tv.one_dimension(), *tv.two_dimensions(THREADS), tv.growth()]
    results = {
        "backend": backend.name,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "threads": THREADS,
        "tables": tables,
    }
    out = Path(__file__).parent / "results" / "tv.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten to {out}")


if __name__ == "__main__":
    main()
