"""Trials made by hand: the traffic of a minute, and the facts that a verdict rests on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from readiness.chaos.invariants import InvariantResult
from readiness.chaos.recovering import recovered
from readiness.chaos.verdict import FaultFacts, TrialFacts
from readiness.chaos.windows import Window, promises
from readiness.workload import Transaction

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def sent(s: float, good: bool = True, took_s: float = 0.2) -> Transaction:
    """A transaction that was handed in at a second of the trial."""
    return Transaction(
        "ok",
        f"m-{s:g}",
        accepted=True,
        outcome="success" if good else "failure",
        started_at=at(s),
        accepted_at=at(s),
        ended_at=at(s + took_s),
        latency_s=took_s,
    )


def stretch(from_s: int, to_s: int, bad: Sequence[int] = (), took_s: float = 0.2) -> list[Transaction]:
    """Two transactions a second; those of the seconds named are bad."""
    return [sent(n / 2, n // 2 not in bad, took_s) for n in range(from_s * 2, to_s * 2)]


WINDOWS = (Window("before", at(0), at(20)), Window("fault", at(20), at(40)), Window("after", at(40), at(60)))
FAULT = FaultFacts("frozen", "freeze agent-1", at(20), "state T", at(40), at(40.3), True, 0.1)


def facts(traffic: Sequence[Transaction] | None = None, limit_s: float | None = 10) -> TrialFacts:
    """A trial in which everything is known, and good."""
    seen = tuple(stretch(0, 60) if traffic is None else traffic)
    return TrialFacts(
        experiment="agent-frozen",
        hypothesis_before=True,
        hypothesis_after=True,
        vacuous=False,
        faults=(FAULT,),
        transactions=seen,
        windows=WINDOWS,
        promises=promises({"during": {"errors": "<= 20%"}, "after": {"errors": "<= 10%", "p50": "<= 1s"}}),
        invariants=(InvariantResult("nothing is lost", True, "120 of 120"), InvariantResult("z", None, "", (), False)),
        recovery=recovered(seen, at(40), at(60), limit_s=limit_s),
    )
