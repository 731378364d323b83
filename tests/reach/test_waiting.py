from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.waiting import Deadline, NotInTime, Pace, eventually


def test_eventually_gives_the_value_that_was_awaited() -> None:
    values = iter([0, 1, 2, 3])
    assert eventually(lambda: next(values), within=30, every_s=0.001, until=lambda value: value == 2) == 2


def test_eventually_asks_once_even_without_time() -> None:
    assert eventually(lambda: 7, within=0) == 7
    with pytest.raises(NotInTime) as late:
        eventually(lambda: "still down", within=0.05, every_s=0.01, until=lambda value: value == "up")
    assert late.value.last == "still down" and "still down" in str(late.value)


def test_eventually_looks_once_more_at_the_deadline() -> None:
    began = Deadline.after(0.3)
    assert eventually(lambda: began.left_s < 0.05, within=began, every_s=10)


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_within_is_never_later_than_either(first: float, second: float) -> None:
    deadline = Deadline.after(first)
    assert deadline.within(second).at_s <= deadline.at_s
    assert deadline.within(second).left_s <= second + 1e-3


def test_a_pace_is_kept_by_all_its_threads_and_stops() -> None:
    pace, stop = Pace(1000.0), threading.Event()
    assert all(pace.wait(Deadline.after(10)) for _ in range(5))
    slow = Pace(0.01)
    assert slow.wait(Deadline.after(1))
    assert not slow.wait(Deadline.after(1)), "the next turn comes after the deadline"
    stop.set()
    assert not Pace(1.0).wait(Deadline.after(10), stop)
