"""Does a resource leak: the slope of its use, with an interval, against a budget an hour."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

_MOST_POINTS = 500
"""Pairs grow with the square; longer series are told by the medians of so many equal stretches."""
_FEWEST_POINTS = 8


@dataclass(frozen=True, slots=True)
class Slope:
    """How fast a series grows, in its own unit an hour, with a confidence interval."""

    per_hour: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Leak:
    """A slope held against its budget."""

    slope: Slope
    budget_per_hour: float
    leaks: bool
    """Whether the whole interval lies above the budget."""


def slope(times_s: ArrayLike, values: ArrayLike, confidence: float = 0.95) -> Slope:
    """Estimate the slope of a series as the median of the slopes between all its pairs (Theil 1950, Sen 1968).

    `times_s` in seconds and `values` in any unit, both of shape (n,), n >= 8, else ValueError. The interval is Sen's
    (1968, J. Am. Stat. Assoc. 63), whose normal quantile is widened by the square root of n over the effective number
    of independent values (Hamed and Rao 1998, J. Hydrol. 204): a garbage collector's sawtooth is anything but
    independent, and a plain Mann-Kendall test calls nine of ten leak-free ones a leak.
    """
    from scipy.stats import theilslopes

    x, y = np.asarray(times_s, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1 or x.size < _FEWEST_POINTS:
        raise ValueError(
            f"a slope needs at least {_FEWEST_POINTS} values with an instant each; got {x.shape}, {y.shape}"
        )
    x, y = _thinned(x, y)
    middle = float(theilslopes(y, x)[0])
    inflation = _inflation(y - middle * x)
    normal = NormalDist()
    beyond = 2 * normal.cdf(-normal.inv_cdf((1 + confidence) / 2) * np.sqrt(inflation))
    found = theilslopes(y, x, alpha=max(beyond, 1e-12))
    return Slope(found[0] * 3600, found[2] * 3600, found[3] * 3600)


def leak(times_s: ArrayLike, values: ArrayLike, budget_per_hour: float, confidence: float = 0.95) -> Leak:
    """Hold the slope of a series against a budget in the series' unit an hour.

    A leak is told only where the lower confidence bound is above the budget: growth that the budget allows, or that
    the length of the series cannot tell from a sawtooth, is none.
    """
    found = slope(times_s, values, confidence)
    return Leak(found, budget_per_hour, found.low > budget_per_hour)


def _thinned(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if x.size <= _MOST_POINTS:
        return x, y
    parts = zip(np.array_split(x, _MOST_POINTS), np.array_split(y, _MOST_POINTS), strict=True)
    medians = np.array([(np.median(a), np.median(b)) for a, b in parts])
    return medians[:, 0], medians[:, 1]


def _inflation(residuals: NDArray[np.float64]) -> float:
    """Give Hamed and Rao's n / n*: 1 + 2/(n(n-1)(n-2)) Σ (n-i)(n-i-1)(n-i-2) ρ(i), over significant ρ of the ranks."""
    n = residuals.size
    ranks = np.argsort(np.argsort(residuals)).astype(np.float64)
    centred = ranks - ranks.mean()
    power = float(centred @ centred)
    if power <= 0:
        return 1.0
    correlations = np.correlate(centred, centred, "full")[n:] / power
    significant = np.where(np.abs(correlations) > NormalDist().inv_cdf(0.975) / np.sqrt(n), correlations, 0.0)
    i = np.arange(1, n)
    weights = (n - i) * (n - i - 1.0) * (n - i - 2.0)
    return max(1.0, 1 + 2 / (n * (n - 1.0) * (n - 2.0)) * float((weights * significant).sum()))
