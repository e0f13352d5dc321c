from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.training.clock import ActiveClock
from zoo.training.schedule import Schedule, read_schedule


def test_values_between_points() -> None:
    points = ((0.0, 0.0), (0.5, 2.0), (1.0, 1.0))
    assert Schedule(points, "linear")(0.25) == pytest.approx(1.0)
    assert Schedule(points, "cosine")(0.25) == pytest.approx(1.0)
    assert Schedule(points, "cosine")(0.125) == pytest.approx(2 * (1 - 2**-0.5) / 2)
    assert Schedule(points, "hold")(0.49) == 0.0
    assert Schedule(points, "hold")(0.5) == 2.0
    assert [Schedule(points, kind)(1.0) for kind in ("linear", "cosine", "hold")] == [1.0, 1.0, 1.0]


@given(
    st.lists(st.floats(0.01, 1), unique=True, max_size=4),
    st.floats(0, 1),
    st.sampled_from(["cosine", "linear", "hold"]),
    st.randoms(),
)
def test_never_beyond_its_points(fractions: list[float], at: float, between: str, draw) -> None:  # type: ignore[no-untyped-def]
    levels = [draw.uniform(-3, 3) for _ in range(len(fractions) + 1)]
    schedule = Schedule(tuple(zip([0.0, *sorted(fractions)], levels, strict=True)), between)
    assert min(levels) - 1e-9 <= schedule(at) <= max(levels) + 1e-9


@pytest.mark.parametrize(
    "value",
    [
        "fast",
        [],
        [[0.1, 1]],
        [[0, 1], [0, 2]],
        [[0, 1], [1.5, 2]],
        {"points": [[0, 1]], "between": "magic"},
        {"pts": 1},
    ],
)
def test_refuses_what_is_no_schedule(value: object) -> None:
    with pytest.raises(ValueError, match="where it stands"):
        read_schedule(value, "where it stands")


def test_number_and_list_are_schedules() -> None:
    assert read_schedule(3, "here")(0.7) == 3
    assert read_schedule([[0, 1], [0.5, 2]], "here")(0.7) == 2


class Time:
    def __init__(self) -> None:
        self.value = 100.0

    def __call__(self) -> float:
        return self.value


def test_clock_leaves_out_pauses() -> None:
    now = Time()
    clock = ActiveClock(10.0, now)
    for _ in range(5):
        now.value += 0.5
        clock.tick()
    now.value += 600  # stopped and continued
    clock.tick()
    assert clock.elapsed == pytest.approx(13.0)
    assert clock.paused == pytest.approx(599.5)
    now.value += 1.5  # a slower step, not a pause
    clock.tick()
    assert clock.elapsed == pytest.approx(14.5)


def test_clock_keeps_kinds_of_work_apart() -> None:
    now = Time()
    clock = ActiveClock(0.0, now)
    clock.tick("step")
    for kind, seconds in (("step", 0.1), ("validate", 20.0), ("step", 0.1), ("validate", 25.0)):
        now.value += seconds
        clock.tick(kind)
    assert clock.elapsed == pytest.approx(45.2)


def test_clock_counts_the_lesser_of_wall_and_work() -> None:
    now, worked = Time(), Time()
    clock = ActiveClock(0.0, now, worked)
    for wall, work in ((1.0, 0.25), (1.0, 2.0)):
        now.value += wall
        worked.value += work
        clock.tick()
    assert clock.elapsed == pytest.approx(1.25)
    assert clock.paused == pytest.approx(0.75)
