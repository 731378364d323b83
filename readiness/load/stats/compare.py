"""Is the candidate worse than the baseline: block bootstrap of a ratio, with an effect that must be worth an alarm.

Latencies of one run depend on each other (a freeze slows hundreds of them), so tests that take them for independent
call a quarter to a half of identical builds different. Here whole blocks of consecutive transactions are drawn again
(moving blocks, Kuensch 1989, Ann. Statist. 17), as long as the series' own autocorrelation asks for (Politis and White
2004, corrected by Patton et al. 2009), and a metric is `worse` only where the whole interval of its ratio lies beyond
the tolerance. Intervals are percentile intervals (Efron 1979). Confidence is not shared between the metrics: the guard
keeps the false alarms of all of them together under 5 %, as the tests show by simulation.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from readiness.load.buckets import indices, value_s

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 1000
QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
ERROR_FLOOR = 0.01
"""Added to both error shares before they are divided: against no error at all every ratio would be infinite."""
_EXACT_UP_TO = 20_000
"""Transactions that are drawn one by one; more are drawn in `_UNITS` groups of neighbours, in buckets of 0.4 %."""
_UNITS = 2000
_CHUNK = 2_000_000
_FEWEST = 20
_ENOUGH_BLOCKS = 20
"""With fewer blocks the interval comes out too short (by simulation: 11 % false alarms at five of them), so that the
tails are cut off in proportion."""

_Estimates = dict[str, "NDArray[np.float64]"]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """What a run gave, in the order of its intended starts."""

    latencies_s: NDArray[np.float64]
    """Shape (n,), seconds from the intended start; NaN for what has no latency (shed, not accepted)."""
    broken: NDArray[np.bool_]
    """Shape (n,), whether the transaction counts as an error."""
    served_per_s: NDArray[np.float64]
    """Shape (seconds,), how many were served of those meant for each second."""
    utilisation: NDArray[np.float64] | None = None
    """Shape (looks,), what the deployment used of a resource, in any unit."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric of two runs and the interval of the ratio B : A."""

    metric: str
    a: float
    """Seconds for latencies, transactions a second for throughput, a share for errors."""
    b: float
    ratio: float
    low: float
    high: float
    worse: bool
    better: bool


def compare(
    a: Series, b: Series, tolerance: float = 0.10, confidence: float = 0.95, seed: int = 1, resamples: int = RESAMPLES
) -> tuple[Compared, ...]:
    """Compare a candidate B with a baseline A, metric by metric.

    `tolerance` is the share that a metric may get worse by without being worth an alarm. p50, p95 and p99 of latency,
    the error share and utilisation get worse upwards, throughput downwards (beyond 1 / (1 + tolerance)). Fewer than
    20 transactions on either side are a ValueError: they say nothing.
    """
    if min(a.latencies_s.size, b.latencies_s.size) < _FEWEST:
        raise ValueError(f"fewer than {_FEWEST} transactions on one side: nothing can be compared")
    if a.utilisation is None or b.utilisation is None:
        a, b = (Series(each.latencies_s, each.broken, each.served_per_s) for each in (a, b))
    rng = np.random.default_rng(seed)
    (first, blocks_a), (second, blocks_b) = (_resampled(each, rng, resamples) for each in (a, b))
    tail = (1 - confidence) / 2 * min(1.0, min(blocks_a, blocks_b) / _ENOUGH_BLOCKS)
    return tuple(
        _compared(name, first[name], second[name], tail, tolerance)
        for name in first
        if np.isfinite(first[name][0]) and np.isfinite(second[name][0])
    )


def false_alarms(a: Series, tolerance: float = 0.10, confidence: float = 0.95, trials: int = 100, seed: int = 1) -> int:
    """Count how often A is called worse than itself, of `trials`.

    A is cut into blocks, which are dealt at random to two halves that are then compared. Both halves are half as long
    as A, so the whole of A raises fewer false alarms than that.
    """
    rng = np.random.default_rng(seed)
    pairs = [_halves(a, rng) for _ in range(trials)]
    told = [compare(one, other, tolerance, confidence, seed, RESAMPLES // 4) for one, other in pairs]
    return len([found for found in told if any(each.worse for each in found)])


def block_length(values: NDArray[np.float64]) -> int:
    """Give the length of blocks for a series of shape (n,): Politis and White's rule, at least the cube root of n.

    b = (2 G² / D)^(1/3) · n^(1/3) with D = 4/3 · g(0)², where g(0) = Σ λ(k/M) R(k) and G = Σ λ(k/M) |k| R(k) over the
    autocovariances R under a flat-top window λ, and M twice the lag after which no autocorrelation is significant.
    """
    n = values.size
    least, most = max(1, round(math.cbrt(n))), max(1, n // 5)
    centred = values - values.mean()
    variance = float(centred @ centred) / n
    if n < 10 or variance <= 0:
        return min(least, most)
    lags = min(n - 1, int(np.ceil(np.sqrt(n))) + 20)
    spectrum = np.fft.rfft(centred, 2 * n)
    covariances = np.fft.irfft(spectrum * np.conj(spectrum))[: lags + 1] / n
    significant = np.flatnonzero(np.abs(covariances[1:]) > 2 * np.sqrt(np.log10(n) / n) * variance)
    last = int(significant[-1]) + 1 if significant.size else 1
    window = 2 * min(last, lags // 2)
    k = np.arange(1, window + 1)
    flat_top = np.clip(2 * (1 - k / window), 0, 1)
    weighted = flat_top * covariances[1 : window + 1]
    g0 = covariances[0] + 2 * weighted.sum()
    moment = 2 * float((k * weighted).sum())
    wanted = (2 * moment**2 / (4 / 3 * g0**2)) ** (1 / 3) * n ** (1 / 3) if g0 > 0 else most
    return int(np.clip(np.ceil(wanted), least, max(most, 1)))


def _compared(name: str, a: NDArray[np.float64], b: NDArray[np.float64], tail: float, tolerance: float) -> Compared:
    floor = ERROR_FLOOR if name == "errors" else 0.0
    ratios = (b + floor) / np.maximum(a + floor, 1e-12)
    low, high = np.quantile(ratios[1:], [tail, 1 - tail])
    above, below = low > 1 + tolerance, high < 1 / (1 + tolerance)
    worse, better = (below, above) if name == "throughput" else (above, below)
    return Compared(
        name, float(a[0]), float(b[0]), float(ratios[0]), float(low), float(high), bool(worse), bool(better)
    )


def _resampled(series: Series, rng: np.random.Generator, resamples: int) -> tuple[_Estimates, float]:
    """Give each metric as measured, then once for every resample, shape (1 + resamples,), and the number of blocks."""
    timed = np.nan_to_num(np.log(np.maximum(series.latencies_s, 1e-9)))
    length = block_length(timed)
    draw = _drawn_one_by_one if series.latencies_s.size <= _EXACT_UP_TO else _drawn_in_units
    found = draw(series, length, rng, resamples)
    for name, values in (("throughput", series.served_per_s), ("utilisation", series.utilisation)):
        if values is not None and values.size:
            found[name] = _means(values, rng, resamples)
    return found, series.latencies_s.size / length


def _drawn_one_by_one(series: Series, length: int, rng: np.random.Generator, resamples: int) -> _Estimates:
    n = series.latencies_s.size

    def measure(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        latencies = np.sort(series.latencies_s[chosen], axis=1)  # NaN comes last
        counts = np.isfinite(latencies).sum(axis=1)
        rows = np.arange(len(chosen))
        quantiles = [
            np.where(
                counts > 0, latencies[rows, np.maximum(np.ceil(q * counts - 1e-9).astype(np.int64), 1) - 1], np.nan
            )
            for q in QUANTILES.values()
        ]
        return np.stack([*quantiles, series.broken[chosen].mean(axis=1)])

    return _named(_over(n, length, rng, resamples, measure))


def _drawn_in_units(series: Series, length: int, rng: np.random.Generator, resamples: int) -> _Estimates:
    """Draw groups of neighbours instead of single transactions; a group is told by its counts in log buckets."""
    n = series.latencies_s.size
    unit = np.arange(n) * _UNITS // n
    finite = np.isfinite(series.latencies_s)
    found, position = np.unique(indices(series.latencies_s[finite]), return_inverse=True)
    counts = np.zeros((_UNITS, found.size), dtype=np.float32)
    np.add.at(counts, (unit[finite], position), 1)
    values = np.array([value_s(int(bucket)) for bucket in found])
    sizes = np.bincount(unit, minlength=_UNITS)
    broken = np.bincount(unit, weights=series.broken, minlength=_UNITS)

    def measure(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        weights = np.stack([np.bincount(row, minlength=_UNITS) for row in chosen]).astype(np.float32)
        seen = np.cumsum(weights @ counts, axis=1)
        quantiles = [values[np.argmax(seen >= q * seen[:, -1:], axis=1)] for q in QUANTILES.values()]
        return np.stack([*quantiles, (weights @ broken) / (weights @ sizes)])

    return _named(_over(_UNITS, max(1, -(-length * _UNITS // n)), rng, resamples, measure))


def _means(values: NDArray[np.float64], rng: np.random.Generator, resamples: int) -> NDArray[np.float64]:
    def measure(chosen: NDArray[np.int64]) -> NDArray[np.float64]:
        means: NDArray[np.float64] = values[chosen].mean(axis=1)[np.newaxis]
        return means

    found: NDArray[np.float64] = _over(values.size, block_length(values), rng, resamples, measure)[0]
    return found


def _over(
    n: int,
    length: int,
    rng: np.random.Generator,
    resamples: int,
    measure: Callable[[NDArray[np.int64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Measure the series itself, then resamples of it, in pieces that memory bears; shape (metrics, 1 + resamples)."""
    parts = [measure(np.arange(n)[np.newaxis])]
    at_a_time = max(1, _CHUNK // n)
    for done in range(0, resamples, at_a_time):
        rows = min(at_a_time, resamples - done)
        begins = rng.integers(0, n - length + 1, (rows, -(-n // length)))
        chosen = (begins[:, :, np.newaxis] + np.arange(length)).reshape(rows, -1)[:, :n]
        parts.append(measure(chosen))
    return np.concatenate(parts, axis=1)


def _named(estimates: NDArray[np.float64]) -> _Estimates:
    return dict(zip((*QUANTILES, "errors"), estimates, strict=True))


def _halves(a: Series, rng: np.random.Generator) -> tuple[Series, Series]:
    blocks = int(np.clip(a.latencies_s.size // 20, 4, 40)) // 2 * 2
    dealt = rng.permutation(blocks)

    def part(values: NDArray[np.float64], which: NDArray[np.int64]) -> NDArray[np.float64]:
        pieces = np.array_split(values, blocks)
        return np.concatenate([pieces[number] for number in np.sort(which)])

    def half(which: NDArray[np.int64]) -> Series:
        used = None if a.utilisation is None else part(a.utilisation, which)
        broken = part(a.broken.astype(np.float64), which) > 0
        return Series(part(a.latencies_s, which), broken, part(a.served_per_s, which), used)

    return half(dealt[: blocks // 2]), half(dealt[blocks // 2 :])
