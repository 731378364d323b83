"""Whether a system keeps up with a constant rate, from one short run at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from readiness.load.plan import Plan, Stage
from readiness.load.results import LoadResult
from readiness.load.stats.breakpoint import Bracket
from readiness.load.stats.leak import slope
from readiness.load.verdict import LoadOutcome, judge
from readiness.thresholds import parse

THRESHOLDS: Mapping[str, str] = {"p95": "<= 2s", "errors": "<= 1%", "shed": "<= 1%"}
"""What a rate that is held keeps, where nothing else is asked."""
GROWTH = 0.01
"""Seconds that latency may grow a second: above its capacity C a queue grows by rate / C - 1, so 1 % above shows."""
_SETTLED = 0.2
_FEWEST = 20


def step_plan(
    rate: float, duration_s: float, thresholds: Mapping[str, str], *, variant: str = "ok", workers: int = 1
) -> Plan:
    """Plan one measurement: a constant rate (arrivals a second) for a time; a bad threshold is a ValueError."""
    criteria = tuple(parse(name, text) for name, text in thresholds.items())
    stages = (Stage("step", duration_s, rate, rate),)
    return Plan("breakpoint", stages, variant=variant, workers=workers, criteria=criteria)


def held(result: LoadResult) -> bool | None:
    """Whether a run's criteria hold and its latency does not grow while it runs; None where the run is invalid."""
    verdict = judge(result)
    if verdict.outcome is LoadOutcome.INVALID:
        return None
    return verdict.outcome is LoadOutcome.PASS and not grows(result)


def cautious(found: Bracket) -> Bracket:
    """Lower a bracket's lower end by what `grows` cannot see: a queue that gets longer by less than 1 %."""
    return replace(found, lo=found.lo / (1 + GROWTH))


def grows(result: LoadResult) -> bool:
    """Whether latency grows by more than 1 % of the time that passes: work comes in faster than it gets done.

    The lower bound of the Theil-Sen slope of latency over the intended start, without the first fifth of the run,
    in which an empty system fills. A percentile alone takes seconds longer to show the same.
    """
    samples = result.recorded()
    latencies_s = result.latencies_s()
    timed = samples[result.timed()]
    settled = timed["intended_s"] >= _SETTLED * result.plan.duration_s
    if int(settled.sum()) < _FEWEST:
        return False
    return slope(timed["intended_s"][settled], latencies_s[settled]).low / 3600 > GROWTH
