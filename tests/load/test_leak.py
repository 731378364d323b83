"""A garbage collector's sawtooth is no leak; a slow leak under it is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from readiness.load.stats.leak import leak, slope

if TYPE_CHECKING:
    from numpy.typing import NDArray

BUDGET_MB_PER_H = 2.0


def memory_mb(seed: int, leak_mb_per_h: float, hours: float = 4.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A resident set looked at every minute: sawteeth of 8 MB every ten minutes or so, noise, and a leak."""
    rng = np.random.default_rng(seed)
    times_s = np.arange(0, hours * 3600, 60.0)
    period_s = rng.uniform(400, 800)
    sawtooth = 8.0 * ((times_s + rng.uniform(0, period_s)) % period_s) / period_s
    return times_s, 120 + sawtooth + rng.normal(0, 0.5, times_s.size) + leak_mb_per_h * times_s / 3600


def test_sawteeth_without_a_leak_are_never_called_one() -> None:
    assert not any(leak(*memory_mb(seed, 0.0), BUDGET_MB_PER_H).leaks for seed in range(60))


def test_a_leak_of_5_mb_an_hour_is_found() -> None:
    found = [leak(*memory_mb(seed, 5.0), BUDGET_MB_PER_H) for seed in range(40)]
    assert sum(each.leaks for each in found) >= 38
    assert all(each.slope.low <= each.slope.per_hour <= each.slope.high for each in found)


def test_growth_within_the_budget_is_no_leak() -> None:
    assert not any(leak(*memory_mb(seed, 1.5), BUDGET_MB_PER_H).leaks for seed in range(30))


def test_a_part_of_one_sawtooth_is_not_taken_for_a_leak() -> None:
    times_s = np.arange(0, 120, 1.0)
    wide = 100 + 30 * ((times_s + 10) % 45) / 45
    assert not leak(times_s, wide, BUDGET_MB_PER_H).leaks


def test_the_slope_is_that_of_the_line_outliers_or_not() -> None:
    times_s = np.arange(0, 7200, 10.0)
    values = 50 + 3.0 * times_s / 3600
    values[::10] += 40
    found = slope(times_s, values)
    assert found.per_hour == pytest.approx(3.0, rel=0.05)
    assert found.low <= 3.0 <= found.high


def test_descriptors_that_never_change_have_no_slope() -> None:
    found = leak(np.arange(100.0), np.full(100, 12.0), 0.0)
    assert (found.slope.per_hour, found.leaks) == (0.0, False)


def test_too_few_values_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 8"):
        slope([1, 2, 3], [1, 2, 3])
