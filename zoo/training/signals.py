"""Stopping a run from outside without losing what it has done."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, so that the loop can write its checkpoint first; a second one kills."""
    told = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in signals}

    def stop(number: int, frame: object) -> None:
        told.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in signals:
        signal.signal(number, stop)
    try:
        yield told
    finally:
        for number in signals:
            signal.signal(number, before[number])
