"""The time from the end of a disturbance to five normal seconds in a row."""

from __future__ import annotations

import pytest

from readiness.load.results import SecondRow
from readiness.load.stats.recovery import recovered

DROPPED = 20


def row(second: int, p95_ms: float | None = 40.0, broken: int = 0, shed: int = 0, started: int = 20) -> SecondRow:
    return SecondRow(second, 20, started, started - broken - shed, shed, broken, 20.0, p95_ms, p95_ms)


def run(after: list[SecondRow]) -> list[SecondRow]:
    return [row(second) for second in range(10)] + [row(second, 900.0) for second in range(10, DROPPED)] + after


def test_a_system_that_is_well_at_once_took_no_time() -> None:
    found = recovered(run([row(DROPPED + i) for i in range(10)]), (0, 10), DROPPED)
    assert found.seconds == 0.0
    assert found.p95_limit_ms == pytest.approx(98.0)


def test_the_first_of_five_normal_seconds_counts() -> None:
    slow = [row(DROPPED + i, 300.0) for i in range(7)]
    blip = [row(27), row(28), row(29), row(30), row(31, 500.0)]
    found = recovered(run([*slow, *blip, *(row(32 + i) for i in range(6))]), (0, 10), DROPPED)
    assert found.seconds == 12.0
    assert found.worst_p95_ms == 500.0


def test_errors_and_sheds_are_not_normal() -> None:
    failing = [row(DROPPED + i, broken=1) for i in range(4)] + [row(DROPPED + 4 + i, shed=2) for i in range(4)]
    found = recovered(run([*failing, *(row(28 + i) for i in range(6))]), (0, 10), DROPPED)
    assert found.seconds == 8.0


def test_what_stays_slow_or_refuses_everything_never_recovers() -> None:
    assert recovered(run([row(DROPPED + i, 200.0) for i in range(30)]), (0, 10), DROPPED).seconds is None
    refusing = [row(DROPPED + i, None, shed=20) for i in range(30)]
    assert recovered(run(refusing), (0, 10), DROPPED).seconds is None
    hung = [SecondRow(DROPPED + i, 20, 0, 0, 0, 0, None, None, None) for i in range(30)]
    assert recovered(run(hung), (0, 10), DROPPED).seconds is None


def test_four_normal_seconds_before_the_end_are_too_few() -> None:
    assert recovered(run([row(DROPPED + i) for i in range(4)]), (0, 10), DROPPED).seconds is None


def test_seconds_without_a_planned_transaction_break_no_row() -> None:
    idle = [SecondRow(DROPPED + i, 0, 0, 0, 0, 0, None, None, None) if i % 2 else row(DROPPED + i) for i in range(12)]
    assert recovered(run(idle), (0, 10), DROPPED).seconds == 0.0


def test_without_anything_before_nothing_is_normal() -> None:
    with pytest.raises(ValueError, match="nothing is normal"):
        recovered(run([]), (30, 40), DROPPED)


def test_the_second_in_which_the_disturbance_begins_is_no_measure_of_calm() -> None:
    torn = [row(second) for second in range(9)] + [row(9, 2000.0, shed=6)] + run([])[10:]
    refusing = [row(DROPPED + i, shed=6) for i in range(30)]
    found = recovered([*torn, *refusing], (0, 9.7), DROPPED)
    assert (found.seconds, found.error_limit) == (None, 0.0)
    assert found.p95_limit_ms == pytest.approx(98.0)


def test_a_calm_of_less_than_a_second_is_measured_all_the_same() -> None:
    assert recovered(run([row(DROPPED + i) for i in range(10)]), (0, 0.7), DROPPED).seconds == 0.0
