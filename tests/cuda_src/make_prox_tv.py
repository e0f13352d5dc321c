"""Writes data/prox_tv.npz, results of prox_tv 3.2.1 that the tests compare with:

pip install prox_tv  (needs LAPACK headers, Debian: liblapacke-dev)
python tests/cuda_src/make_prox_tv.py
"""

from pathlib import Path

import numpy as np
import prox_tv


def main() -> None:
    rng = np.random.default_rng(0)
    stored = {}
    for name, n, lam in (("short", 9, 0.4), ("long", 300, 2.5), ("strong", 64, 30.0)):
        rows = np.cumsum(rng.standard_normal((6, n)), 1) * 0.3 + rng.standard_normal((6, n))
        stored[f"rows_{name}_x"] = rows
        stored[f"rows_{name}_lam"] = np.float64(lam)
        stored[f"rows_{name}_y"] = np.stack([prox_tv.tv1_1d(row, lam, method="condat") for row in rows])
    yy, xx = np.mgrid[:48, :40] / 48
    for name, lam, noise in (("weak", 0.05, 0.1), ("middle", 0.3, 0.2)):
        image = (xx + yy > 0.8) * 0.7 + ((xx - 0.5) ** 2 + (yy - 0.5) ** 2 < 0.06) * 0.3
        image = image + noise * rng.standard_normal(image.shape)
        stored[f"image_{name}_x"] = image
        stored[f"image_{name}_lam"] = np.float64(lam)
        stored[f"image_{name}_y"] = prox_tv.tv1_2d(image, lam, max_iters=20000, method="kolmogorov")
    np.savez_compressed(Path(__file__).parent / "data" / "prox_tv.npz", **stored)


if __name__ == "__main__":
    main()
