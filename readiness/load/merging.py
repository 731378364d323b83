"""What all workers' records say together: counts and latencies of a stage, of a second, and errors by kind."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from readiness.load.buckets import Histogram, value_s
from readiness.load.plan import OPEN, Plan
from readiness.load.recordings import Recording, Rollup
from readiness.load.samples import BROKEN, DTYPE, SERVED, TIMED, Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OUTCOMES = len(Outcome)
_BEYOND = "kinds not told apart beyond the raw samples"


@dataclass(frozen=True, slots=True)
class Latencies:
    """The distribution of one kind of time, in seconds; all None where nothing was measured."""

    n: int
    mean_s: float | None = None
    p50_s: float | None = None
    p90_s: float | None = None
    p95_s: float | None = None
    p99_s: float | None = None
    p999_s: float | None = None
    max_s: float | None = None


@dataclass(frozen=True, slots=True)
class StageResult:
    """What was asked of one stage, or of the whole run, and what became of it."""

    name: str
    planned: int
    """Transactions that the plan asked for; 0 in the closed model, which has no rate of its own."""
    started: int
    ended: int
    """Those whose end was seen: all but the censored ones."""
    ok: int
    """Served as meant."""
    shed: int
    """Refused because of load."""
    broken: int
    """Failed, not accepted, late or censored."""
    duration_s: float
    planned_rate: float
    """Arrivals a second."""
    achieved_rate: float
    """Transactions served a second."""
    latency: Latencies
    """From the intended start to the end."""
    service: Latencies
    """From the actual start to the end."""


@dataclass(frozen=True, slots=True)
class SecondRow:
    """One second of the run: the transactions that were meant to start in it."""

    second: int
    planned: int
    started: int
    ok: int
    shed: int
    broken: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


def rank(q: float, n: int) -> int:
    """Give the index of the nearest-rank quantile in n sorted values."""
    return min(max(math.ceil(q * n - 1e-9), 1), n) - 1


def kinds_of(workers: Sequence[Recording]) -> tuple[NDArray[np.void], Mapping[int, str]]:
    """Put the workers' samples together by intended start, with error kinds numbered anew over all of them."""
    numbers: dict[str, int] = {}
    parts = []
    for worker in workers:
        part = worker.samples.copy()
        table = np.zeros(int(part["kind"].max(initial=0)) + 1, dtype=np.uint16)
        for kind, text in worker.kinds.items():
            if 0 < kind < table.size:
                table[kind] = numbers.setdefault(text, len(numbers) + 1)
        part["kind"] = table[part["kind"]]
        parts.append(part)
    merged: NDArray[np.void] = np.concatenate(parts) if parts else np.empty(0, DTYPE)
    merged = merged[np.argsort(merged["intended_s"], kind="stable")]
    return merged, {number: text for text, number in numbers.items()}


def by_kind(samples: NDArray[np.void], kinds: Mapping[int, str], rollups: Iterable[Rollup]) -> dict[str, int]:
    """Count what was not served, by its kind; what was counted without one is told by its outcome."""
    counts: Counter[str] = Counter()
    unserved = samples[~np.isin(samples["outcome"], SERVED)]
    keys = np.stack([unserved[name].astype(np.int64) for name in ("outcome", "status", "kind")])
    for (outcome, status, kind), count in zip(*_unique_columns(keys), strict=True):
        counts[kinds.get(kind) or _named(outcome, status)] += count
    for row in rollups:
        if row.outcome not in SERVED:
            counts[f"{Outcome(row.outcome).name.lower()} ({_BEYOND})"] += row.count
    return dict(counts.most_common())


def of_stage(plan: Plan, index: int | None, samples: NDArray[np.void], rollups: Sequence[Rollup]) -> StageResult:
    """Sum one stage up by its index, or the whole run."""
    if index is not None:
        samples = samples[samples["stage"] == index]
        rollups = [row for row in rollups if row.stage == index]
    counts = np.bincount(samples["outcome"], minlength=_OUTCOMES)
    for row in rollups:
        counts[row.outcome] += row.count
    duration_s = plan.duration_s if index is None else plan.stages[index].duration_s
    planned = _planned(plan, index)
    ok, started = int(counts[list(SERVED)].sum()), int(counts.sum())
    timed = samples[np.isin(samples["outcome"], TIMED)]
    rolled = [row for row in rollups if row.outcome in TIMED]
    return StageResult(
        name="all" if index is None else plan.stages[index].name,
        planned=planned,
        started=started,
        ended=started - int(counts[Outcome.CENSORED]),
        ok=ok,
        shed=int(counts[Outcome.SHED]),
        broken=int(counts[list(BROKEN)].sum()),
        duration_s=duration_s,
        planned_rate=planned / duration_s if duration_s else 0.0,
        achieved_rate=ok / duration_s if duration_s else 0.0,
        latency=_latencies(timed["ended_s"] - timed["intended_s"], [row.latency for row in rolled]),
        service=_latencies(timed["ended_s"] - timed["started_s"], [row.service for row in rolled]),
    )


def by_second(plan: Plan, samples: NDArray[np.void], rollups: Sequence[Rollup]) -> tuple[SecondRow, ...]:
    """Cut the run into seconds by intended start; `samples` are sorted by it."""
    planned = np.bincount(plan.starts().astype(np.int64)) if plan.model == OPEN else np.zeros(0, np.int64)
    rolled: dict[int, list[Rollup]] = {}
    for row in rollups:
        rolled.setdefault(row.second, []).append(row)
    whole = np.floor(samples["intended_s"]).astype(np.int64)
    last = max(math.ceil(plan.duration_s) - 1, int(whole.max(initial=-1)), max(rolled, default=-1))
    edges = np.searchsorted(whole, np.arange(last + 2))
    return tuple(
        _second(second, int(planned[second]) if second < planned.size else 0, samples[low:high], rolled.get(second, ()))
        for second, (low, high) in enumerate(pairwise(edges))
    )


def _second(second: int, planned: int, samples: NDArray[np.void], rollups: Sequence[Rollup]) -> SecondRow:
    counts = np.bincount(samples["outcome"], minlength=_OUTCOMES)
    for row in rollups:
        counts[row.outcome] += row.count
    timed = samples[np.isin(samples["outcome"], TIMED)]
    rolled = [row.latency for row in rollups if row.outcome in TIMED]
    p50, p95, p99 = _quantiles(timed["ended_s"] - timed["intended_s"], rolled, (0.5, 0.95, 0.99))
    return SecondRow(
        second=second,
        planned=planned,
        started=int(counts.sum()),
        ok=int(counts[list(SERVED)].sum()),
        shed=int(counts[Outcome.SHED]),
        broken=int(counts[list(BROKEN)].sum()),
        p50_ms=None if p50 is None else p50 * 1000,
        p95_ms=None if p95 is None else p95 * 1000,
        p99_ms=None if p99 is None else p99 * 1000,
    )


def _latencies(values: NDArray[np.float64], rolled: Sequence[Histogram]) -> Latencies:
    n = values.size + sum(map(len, rolled))
    if n == 0:
        return Latencies(0)
    counted = sum(_sum_s(each) for each in rolled)
    return Latencies(
        n, (float(values.sum()) + counted) / n, *_quantiles(values, rolled, (0.5, 0.9, 0.95, 0.99, 0.999, 1.0))
    )


def _quantiles(
    values: NDArray[np.float64], rolled: Sequence[Histogram], wanted: Sequence[float]
) -> tuple[float | None, ...]:
    if rolled:
        merged = Histogram.of(values)
        for each in rolled:
            merged.merge(each)
        return tuple(merged.quantile(q) for q in wanted)
    if not values.size:
        return tuple(None for _ in wanted)
    ordered = np.sort(values)
    return tuple(float(ordered[rank(q, ordered.size)]) for q in wanted)


def _sum_s(histogram: Histogram) -> float:
    return sum(value_s(bucket) * count for bucket, count in histogram.counts.items())


def _planned(plan: Plan, index: int | None) -> int:
    if plan.model != OPEN:
        return 0
    starts = plan.starts()
    return starts.size if index is None else int((plan.stage_of(starts) == index).sum())


def _unique_columns(keys: NDArray[np.int64]) -> tuple[list[list[int]], list[int]]:
    found, counts = np.unique(keys, axis=1, return_counts=True)
    return found.T.tolist(), counts.tolist()


def _named(outcome: int, status: int) -> str:
    name = Outcome(outcome).name.lower()
    return f"{name}: HTTP {status}" if status else name
