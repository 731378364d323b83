"""The recovery is an interval, and what was not seen of it stays unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.chaos.recovering import RecoveryInterval, in_a_row, recovered, windows_of
from readiness.workload import Transaction
from tests.chaos.trials import at, sent, stretch


def found(traffic: Sequence[Transaction], limit_s: float = 10, watched_s: float = 20) -> RecoveryInterval:
    return recovered(traffic, at(40), at(40 + watched_s), limit_s=limit_s)


def test_it_lies_between_the_last_bad_and_the_first_of_the_row() -> None:
    one = found([*stretch(30, 40, bad=range(30, 40)), *stretch(40, 60, bad=range(40, 44))])
    assert (one.lo_s, one.row_began_s, one.hi_s, one.holds) == (3.5, 4.0, 4.2, True)
    assert one.text == "recovered between 3.5 s and 4.2 s, objective 10.0 s"


def test_the_row_is_as_long_as_chance_asks_for() -> None:
    assert [in_a_row(share) for share in (0.5, 0.3, 0.2, 0.05)] == [5, 9, 14, 59]
    nine = [*stretch(40, 41, bad=[40]), *(sent(41 + n / 2) for n in range(9))]
    assert found(nine).hi_s == 1.2
    assert (found(nine[:-1]).hi_s, found(nine[:-1]).holds, found(nine[:-1]).row) == (None, None, 8)


def test_a_deployment_that_fails_every_third_has_not_recovered() -> None:
    traffic = [sent(40 + n / 2, good=n % 3 != 0) for n in range(60)]
    one = found(traffic, limit_s=10, watched_s=30)
    assert (one.hi_s, one.holds) == (None, False)
    assert one.text.startswith("not seen to recover (60 transactions in 30.0 s, 2 good in a row")


def test_what_was_in_flight_when_it_was_lifted_says_nothing() -> None:
    assert found([sent(39.9, good=False), *stretch(40, 60)]).lo_s == 0


@pytest.mark.parametrize(
    ("bad", "limit_s", "watched_s", "holds"),
    [
        (range(40, 44), 10, 20, True),
        (range(40, 44), 3.9, 20, None),  # handed in at 4.0: nothing was sent between 3.5 and 4.0
        (range(40, 44), 4.1, 20, False),  # handed in inside the objective, and answered after it
        (range(40, 44), 3.4, 20, False),
        (range(40, 60), 10, 20, False),
        (range(40, 60), 20, 20, False),  # not one good, as long as the objective lasts
        (range(40, 60), 30, 20, None),  # not looked at for long enough
        (range(40, 58), 19, 20, None),  # good at the end, too few to count
    ],
)
def test_it_is_judged_by_its_upper_bound(bad: range, limit_s: float, watched_s: float, holds: bool | None) -> None:
    assert found(stretch(40, 60, bad=bad), limit_s, watched_s).holds is holds


def test_nothing_is_shown_by_nothing_and_little_by_little() -> None:
    assert found([]).holds is None
    assert found([sent(41, good=False)], limit_s=5).holds is None
    assert found([sent(49, good=False)], limit_s=5).holds is False


def test_no_objective_is_told_and_not_judged() -> None:
    one = recovered(stretch(40, 60), at(40), at(60))
    assert (one.hi_s, one.holds) == (0.2, None)


def test_a_slow_answer_is_no_normal_one_where_that_is_asked_for() -> None:
    traffic = [*stretch(40, 45, took_s=3), *stretch(45, 60)]
    assert recovered(traffic, at(40), at(60)).row_began_s == 0
    assert recovered(traffic, at(40), at(60), slow_s=1).row_began_s == 5


def test_the_window_after_begins_where_the_row_does() -> None:
    one = found(stretch(40, 60, bad=range(40, 44)))
    windows = windows_of(at(0), at(20), at(40), at(60), one)
    assert [(window.name, window.began_at, window.ended_at) for window in windows] == [
        ("before", at(0), at(20)),
        ("fault", at(20), at(40)),
        ("after", at(44), at(60)),
    ]
    never = windows_of(at(0), at(20), at(40), at(60), found(stretch(40, 60, bad=range(40, 60))))
    assert never[2].began_at == at(40)


def test_a_relapse_is_told() -> None:
    one = found(stretch(40, 60, bad=[55]))
    assert (one.hi_s, one.bad_later) == (0.2, 2)
    assert "2 of those after were bad again" in one.text


@given(st.lists(st.booleans(), max_size=50), st.floats(0.1, 40))
def test_the_bounds_are_ordered_and_a_later_limit_never_breaks(good: list[bool], limit_s: float) -> None:
    traffic = [sent(40 + n / 2, well) for n, well in enumerate(good)]
    one = found(traffic, limit_s, watched_s=25)
    assert one.hi_s is None or one.lo_s <= one.hi_s
    order = [False, None, True]
    later = replace(one, limit_s=limit_s * 1.5)
    assert one.hi_s is None or order.index(one.holds) <= order.index(later.holds)
    if not any(good):
        assert one.holds is not True
