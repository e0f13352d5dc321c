"""The part of `zoo evaluate` that measures texture super-resolution."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .output import emit, table


def evaluate_superres(
    name: str, data: Path, scale: int, steps: int | None, seed: int, limit: int | None, device: str, json: bool
) -> None:
    """Measure an engine, unguided and guided if it can be, beside bicubic interpolation."""
    from ..evaluation.superres import evaluate_superres, methods, summarise, texture_crops

    live = sys.stderr.isatty()
    scores = []
    columns = methods(name)
    crops = texture_crops(data, scale, seed=seed, limit=limit)
    for score in evaluate_superres(crops, columns, scale, steps=steps, device=device):
        scores.append(score)
        if live:
            line = f"{len(scores)}: {score.crop} {score.method}  {score.psnr:.2f} dB, Gram {score.gram_snr:.2f} dB"
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
    if live:
        print("\r\x1b[K", end="", file=sys.stderr)
    records = summarise(scores)
    if json:
        emit(
            {
                "model": name,
                "data": str(data),
                "scale": scale,
                "seed": seed,
                "crops": [one.to_dict() for one in scores],
                "mean": records,
            }
        )
        return
    table(superres_rows(records))


def superres_rows(records: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The means as rows of a table, the first one being its head."""
    rows: list[tuple[str, ...]] = [("method", "crops", "PSNR", "Gram SNR", "residual", "seconds")]
    for one in records:
        figures = (f"{one['psnr']:.2f}", f"{one['gram_snr']:.2f}", f"{one['residual']:.2f}", f"{one['seconds']:.2f}")
        rows.append((one["method"], str(one["crops"]), *figures))
    return rows
