"""The credit of one gate, and what k of n proves."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.model import Mode, Outcome, Risk
from readiness.score import State
from readiness.score.aggregation import half_weakest, weighted_mean
from readiness.score.confidence import lower_bound, upper_bound
from readiness.score.credit import credit, freshness
from readiness.score.decision import percent
from tests.score.suites import NOW, TTL_S, finding, gate

ONE = gate("OPS-BAK-003")
STATED = gate("OPS-RUN-001", mode=Mode.ATTEST)
SAMPLED = gate("ARC-CAN-007", statistical=True)


@pytest.mark.parametrize(
    ("scored", "state", "interval"),
    [
        (credit(ONE, finding(ONE), NOW), State.PASS, (1, 1)),
        (credit(ONE, finding(ONE, age_s=TTL_S / 2), NOW), State.PASS, (1, 1)),
        (credit(ONE, finding(ONE, age_s=TTL_S * 3 / 4), NOW), State.PASS, (0.5, 1)),
        (credit(ONE, finding(ONE, age_s=TTL_S), NOW), State.STALE, (0, 1)),
        (credit(ONE, finding(ONE, Outcome.FAIL), NOW), State.FAIL, (0, 0)),
        (credit(ONE, finding(ONE, Outcome.FAIL, age_s=9 * TTL_S), NOW), State.FAIL, (0, 0)),
        (credit(ONE, finding(ONE, Outcome.UNKNOWN), NOW), State.UNKNOWN, (0, 1)),
        (credit(ONE, finding(ONE, Outcome.NOT_APPLICABLE), NOW), State.NOT_APPLICABLE, (0, 1)),
        (credit(ONE, None, NOW), State.LEFT_OUT, (0, 1)),
        (credit(STATED, finding(STATED), NOW), State.PASS, (0.8, 1)),
        (credit(STATED, finding(STATED, age_s=TTL_S * 3 / 4), NOW), State.PASS, (0.4, 1)),
        (credit(SAMPLED, finding(SAMPLED, successes=29, trials=29), NOW), State.PASS, (0.901855, 1)),
        (credit(SAMPLED, finding(SAMPLED, successes=9, trials=10), NOW), State.PASS, (0.605837, 0.994884)),
        (
            credit(SAMPLED, finding(SAMPLED, successes=9, trials=10, age_s=TTL_S * 3 / 4), NOW),
            State.PASS,
            (0.302918, 0.997442),
        ),
        (credit(SAMPLED, finding(SAMPLED), NOW), State.PASS, (0, 1)),
    ],
)
def test_the_interval_of_a_gate(scored: object, state: State, interval: tuple[float, float]) -> None:
    assert scored.state is state  # type: ignore[attr-defined]
    assert (scored.lo, scored.hi) == pytest.approx(interval, abs=1e-6)  # type: ignore[attr-defined]


def test_the_count_of_a_drill_is_told_beside_its_credit() -> None:
    scored = credit(ONE, finding(ONE, successes=1, trials=1), NOW)
    assert scored.lo == 1
    assert scored.confidence == pytest.approx(0.05)
    assert credit(ONE, finding(ONE), NOW).confidence is None


def test_evidence_without_a_time_to_live_counts_only_at_once() -> None:
    assert [freshness(0, 0), freshness(1, 0)] == [1, 0]


@pytest.mark.parametrize(
    ("successes", "trials", "lower", "upper"),
    # Of n successes in a row the bound is 0.05 to the power of 1/n.
    [(1, 1, 0.05, 1), (29, 29, 0.9018554, 1), (0, 10, 0, 0.2588656), (9, 10, 0.6058367, 0.9948838), (0, 0, 0, 1)],
)
def test_the_bounds_of_clopper_and_pearson(successes: int, trials: int, lower: float, upper: float) -> None:
    assert lower_bound(successes, trials) == pytest.approx(lower, abs=1e-7)
    assert upper_bound(successes, trials) == pytest.approx(upper, abs=1e-7)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n - 1), st.just(n))))
def test_one_more_success_proves_more(count: tuple[int, int]) -> None:
    successes, trials = count
    assert lower_bound(successes, trials) < lower_bound(successes + 1, trials)
    assert lower_bound(successes, trials) <= successes / trials <= upper_bound(successes, trials)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))))
def test_the_lower_bound_is_where_so_many_successes_become_unlikely(count: tuple[int, int]) -> None:
    successes, trials = count
    p = lower_bound(successes, trials)
    tail = math.fsum(math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(successes, trials + 1))
    assert tail == pytest.approx(0.05, abs=1e-9)


def test_a_large_sample_is_quick_and_narrow() -> None:
    assert 0.9948 < lower_bound(995_000, 1_000_000) < 0.995 < upper_bound(995_000, 1_000_000) < 0.9952


def test_an_impossible_count_is_refused() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        lower_bound(3, 2)


def test_the_means() -> None:
    assert weighted_mean([1, 0], [Risk.CRITICAL.weight, Risk.LOW.weight]) == pytest.approx(8 / 9)
    assert half_weakest([1, 1, 1, 1, 1, 0]) == pytest.approx(0.416667, abs=1e-6)
    assert (weighted_mean([], []), half_weakest([])) == (0, 0)


def test_a_share_is_rounded_down() -> None:
    assert [percent(x) for x in (1, 0.57, 0.74999, 0.7496, 0)] == ["100 %", "57 %", "74.9 %", "74.9 %", "0 %"]
