"""The part of `zoo evaluate` that measures style transfer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from .output import emit, table


def evaluate_style(
    name: str, data: Path, styles: Path | None, size: int, limit: int | None, device: str, json: bool
) -> None:
    """Measure an engine beside the content as it is, and print a table or JSON."""
    from ..evaluation.style import evaluate_stylizer, own_style, style_pairs, summarise, with_painting

    pairs = style_pairs(data, styles, size, limit)
    own = own_style(name)
    if own is not None:
        pairs = [with_painting(pair, own) for pair in pairs]
    live = sys.stderr.isatty()
    scores = []
    for engine in ("content", name):
        for one in evaluate_stylizer(engine, pairs, device=device):
            scores.append(one)
            if live:
                line = f"{one.engine} {one.step}: {one.content} as {one.style}  {one.l_tv:.4f}"
                print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
    if live:
        print("\r\x1b[K", end="", file=sys.stderr)
    records = summarise(scores)
    if json:
        emit(
            {
                "model": name,
                "data": str(data),
                "styles": own or (str(styles) if styles else "zoo.gallery"),
                "size": size,
                "pairs": [one.to_dict() for one in scores],
                "summary": records,
            }
        )
        return
    table(style_rows(records))


def style_rows(records: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The summary as rows of a table, the first one being its head."""
    rows: list[tuple[str, ...]] = [("engine", "step", "L_TV", "quartiles", "of content", "seconds", "peak MB")]
    for record in records:
        low, median, high = record["l_tv"]
        peak = "" if record["peak"] is None else f"{record['peak'] / 1e6:.0f}"
        share = f"{record['left'][1]:.0%}"
        step = str(record["step"])
        rows.append(
            (record["engine"], step, f"{median:.4f}", f"{low:.4f}-{high:.4f}", share, f"{record['seconds']:.3f}", peak)
        )
    return rows
