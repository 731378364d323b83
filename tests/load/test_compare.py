"""Two runs compared: identical ones raise no alarm, and what got worse is found, by simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.load.stats import compare as under_test
from readiness.load.stats.compare import Compared, Series, block_length, compare, false_alarms

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 300


def latencies(rng: np.random.Generator, n: int, correlation: float = 0.6, spread: float = 0.5) -> NDArray[np.float64]:
    """Log-normal latencies around 100 ms that depend on one another: a first-order autoregression underneath."""
    steps = rng.normal(size=n) * np.sqrt(1 - correlation**2)
    level = np.empty(n)
    level[0] = rng.normal()
    for i in range(1, n):
        level[i] = correlation * level[i - 1] + steps[i]
    return 0.1 * np.exp(spread * level)


def series(values: NDArray[np.float64], per_s: int = 20, errors: float = 0.0, seed: int = 1) -> Series:
    broken = np.random.default_rng(seed).random(values.size) < errors
    return Series(values, broken, np.full(values.size // per_s, per_s * (1 - errors)))


def told(found: tuple[Compared, ...], name: str) -> Compared:
    return next(each for each in found if each.metric == name)


def test_identical_builds_raise_false_alarms_in_no_more_than_5_percent() -> None:
    rng = np.random.default_rng(11)
    pairs = 220
    alarms = 0
    for seed in range(pairs):
        a, b = series(latencies(rng, 400)), series(latencies(rng, 400))
        alarms += any(each.worse for each in compare(a, b, seed=seed, resamples=RESAMPLES))
    assert alarms <= 0.05 * pairs


def test_a_quarter_slower_is_found_every_time() -> None:
    rng = np.random.default_rng(12)
    for seed in range(30):
        a, b = series(latencies(rng, 2400)), series(1.25 * latencies(rng, 2400))
        assert any(each.worse for each in compare(a, b, seed=seed, resamples=RESAMPLES))
        assert not any(each.worse for each in compare(b, a, seed=seed, resamples=RESAMPLES))


def test_p99_doubled_at_the_same_p50_is_found_in_240_transactions() -> None:
    rng = np.random.default_rng(13)
    found = elsewhere = 0
    for seed in range(40):
        a, b = latencies(rng, 240, 0.3, 0.4), latencies(rng, 240, 0.3, 0.4)
        b[::25] = np.maximum(b[::25], 2.1 * 0.1 * np.exp(0.4 * 2.326))
        compared = compare(series(a), series(b), seed=seed, resamples=RESAMPLES)
        found += told(compared, "p99").worse
        elsewhere += told(compared, "p50").worse
    assert found >= 39
    assert elsewhere <= 2


def test_every_metric_gets_worse_in_its_own_direction() -> None:
    calm = latencies(np.random.default_rng(14), 1000, 0.0, 0.1)
    a = Series(calm, np.zeros(1000, dtype=bool), np.full(50, 20.0), np.full(50, 0.4))
    broken = np.zeros(1000, dtype=bool)
    broken[::20] = True
    b = Series(calm, broken, np.full(50, 15.0), np.full(50, 0.6))
    assert {each.metric: each.worse for each in compare(a, b)} == {
        "p50": False,
        "p95": False,
        "p99": False,
        "errors": True,
        "throughput": True,
        "utilisation": True,
    }
    assert {each.metric for each in compare(b, a) if each.better} == {"errors", "throughput", "utilisation"}


def test_what_was_shed_has_no_latency_and_a_run_without_any_is_compared_by_the_rest() -> None:
    nothing = np.full(100, np.nan)
    broken = np.ones(100, dtype=bool)
    found = compare(series(latencies(np.random.default_rng(1), 100)), Series(nothing, broken, np.zeros(5)))
    assert {each.metric: each.worse for each in found} == {"errors": True, "throughput": True}


def test_many_transactions_are_drawn_in_groups_and_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(15)
    a, b = series(latencies(rng, 12_000)), series(1.3 * latencies(rng, 12_000))
    exact = compare(a, b, resamples=100)
    monkeypatch.setattr(under_test, "_EXACT_UP_TO", 1000)
    grouped = compare(a, b, resamples=100)
    for one, other in zip(exact, grouped, strict=True):
        assert other.ratio == pytest.approx(one.ratio, rel=0.01)
        assert other.worse == one.worse
        assert other.low == pytest.approx(one.low, rel=0.03)


def test_the_false_alarms_of_a_run_against_itself_are_counted() -> None:
    steady = series(latencies(np.random.default_rng(16), 600))
    assert false_alarms(steady, trials=20) <= 1


def test_too_few_transactions_are_refused() -> None:
    short = series(np.full(19, 0.1))
    with pytest.raises(ValueError, match="fewer than 20 transactions"):
        compare(short, short)


def test_blocks_are_longer_where_values_depend_on_one_another() -> None:
    rng = np.random.default_rng(17)
    lengths = [block_length(np.log(latencies(rng, 4000, correlation))) for correlation in (0.0, 0.6, 0.95)]
    assert lengths[0] < lengths[1] < lengths[2]
    assert lengths[0] >= round(4000 ** (1 / 3))


@given(st.integers(20, 200), st.floats(0.001, 10))
@settings(max_examples=20, deadline=None)
def test_a_constant_series_is_no_different_from_itself(n: int, value_s: float) -> None:
    same = series(np.full(n, value_s))
    assert not any(each.worse or each.better for each in compare(same, same, resamples=20))
