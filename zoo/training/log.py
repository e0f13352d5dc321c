"""The log of a run: values.csv, metrics.csv, and pictures of both."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..images import as_pil

COMMON = ("step", "fraction", "seconds")


class Log:
    """Appends to csv files in a run's folder.

    Args:
        folder: The run's folder.
        step: Step at which the run starts; rows of later steps, from a session that was killed after its last
            checkpoint, are dropped.
    """

    def __init__(self, folder: Path, step: int) -> None:
        self.folder = folder
        for name in ("values", "metrics"):
            rows = read_rows(folder / f"{name}.csv")
            kept = [row for row in rows if step > 0 and row["step"] <= step]
            _write(folder / f"{name}.csv", kept)

    def values(self, step: int, fraction: float, seconds: float, values: Mapping[str, float]) -> None:
        """Add a row of training values."""
        self._append("values", step, fraction, seconds, values)

    def metrics(self, step: int, fraction: float, seconds: float, metrics: Mapping[str, float]) -> None:
        """Add a row of validation metrics."""
        if metrics:
            self._append("metrics", step, fraction, seconds, metrics)

    def _append(self, name: str, step: int, fraction: float, seconds: float, values: Mapping[str, float]) -> None:
        path = self.folder / f"{name}.csv"
        row = {"step": step, "fraction": round(fraction, 6), "seconds": round(seconds, 1), **values}
        fresh = not path.exists() or path.stat().st_size == 0
        with open(path, "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if fresh:
                writer.writeheader()
            writer.writerow(row)

    def draw(self, picture: Tensor | None) -> None:
        """Write curve.png from the csv files, and samples.png from a picture (3, H, W) in [0, 1]."""
        draw_curves(self.folder)
        if picture is not None:
            as_pil(picture).save(self.folder / "samples.png")


def read_rows(path: Path) -> list[dict[str, float]]:
    """Rows of one of the log's csv files; none if there is no such file. A last line cut short is left out."""
    if not path.exists():
        return []
    rows = []
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                rows.append({key: float(value) for key, value in row.items()})
            except (TypeError, ValueError):
                continue
    return rows


def _write(path: Path, rows: list[dict[str, float]]) -> None:
    if not rows:
        path.unlink(missing_ok=True)
        return
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({**row, "step": int(row["step"])})


def draw_curves(folder: Path) -> None:
    """Write curve.png: every logged value and metric but the common columns, over the step."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    series: dict[str, tuple[list[float], list[float]]] = {}
    for name in ("values", "metrics"):
        for row in read_rows(folder / f"{name}.csv"):
            for key in row.keys() - set(COMMON):
                xs, ys = series.setdefault(f"{name}: {key}", ([], []))
                xs.append(row["step"])
                ys.append(row[key])
    if not series:
        return
    columns = min(3, len(series))
    figure, axes = pyplot.subplots(
        -(-len(series) // columns), columns, figsize=(4 * columns, 2.6 * -(-len(series) // columns)), squeeze=False
    )
    for axis, key in zip(axes.flat, sorted(series, reverse=True), strict=False):
        axis.plot(*series[key], marker="." if len(series[key][0]) < 30 else "")
        axis.set_title(key, fontsize=8)
        axis.tick_params(labelsize=7)
    for axis in list(axes.flat)[len(series) :]:
        axis.axis("off")
    figure.tight_layout()
    figure.savefig(folder / "curve.png", dpi=80)
    pyplot.close(figure)
