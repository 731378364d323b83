"""A trial as the history tells it: all that the reports show, as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from readiness.chaos.invariants import NO_EFFECT_TWICE, NONE_LOST, InvariantResult, result_of
from readiness.chaos.recovering import RecoveryInterval
from readiness.chaos.verdict import FaultFacts, TrialFacts, TrialVerdict
from readiness.chaos.windows import Figures, differences, figures, judge
from readiness.traffic import by_second

SECONDS_SHOWN = 3600
"""So many seconds of traffic go into the history for the picture."""
OFFENDERS_SHOWN = 50


def told(
    facts: TrialFacts, found: TrialVerdict, *, gate: str, title: str = "", failure_mode: str = "", journal: str = ""
) -> dict[str, Any]:
    """The event `chaos` of a history; `journal` is the path of the journal, relative to the folder of the run."""
    seen = figures(facts.transactions, facts.windows)
    compared = differences(seen["before"], seen["fault"]) if seen else ()
    kept = [judge(promise, seen) for promise in facts.promises]
    return {
        "experiment": facts.experiment,
        "gate": gate,
        "title": title,
        "failure_mode": failure_mode,
        "outcome": str(found.outcome),
        "reasons": list(found.reasons),
        "hypothesis_before": facts.hypothesis_before,
        "hypothesis_after": facts.hypothesis_after,
        "vacuous": facts.vacuous,
        "windows": [{"name": one.name, "began_at": one.began_at, "ended_at": one.ended_at} for one in facts.windows],
        "faults": [_fault(fault) for fault in facts.faults],
        "recovery": None if facts.recovery is None else _recovery(facts.recovery),
        "promises": [{"window": one.promise.window, "text": one.text, "holds": one.holds} for one in kept],
        "invariants": [_invariant(result) for result in facts.invariants],
        "figures": [_figures(one) for one in seen.values()],
        "differences": [
            {"what": one.what, "value": round(one.value, 4), "low": round(one.low, 4), "high": round(one.high, 4)}
            for one in compared
        ],
        "lost": _offenders(facts.invariants, NONE_LOST),
        "done_twice": _offenders(facts.invariants, NO_EFFECT_TWICE),
        "journal": journal,
        "traffic": by_second(facts.transactions)[:SECONDS_SHOWN],
    }


def _fault(fault: FaultFacts) -> dict[str, Any]:
    return {
        "name": fault.name,
        "what": fault.what,
        "witness": fault.witnessed,
        "opened_at": fault.opened_at,
        "undone_at": fault.undone_at,
        "undo_s": None if fault.undo_s is None else round(fault.undo_s, 3),
        "closed_at": fault.closed_at,
        "verified": fault.verified,
        "heals": fault.heals,
    }


def _recovery(recovery: RecoveryInterval) -> dict[str, Any]:
    return {
        "lo_s": round(recovery.lo_s, 3),
        "hi_s": None if recovery.hi_s is None else round(recovery.hi_s, 3),
        "limit_s": recovery.limit_s,
        "holds": recovery.holds,
        "text": recovery.text,
    }


def _invariant(result: InvariantResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "holds": result.holds,
        "detail": result.detail,
        "asked": result.asked,
        "offenders": list(result.offenders[:OFFENDERS_SHOWN]),
    }


def _figures(one: Figures) -> dict[str, Any]:
    return {
        "name": one.name,
        "sent": one.sent,
        "good": one.good,
        "share_lo": round(one.share_lo, 4),
        "share_hi": round(one.share_hi, 4),
        "p50_ms": _ms(one.quantile_s(0.50)),
        "p95_ms": _ms(one.quantile_s(0.95)),
    }


def _offenders(results: Iterable[InvariantResult], name: str) -> int | None:
    """How many break an invariant; None where that cannot be told."""
    result = result_of(results, name)
    return None if result is None or result.holds is None else len(result.offenders)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)
