"""Timing: the candidates take turns, so that whatever else the machine does falls on all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Row:
    """One candidate of a comparison."""

    name: str
    call: Callable[[], Any]
    rounds: int = 20
    note: str = ""
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    @property
    def best(self) -> float:
        """Seconds."""
        return min(self.seconds)


SHORT = 0.1  # seconds
PAUSE = 0.05


def take_turns(rows: list[Row]) -> None:
    """Times every row `rounds` times, after one call to warm up.

    Threads of a parallel library spin for a while after its call and would slow the next row down: a short call waits
    for them to fall asleep, and is made three times more, untimed, before the one that counts.
    """
    short = []
    for row in rows:
        start = time.perf_counter()
        row.call()
        if time.perf_counter() - start < SHORT:
            short.append(row)
    for turn in range(max(row.rounds for row in rows)):
        for row in rows:
            if turn < row.rounds:
                if row in short:
                    time.sleep(PAUSE)
                    for _ in range(3):
                        row.call()
                start = time.perf_counter()
                row.call()
                row.seconds.append(time.perf_counter() - start)


def report(title: str, rows: list[Row], target: dict[str, float] | None = None) -> dict[str, Any]:
    """Prints a table with the ratio of each row to the first, which is ours, and returns it for the JSON file.

    Args:
        target: of a row's name, the ratio that is aimed at.
    """
    ours = rows[0]
    print(f"\n{title}")
    print(f"  {'':44}{'median ms':>11}{'best ms':>10}{'ratio':>9}{'aim':>7}")
    table = []
    for row in rows:
        ratio = row.median / ours.median
        aim = (target or {}).get(row.name)
        mark = "" if aim is None else f"{aim:>6.0f}x"
        shown = "" if row is ours else f"{ratio:>8.1f}x"
        print(f"  {row.name:44}{row.median * 1e3:>11.2f}{row.best * 1e3:>10.2f}{shown:>9}{mark:>7}  {row.note}")
        table.append(
            {
                "name": row.name,
                "median_ms": row.median * 1e3,
                "best_ms": row.best * 1e3,
                "ratio": ratio,
                "aim": aim,
                "reached": None if aim is None else ratio >= aim,
                "note": row.note,
            }
        )
    return {"title": title, "rows": table}
