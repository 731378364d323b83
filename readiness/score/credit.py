"""A gate and its finding → an interval of credit `[lo, hi]` in 0 to 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from datetime import datetime

from readiness.model import Finding, GateInfo, Mode, Outcome
from readiness.score.confidence import lower_bound, upper_bound
from readiness.score.model import GateScore, State

ATTESTED = 0.8
"""What a signed statement proves; the rest is only possible, since nobody measured it."""


def freshness(age_s: float, ttl_s: float) -> float:
    """How much evidence of this age still counts: 1 up to half its time to live, then linear to 0 at its end."""
    if age_s <= ttl_s / 2:
        return 1.0
    return max(0.0, 2 * (1 - age_s / ttl_s)) if ttl_s > 0 else 0.0


def credit(gate: GateInfo, finding: Finding | None, scored_at: datetime) -> GateScore:
    """The interval of credit of one gate at one time; a gate without a finding was left out."""
    if finding is None:
        return _scored(gate, State.LEFT_OUT, 0.0, 1.0)
    age_s = max(0.0, (scored_at - finding.observed_at).total_seconds())
    confidence = lower_bound(finding.successes or 0, finding.trials) if finding.trials else None
    match finding.outcome:
        case Outcome.FAIL:
            return _scored(gate, State.FAIL, 0.0, 0.0, age_s=age_s, confidence=confidence)
        case Outcome.NOT_APPLICABLE:
            return _scored(gate, State.NOT_APPLICABLE, 0.0, 1.0, age_s=age_s)
        case Outcome.UNKNOWN:
            return _scored(gate, State.UNKNOWN, 0.0, 1.0, age_s=age_s, confidence=confidence)
    lo, best = passed(gate, finding)
    share = freshness(age_s, gate.ttl_s)
    state = State.PASS if share > 0 else State.STALE
    return _scored(gate, state, lo * share, 1 - (1 - best) * share, best=best, age_s=age_s, confidence=confidence)


def passed(gate: GateInfo, finding: Finding) -> tuple[float, float]:
    """The credit of a fresh pass: whole when measured, `ATTESTED` and more when stated, k of n when sampled."""
    if gate.statistical:
        successes, trials = finding.successes or 0, finding.trials or 0
        return lower_bound(successes, trials), upper_bound(successes, trials)
    return (ATTESTED, 1.0) if gate.mode is Mode.ATTEST else (1.0, 1.0)


def credits_of(
    gates: Iterable[GateInfo], findings: Mapping[str, Finding], not_yet: Set[str], scored_at: datetime
) -> tuple[tuple[GateInfo, GateScore], ...]:
    """Every gate with its credit, in the order of the ids, so that the order of a run changes nothing."""
    return tuple(
        (gate, not_adopted(gate) if gate.id in not_yet else credit(gate, findings.get(gate.id), scored_at))
        for gate in sorted(gates, key=lambda gate: gate.id)
    )


def not_adopted(gate: GateInfo) -> GateScore:
    """No credit and none to come: a team that leaves a gate for later pays with the score for it."""
    return _scored(gate, State.NOT_YET, 0.0, 0.0)


def _scored(
    gate: GateInfo,
    state: State,
    lo: float,
    hi: float,
    *,
    best: float | None = None,
    age_s: float | None = None,
    confidence: float | None = None,
) -> GateScore:
    return GateScore(
        gate.id,
        state,
        gate.risk,
        gate.blocking,
        lo,
        hi,
        hi if best is None else best,
        age_s=age_s,
        confidence=confidence,
    )
