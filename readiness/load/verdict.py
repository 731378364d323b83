"""PASS, FAIL or INVALID of a load run, from its own criteria, written before it began."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, cast

import numpy as np

from readiness.load.merging import rank
from readiness.load.results import LoadResult
from readiness.load.samples import BROKEN, SERVED, TIMED, Outcome
from readiness.load.validity import LIMITS, Flaw, GeneratorLimits, flaws
from readiness.thresholds import GROWTHS, LATENCIES, Criterion
from readiness.units import format_duration

if TYPE_CHECKING:
    from numpy.typing import NDArray

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
_THROUGH_HANG = {
    Flaw.STOPPED,
    Flaw.STAGE_SKIPPED,
    Flaw.OFF_THE_PLAN,
    Flaw.LATE_STARTS,
    Flaw.HUB_LAG,
    Flaw.GENERATOR_CPU,
}
"""Flaws that a hanging system can bring about (its transactions pile up in the generator), or that do not reach it."""
_TIMES_LAG = 20.0
"""A transaction that was open for so many times the worst lag of the generator did not wait for the generator."""
_LEFT_OPEN = (Outcome.LATE, Outcome.CENSORED)
_LAST_S = 1.0
_FEWEST_LAST = 5


class LoadOutcome(StrEnum):
    """How a load run came out."""

    PASS = "PASS"
    FAIL = "FAIL"
    INVALID = "INVALID"
    """It says nothing about the system; in the score this is UNKNOWN, never PASS."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One criterion and what was measured for it."""

    criterion: Criterion
    value: float | None
    """In the criterion's unit (seconds or percent); None where nothing could be measured."""
    holds: bool


@dataclass(frozen=True, slots=True)
class LoadVerdict:
    """The outcome of a load run with its reasons, one line each."""

    outcome: LoadOutcome
    reasons: tuple[str, ...]
    measured: tuple[Measured, ...]


def judge(result: LoadResult, limits: GeneratorLimits = LIMITS) -> LoadVerdict:
    """Judge a run by the criteria of its own plan.

    INVALID wins over PASS and over FAIL, with one exception: where the criteria are broken even if only those
    transactions count that the generator cannot have broken (the system answered an error itself, or left them open
    for more than 20 times the generator's worst lag), the system is what failed. A system that hangs while the last
    transactions are under way, or is gone by then, fails whatever the criteria say.
    """
    found = flaws(result, limits)
    unanswerable = tuple(_unanswerable(result))
    measured = tuple(_measure(result, each) for each in result.plan.criteria if each.metric not in GROWTHS)
    broken = [_told(each) for each in measured if not each.holds]
    hung = _hung(result)
    failed = [*broken, *([hung] if hung else [])]
    because = [text for _, text in found] + list(unanswerable)
    if failed and not unanswerable and (not found or _systems_own(result, found, measured, bool(hung))):
        details = [*failed, *_unended(result, failed), *(f"beside that: {text}" for text in because)]
        return LoadVerdict(LoadOutcome.FAIL, tuple(details), measured)
    if because:
        return LoadVerdict(LoadOutcome.INVALID, tuple(because), measured)
    return LoadVerdict(LoadOutcome.PASS, (), measured)


def _unanswerable(result: LoadResult) -> Iterator[str]:
    """Find criteria that no run of this plan can answer."""
    if not result.plan.criteria:
        yield "no criterion was written before the run"
    known = [stage.name for stage in result.plan.stages]
    for criterion in result.plan.criteria:
        if criterion.stage and criterion.stage not in known:
            yield f"criterion {criterion.name} names no stage of the plan; known: {', '.join(known)}"
        elif criterion.metric == "rate" and not result.total.planned:
            yield f"criterion {criterion.name}: a closed model has no planned rate"
    if result.sha256 and result.sha256 != result.plan.sha256:
        yield "the plan is not the one that was written before the run: its digest differs"


def _measure(result: LoadResult, criterion: Criterion) -> Measured:
    stage = criterion.stage or None
    if stage is not None and stage not in [row.name for row in result.stages]:
        return Measured(criterion, None, False)
    if criterion.metric in LATENCIES:
        value = result.quantile_s(_QUANTILES[criterion.metric], stage)
    else:
        share = result.share_percent(cast("Literal['errors', 'shed', 'rate']", criterion.metric), stage)
        value = None if math.isnan(share) else share
    # Nothing that has a latency is no good latency: all may have been refused.
    return Measured(criterion, value, value is not None and criterion.holds(value))


def _told(measured: Measured) -> str:
    criterion = measured.criterion
    bound = "at most" if criterion.bound == "at_most" else "at least"
    value = "nothing to measure" if measured.value is None else _value(measured.value, criterion.unit)
    return f"{criterion.name}: {value} (limit {bound} {_value(criterion.value, criterion.unit)})"


def _value(value: float, unit: str) -> str:
    return format_duration(value) if unit == "s" else f"{value:.4g} %"


def _unended(result: LoadResult, failed: list[str]) -> Iterator[str]:
    censored, late = (int((result.recorded()["outcome"] == kind).sum()) for kind in (Outcome.CENSORED, Outcome.LATE))
    if failed and censored + late:
        yield f"{censored} transactions were still open at the end of the run, {late} did not end within their time"


def _hung(result: LoadResult) -> str:
    """Say that nothing of the last second's arrivals was answered, in words; empty where something was.

    Work that was merely under way at the end is no hang: the youngest must have been open for more than twice the
    p95 of what was served.
    """
    n, youngest_s = _unanswered_at_the_end(result) if result.raw else _counted_unanswered_at_the_end(result)
    if not n:
        return ""
    samples = result.recorded()
    served = np.sort(_open_s(samples[np.isin(samples["outcome"], SERVED)]))
    if served.size and youngest_s <= 2 * served[rank(0.95, served.size)]:
        return ""
    told = (
        "had an answer" if youngest_s == math.inf else f"had ended (open for {format_duration(youngest_s)} and longer)"
    )
    return f"the system hung at the end: none of the last {n} transactions {told}"


def _unanswered_at_the_end(result: LoadResult) -> tuple[int, float]:
    """Count the last second's arrivals if none was answered, and for how many seconds the youngest was open; else 0.

    A connection that was refused or broke was not open for long, and is no work under way all the same: infinity.
    """
    samples = result.samples()
    if not samples.size:
        return 0, 0.0
    begins = samples["intended_s"] >= samples["intended_s"][-1] - _LAST_S
    last = samples[-max(int(begins.sum()), _FEWEST_LAST) :]
    left_open = np.isin(last["outcome"], _LEFT_OPEN)
    cut_off = (last["outcome"] == Outcome.ERROR) & (last["status"] == 0)
    if not (left_open | cut_off).all():
        return 0, 0.0
    return last.size, float(_open_s(last[left_open]).min()) if not cut_off.any() else math.inf


def _counted_unanswered_at_the_end(result: LoadResult) -> tuple[int, float]:
    """Do the same where the last seconds were only counted."""
    last = max(row.second for row in result.rolled())
    rows = [row for row in result.rolled() if row.second == last]
    youngest = [youngest_s for row in rows if (youngest_s := row.service.quantile(0.0)) is not None]
    n = sum(row.count for row in rows)
    all_open = n >= _FEWEST_LAST and all(row.outcome in _LEFT_OPEN for row in rows)
    return (n, min(youngest)) if all_open and youngest else (0, 0.0)


def _open_s(samples: NDArray[np.void]) -> NDArray[np.float64]:
    lasted: NDArray[np.float64] = samples["ended_s"] - samples["started_s"]
    return lasted


def _systems_own(
    result: LoadResult, found: Sequence[tuple[Flaw, str]], measured: Sequence[Measured], hung: bool
) -> bool:
    """Whether a run is broken by those transactions alone that the generator, for all its flaws, cannot have broken."""
    if not {flaw for flaw, _ in found} <= _THROUGH_HANG:
        return False
    return hung or any(not each.holds and _broken_by_system(result, each.criterion) for each in measured)


def _broken_by_system(result: LoadResult, criterion: Criterion) -> bool:
    samples = result.samples()
    if criterion.stage:
        samples = samples[samples["stage"] == [row.name for row in result.stages].index(criterion.stage)]
    if not samples.size or criterion.bound != "at_most" or criterion.metric == "shed":
        return False
    worst_lag_s = max((beat.lag_ms for beat in result.beats), default=0.0) / 1000
    lasted_s = _open_s(samples)
    left_open = np.isin(samples["outcome"], _LEFT_OPEN) & (lasted_s > _TIMES_LAG * worst_lag_s)
    said_so = np.isin(samples["outcome"], BROKEN) & (samples["status"] >= 500)
    if criterion.metric == "errors":
        return 100 * float((left_open | said_so).mean()) > criterion.value
    timed = np.isin(samples["outcome"], TIMED)
    slow = left_open & (lasted_s > criterion.value)
    allowed = math.floor((1 - _QUANTILES[criterion.metric]) * int(timed.sum()) + 1e-9)
    return int(slow.sum()) > allowed
