"""How much of a time budget is spent: active time only, so that a pause or a crowd does not eat the schedule."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable

import torch

# A gap is a pause, not work, when it is this many times the usual one of its kind and longer than SHORTEST_PAUSE.
PAUSE_FACTOR = 6.0
SHORTEST_PAUSE = 3.0  # seconds
FIRST_GAP = 60.0  # seconds: the most that the first gap of a kind counts (it may hold a warm-up)


def processor_time() -> float:
    """Seconds of processor time of this process, a thread: near the wall clock's, less on a shared machine."""
    return time.process_time() / torch.get_num_threads()


class ActiveClock:
    """Adds up the time between ticks, leaving out what cannot have been work (a stopped process, a sleeping laptop).

    Args:
        elapsed: Seconds already spent, from a checkpoint.
        now: Source of time in seconds.
        worked: Source of a second time that only runs while the process does; the lesser of both counts. None: only
            `now`, which is right where the work is done elsewhere, on a GPU.
    """

    def __init__(
        self,
        elapsed: float = 0.0,
        now: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] | None = None,
    ) -> None:
        self.elapsed = elapsed
        self.paused = 0.0
        self._now = now
        self._worked = worked
        self._last = now()
        self._last_worked = worked() if worked else 0.0
        self._usual: dict[str, deque[float]] = {}

    def tick(self, kind: str = "step") -> float:
        """Count the time since the last tick as one piece of work of this kind; returns the seconds counted."""
        now = self._now()
        wall, self._last = now - self._last, now
        gap = wall
        if self._worked:
            worked = self._worked()
            # never backwards: the number of threads may have changed in between
            gap, self._last_worked = min(wall, max(0.0, worked - self._last_worked)), worked
        usual = self._usual.setdefault(kind, deque(maxlen=21))
        if usual:
            median = statistics.median(usual)
            counted = median if gap > max(PAUSE_FACTOR * median, SHORTEST_PAUSE) else gap
        else:
            counted = min(gap, FIRST_GAP)
        usual.append(counted)
        self.elapsed += counted
        self.paused += wall - counted
        return counted
