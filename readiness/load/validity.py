"""Whether a load run says anything about the system: INVALID when the generator, not the system, was the limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from readiness.load.merging import StageResult, rank
from readiness.load.plan import OPEN
from readiness.load.recordings import Beat
from readiness.load.results import LoadResult
from readiness.units import format_duration


class Flaw(StrEnum):
    """Why a run cannot be trusted."""

    NOTHING_SENT = "nothing sent"
    WORKER_LOST = "worker lost"
    STOPPED = "stopped"
    STAGE_SKIPPED = "stage skipped"
    OFF_THE_PLAN = "off the plan"
    LATE_STARTS = "late starts"
    HUB_LAG = "hub lag"
    GENERATOR_CPU = "generator CPU"
    CLOCK_JUMP = "clock jump"
    UNWATCHED = "generator unwatched"


@dataclass(frozen=True, slots=True)
class GeneratorLimits:
    """What a generator may show before its figures are its own, and not the system's."""

    achieved_percent: float = 98.0
    """Transactions started, of those that the plan asked for."""
    late_ms: float = 50.0
    late_share: float = 0.10
    """The p99 of late starts may be this share of the p95 latency, or `late_ms`, whichever is more."""
    lag_ms: float = 25.0
    lag_share: float = 0.10
    """The p95 of the event loop's lag may be this share of the p95 latency, or `lag_ms`, whichever is more.

    A transaction goes through the loop a few times, so that lag may make up a tenth of what is measured, as late starts
    may. An idle loop lags 0.25 ms; one that shows a server of 0.17 ms as 26 ms lags 17 ms between two looks, and
    several times that at the worst of half a second, which is what a beat tells.
    """
    cpu: float = 0.90
    """Of one core, as the mean of `cpu_window_s`: a worker is one Python process and cannot use more than one."""
    cpu_window_s: float = 3.0
    clock_jump_s: float = 0.25


LIMITS = GeneratorLimits()


@dataclass(frozen=True, slots=True)
class GeneratorHealth:
    """How the generator fared; None where nothing told."""

    cpu_peak: float | None
    """The busiest 3 s of the busiest worker, as a share of one core."""
    lag_p95_ms: float | None
    """Of all workers' beats, each the worst lag of half a second."""
    late_p99_ms: float | None
    """Actual start after intended start, on the samples kept raw; 0 in the closed model by its nature."""
    achieved_percent: float | None
    """Started of planned; None in the closed model."""


def invalid(result: LoadResult, limits: GeneratorLimits = LIMITS) -> tuple[str, ...]:
    """Say in one line each why a run says nothing about the system; empty when it does."""
    return tuple(text for _, text in flaws(result, limits))


def flaws(result: LoadResult, limits: GeneratorLimits = LIMITS) -> tuple[tuple[Flaw, str], ...]:
    """Find why a run says nothing about the system: each flaw with its line."""
    return tuple(_flaws(result, limits))


def generator(result: LoadResult, limits: GeneratorLimits = LIMITS) -> GeneratorHealth:
    """Measure how the generator fared over the whole run."""
    peaks = [peak for beats in _by_worker(result) if (peak := _cpu_peak(beats, limits.cpu_window_s)) is not None]
    lags = sorted(beat.lag_ms for beat in result.beats)
    samples = result.recorded()
    late_ms = np.sort(samples["started_s"] - samples["intended_s"]) * 1000
    planned = result.total.planned
    return GeneratorHealth(
        cpu_peak=max(peaks, default=None),
        lag_p95_ms=lags[rank(0.95, len(lags))] if lags else None,
        late_p99_ms=float(late_ms[rank(0.99, late_ms.size)]) if late_ms.size else None,
        achieved_percent=100 * result.total.started / planned if planned else None,
    )


def _flaws(result: LoadResult, limits: GeneratorLimits) -> Iterator[tuple[Flaw, str]]:
    total = result.total
    lost = result.workers_expected - result.workers_ended
    if lost > 0:
        yield Flaw.WORKER_LOST, f"{lost} of {result.workers_expected} workers were lost: their share was not sent"
    if total.started == 0:
        yield Flaw.NOTHING_SENT, f"nothing was sent (planned: {total.planned} transactions)"
        return
    if result.stopped:
        yield Flaw.STOPPED, f"the run was stopped before its end of {format_duration(result.plan.duration_s)}"
    yield from _off_plan(result, limits)
    health = generator(result, limits)
    yield from _late(result, health, limits)
    yield from _lagging(result, health, limits)
    if health.cpu_peak is not None and health.cpu_peak >= limits.cpu:
        busy = f"{health.cpu_peak:.0%} of a core over {limits.cpu_window_s:g} s (limit below {limits.cpu:.0%})"
        yield Flaw.GENERATOR_CPU, f"the generator was at its limit: {busy}; give it more workers"
    yield from _jumped(result, limits)
    silent = result.workers_ended - len(_by_worker(result))
    if silent > 0:
        yield Flaw.UNWATCHED, f"{silent} of {result.workers_expected} workers told nothing of their CPU and lag"


def _off_plan(result: LoadResult, limits: GeneratorLimits) -> Iterator[tuple[Flaw, str]]:
    skipped = {stage.name for stage in result.stages if stage.started == 0 and _asked_for(result, stage)}
    for stage in result.stages:
        if stage.name in skipped:
            asked = f"{stage.planned} transactions were planned" if stage.planned else "no transaction was begun in it"
            yield Flaw.STAGE_SKIPPED, f"stage {stage.name} did not run: {asked}"
    for row in (result.total, *result.stages):
        missing = row.planned - row.started
        # One missing arrival of twenty is 5 %, and still no other rate.
        if row.name in skipped or missing <= 1 or 100 * row.started >= limits.achieved_percent * row.planned:
            continue
        where = "the generator" if row is result.total else f"stage {row.name}: the generator"
        share = f"{100 * row.started / row.planned:.1f} % (limit at least {limits.achieved_percent:g} %)"
        yield Flaw.OFF_THE_PLAN, f"{where} started {row.started} of {row.planned} planned transactions: {share}"


def _asked_for(result: LoadResult, stage: StageResult) -> bool:
    return stage.planned >= 1 if result.plan.model == OPEN else stage.duration_s > 0


def _late(result: LoadResult, health: GeneratorHealth, limits: GeneratorLimits) -> Iterator[tuple[Flaw, str]]:
    p95_s = result.total.latency.p95_s or 0.0
    allowed_ms = max(limits.late_ms, limits.late_share * p95_s * 1000)
    if health.late_p99_ms is not None and health.late_p99_ms > allowed_ms:
        late = f"p99 {health.late_p99_ms:.0f} ms after their time (limit {allowed_ms:.0f} ms)"
        yield Flaw.LATE_STARTS, f"the generator started transactions late: {late}"


def _lagging(result: LoadResult, health: GeneratorHealth, limits: GeneratorLimits) -> Iterator[tuple[Flaw, str]]:
    p95_s = result.total.latency.p95_s or 0.0
    allowed_ms = max(limits.lag_ms, limits.lag_share * p95_s * 1000)
    over = sum(beat.lag_ms > allowed_ms for beat in result.beats)
    # With fewer than forty beats one of them would be the p95: a single hiccup of half a second says nothing.
    if over > 1 and health.lag_p95_ms is not None and health.lag_p95_ms > allowed_ms:
        lag = f"p95 {health.lag_p95_ms:.0f} ms (limit {allowed_ms:.0f} ms)"
        yield Flaw.HUB_LAG, f"the generator's event loop lagged: {lag}; its waiting is in every latency"


def _jumped(result: LoadResult, limits: GeneratorLimits) -> Iterator[tuple[Flaw, str]]:
    """Compare wall and monotonic clock over all beats of a worker, from the first to the last."""
    for beats in _by_worker(result):
        offsets = [beat.wall_s - beat.at_s for beat in beats]
        apart_s = max(offsets) - min(offsets)
        if apart_s > limits.clock_jump_s:
            jump = f"wall and monotonic clock of worker {beats[0].worker} went {apart_s:.2f} s apart"
            yield Flaw.CLOCK_JUMP, f"the clock jumped: {jump} (limit {limits.clock_jump_s:g} s)"


def _by_worker(result: LoadResult) -> list[list[Beat]]:
    found: dict[int, list[Beat]] = {}
    for beat in result.beats:
        found.setdefault(beat.worker, []).append(beat)
    return [sorted(beats, key=lambda beat: beat.at_s) for beats in found.values()]


def _cpu_peak(beats: list[Beat], window_s: float) -> float | None:
    """Give the highest mean over a window; over all of it where a run is shorter than one."""
    if len(beats) < 2:
        return None
    at_s = np.array([beat.at_s for beat in beats])
    used_s = np.concatenate([[0.0], np.cumsum(np.array([beat.cpu for beat in beats[1:]]) * np.diff(at_s))])
    if at_s[-1] - at_s[0] <= window_s:
        length_s = float(at_s[-1] - at_s[0])
        return float(used_s[-1]) / length_s if length_s > 0 else None
    # CPU used until any instant, between beats by interpolation: windows may begin at every beat.
    ends_s = at_s[at_s >= at_s[0] + window_s]
    before = np.interp(ends_s - window_s, at_s, used_s)
    return float(np.max((np.interp(ends_s, at_s, used_s) - before) / window_s))
