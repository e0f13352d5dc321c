"""`make bench`: every comparison in one run; tables on the screen, numbers in benchmarks/results/<name>.json.

`python -m benchmarks.run matting` runs one of them alone; `make bench` runs all.
"""

from __future__ import annotations

import importlib
import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch

import cuda_src

THREADS = 2
BENCHMARKS = ("tv", "matting", "photo_time")  # modules beside this one; each has tables(threads)


def main(names: list[str]) -> None:
    """Runs those that are named, or all."""
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        raise SystemExit(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    torch.set_num_threads(THREADS)
    backend = cuda_src.backend()
    print(f"backend: {backend.name} ({backend.reason}); torch {torch.__version__}, {THREADS} threads")
    for name in names or BENCHMARKS:
        # imported late: the peers of one need not be there for another
        tables = importlib.import_module(f"benchmarks.{name}").tables(THREADS)
        results = {
            "backend": backend.name,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "threads": THREADS,
            "tables": tables,
        }
        out = Path(__file__).parent / "results" / f"{name}.json"
        out.parent.mkdir(exist_ok=True)
        out.write_text(json.dumps(results, indent=2) + "\n")
        print(f"\nwritten to {out}")


if __name__ == "__main__":
    main(sys.argv[1:])
