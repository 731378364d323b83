"""What a trial shows, from facts alone: the status that a journal claims is none of them.

Three kinds of facts are told apart. Facts about the trial itself (a fault was witnessed, the hypothesis held before and
can fail, the undo was verified) decide whether anything can be concluded: without them it is UNKNOWN, however bad it
looks, for it may have been the harness. Facts about the deployment that are broken make it FAIL. Whatever cannot be
told makes it UNKNOWN, and only what is left is PASS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from readiness.chaos.invariants import InvariantResult
from readiness.chaos.recovering import RecoveryInterval
from readiness.chaos.windows import NAMES, Figures, Kept, Promise, Window, WindowName, figures, judge
from readiness.model import Outcome
from readiness.workload import Transaction

_WINDOW_WORDS: dict[WindowName, str] = {
    "before": "before the fault, so there is no control",
    "fault": "while the fault was in force",
    "after": "after the fault was lifted",
}


@dataclass(frozen=True, slots=True)
class FaultFacts:
    """What is known of one fault of a trial."""

    name: str
    what: str
    opened_at: datetime
    witnessed: str = ""
    """What showed that it was in force; no text: nothing did."""
    undone_at: datetime | None = None
    closed_at: datetime | None = None
    verified: bool | None = None
    """Whether everything was shown to be as before; None while that is not known."""
    undo_s: float | None = None
    """From the beginning of its undo until it was seen to be gone."""
    gone: str = ""
    """What showed that its effect was over; no text: nothing did, or nothing was asked."""
    problem: str = ""
    """What is not as before."""
    heals: str = ""
    """What heals it where the run dies, in words: by itself after so long, or by the reaper and `readiness heal`."""


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """All that a verdict on one experiment rests on."""

    experiment: str
    hypothesis_before: bool | None = None
    """Whether it held before anything was broken; None: it was not tried, or ended in an error."""
    hypothesis_after: bool | None = None
    vacuous: bool | None = None
    """Whether it holds of a deployment that is down, too; None: that was not tried."""
    vacuous_probes: tuple[str, ...] = ()
    """The probes that hold of a deployment that is down."""
    activities_failed: tuple[str, ...] = ()
    faults: tuple[FaultFacts, ...] = ()
    transactions: tuple[Transaction, ...] = ()
    windows: tuple[Window, ...] = ()
    promises: tuple[Promise, ...] = ()
    invariants: tuple[InvariantResult, ...] = ()
    recovery: RecoveryInterval | None = None
    """None where the recovery was not looked at, which proves nothing."""


@dataclass(frozen=True, slots=True)
class TrialVerdict:
    """PASS, FAIL or UNKNOWN, and why, one line each; the most important first."""

    outcome: Outcome
    reasons: tuple[str, ...]


def verdict(facts: TrialFacts) -> TrialVerdict:
    """Conclude from the facts of a trial; never PASS unless every one of them is known and good."""
    seen = figures(facts.transactions, facts.windows)
    kept = [_attributed(judge(promise, seen), seen) for promise in facts.promises]
    doubts, broken = [*_doubts(facts)], [*_broken(facts, kept)]
    if doubts:
        return TrialVerdict(Outcome.UNKNOWN, (*doubts, *(f"seen all the same: {line}" for line in broken)))
    if broken:
        return TrialVerdict(Outcome.FAIL, tuple(broken))
    unknown = [*_unknown(facts, seen, kept)]
    if unknown:
        return TrialVerdict(Outcome.UNKNOWN, tuple(unknown))
    return TrialVerdict(Outcome.PASS, tuple(_shown(facts, seen, kept)))


def _doubts(facts: TrialFacts) -> Iterator[str]:
    """Why nothing can be concluded from this trial."""
    if not facts.faults:
        yield "no fault was injected"
    for fault in facts.faults:
        if not fault.witnessed:
            yield f"nothing showed that the fault was in force: {fault.what}"
    if facts.hypothesis_before is not True:
        why = "was not met" if facts.hypothesis_before is False else "could not be tried"
        yield f"the steady-state hypothesis {why} before the fault"
    if facts.vacuous is not False:
        named = f": {', '.join(facts.vacuous_probes)}" if facts.vacuous_probes else ""
        yield (
            f"the hypothesis is vacuous, it holds of a deployment that is down{named}"
            if facts.vacuous
            else "the hypothesis was not tried against a deployment that is down"
        )
    for activity in facts.activities_failed:
        yield f"an activity failed: {activity}"
    for fault in facts.faults:
        if fault.verified is not True and not _never_came_back(fault):
            yield f"it was not shown that the fault is undone: {fault.what}"


def _never_came_back(fault: FaultFacts) -> bool:
    """Whether the fault was seen to be over and the deployment stays other than it was: its own doing, not ours."""
    return fault.verified is False and bool(fault.gone)


def _attributed(kept: Kept, seen: dict[WindowName, Figures]) -> Kept:
    """A promise that the calm before breaks too is no promise that the fault broke: then it cannot be told."""
    if kept.holds is not False:
        return kept
    calm = judge(Promise("before", kept.promise.criterion), seen)
    return kept if calm.holds is not False else replace(kept, holds=None, text=f"{kept.text}; so it was {calm.text}")


def _broken(facts: TrialFacts, kept: list[Kept]) -> Iterator[str]:
    """What the deployment did that it must not do."""
    for fault in facts.faults:
        if _never_came_back(fault):
            yield f"{fault.what} is over ({fault.gone}), and the deployment did not come back: {fault.problem}"
    for result in facts.invariants:
        if result.holds is False:
            yield f"not true that {result.name}: {result.detail}"
    if facts.hypothesis_after is False:
        yield "the steady-state hypothesis was not met after the fault was lifted"
    yield from (f"promise broken: {one.text}" for one in kept if one.holds is False)
    if facts.recovery is not None and facts.recovery.holds is False:
        yield f"too slow to recover: {facts.recovery.text}"


def _unknown(facts: TrialFacts, seen: dict[WindowName, Figures], kept: list[Kept]) -> Iterator[str]:
    """What is not known, and would have to be good for a pass."""
    if facts.hypothesis_after is None:
        yield "the steady-state hypothesis could not be tried after the fault was lifted"
    for name in NAMES:
        if name not in seen or not seen[name].sent:
            yield f"no transaction was under way {_WINDOW_WORDS[name]}"
    if not facts.invariants:
        yield "no invariant was checked"
    for result in facts.invariants:
        if result.holds is None and result.asked:
            yield f"it cannot be told whether {result.name}: {result.detail}"
    yield from (f"it cannot be told: {one.text}" for one in kept if one.holds is None)
    recovery = facts.recovery
    if recovery is None:
        yield "the recovery was not looked at"
    elif recovery.holds is None and (recovery.limit_s is not None or recovery.hi_s is None):
        yield f"too little is known of the recovery: {recovery.text}"


def _shown(facts: TrialFacts, seen: dict[WindowName, Figures], kept: list[Kept]) -> Iterator[str]:
    """What a pass rests on, with its numbers."""
    names = ", ".join(dict.fromkeys(fault.what for fault in facts.faults))
    yield f"{names}: witnessed, and undone"
    if facts.recovery is not None:
        yield facts.recovery.text
    control, fault = seen["before"], seen["fault"]
    yield f"{fault.good} of {fault.sent} ended as meant under the fault, {control.good} of {control.sent} before it"
    yield from (one.text for one in kept)
    checked = [result for result in facts.invariants if result.holds]
    yield f"{len(checked)} invariants hold over {len(facts.transactions)} transactions"
