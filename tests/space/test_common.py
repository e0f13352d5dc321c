"""Errors: what a visitor sees of them, and what stays in the log."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

import zoo
from space.common import GENERIC, OUT_OF_MEMORY, guarded
from zoo.noise import check_sigma


def wrong_argument() -> None:
    check_sigma(-1)


def unknown_model() -> None:
    zoo.info("tv2d.anisotropc")


def a_bug() -> None:
    int("not a number")


def no_memory() -> None:
    raise MemoryError


def meant_for_the_visitor() -> None:
    raise gr.Error("as it is")


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (wrong_argument, "sigma: a noise level"),
        (unknown_model, "did you mean"),
        (a_bug, GENERIC),
        (no_memory, OUT_OF_MEMORY),
        (meant_for_the_visitor, "as it is"),
    ],
)
def test_messages(handler: Any, message: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "space"), pytest.raises(gr.Error) as error:
        guarded(handler)()
    assert message in error.value.message
    assert "Traceback" not in error.value.message
    ours = handler in (wrong_argument, unknown_model, meant_for_the_visitor)
    assert bool(caplog.records) == (not ours), "the log has what the visitor is not told"
    if handler is a_bug:
        assert "not a number" not in error.value.message
        assert caplog.records[0].exc_info is not None


def test_generators_stay_generators() -> None:
    @guarded
    def two(first: int, last: int = 3) -> Iterator[int]:
        yield first
        check_sigma(-last)

    assert inspect.isgeneratorfunction(two)
    assert list(inspect.signature(two).parameters) == ["first", "last"]
    numbers = two(1)
    assert next(numbers) == 1
    with pytest.raises(gr.Error, match="sigma"):
        next(numbers)


def test_stopping_a_generator_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    closed = []

    @guarded
    def forever() -> Iterator[int]:
        try:
            while True:
                yield 1
        finally:
            closed.append(True)

    numbers = forever()
    next(numbers)
    numbers.close()
    assert closed == [True]
    assert not caplog.records
