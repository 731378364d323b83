"""The one entry point: gates and findings → Scorecard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime

from readiness.model import Breach, Finding, GateInfo
from readiness.score.aggregation import pillars_of, whole
from readiness.score.blockers import blockers_of
from readiness.score.credit import credits_of
from readiness.score.decision import Facts, decide
from readiness.score.model import GateScore, Rubric, Scope, Scorecard, State


def score(
    gates: Sequence[GateInfo],
    findings: Iterable[Finding],
    rubric: Rubric,
    *,
    breaches: Sequence[Breach] = (),
    scored_at: datetime,
    complete: bool = True,
) -> Scorecard:
    """Judge the gates of a scenario by their findings at one time; the same input gives the same scorecard.

    A gate without a finding is LEFT_OUT, one that is not adopted yet is NOT_YET whatever its finding says, a finding
    of no gate counts for nothing. `complete` is False for a run that was stopped, which is never READY. Raises
    ValueError without gates (an empty catalogue is not a perfect one) and for two gates or two findings of one id.
    """
    if not gates:
        raise ValueError("nothing to judge: the scenario selects no gate")
    by_gate = _by_gate(findings, {gate.id for gate in gates} - rubric.not_yet)
    if len({gate.id for gate in gates}) < len(gates):
        raise ValueError("a gate is listed twice")
    scored = credits_of(gates, by_gate, rubric.not_yet, scored_at)
    ran = [(gate, gate_score) for gate, gate_score in scored if gate_score.state is not State.LEFT_OUT]
    facts = Facts(
        gates=tuple(gate_score for _, gate_score in scored),
        findings=by_gate,
        pillars=pillars_of(scored, rubric.pillar_floor),
        pillars_run=pillars_of(ran, rubric.pillar_floor),
        breaches=tuple(sorted(breaches, key=lambda breach: (breach.observed_at, breach.what))),
        rubric=rubric,
        complete=complete,
    )
    decision, reasons = decide(facts)
    proven, possible, _ = whole(facts.pillars)
    return Scorecard(
        decision=decision,
        scope=_scope(facts.gates, rubric),
        reasons=reasons,
        proven=proven,
        possible=possible,
        threshold=rubric.threshold,
        pillar_floor=rubric.pillar_floor,
        pillars=facts.pillars,
        blockers=blockers_of(facts, decision),
        counts=_counts(facts.gates),
        scored_at=scored_at,
        complete=complete,
    )


def _by_gate(findings: Iterable[Finding], gates: Set[str]) -> Mapping[str, Finding]:
    by_gate: dict[str, Finding] = {}
    for finding in findings:
        if finding.gate not in gates:
            continue
        if finding.gate in by_gate:
            raise ValueError(f"{finding.gate} has two findings; one gate makes one")
        by_gate[finding.gate] = finding
    return by_gate


def _counts(gates: Iterable[GateScore]) -> dict[str, int]:
    counted = Counter(gate.state for gate in gates)
    return {state.value: counted[state] for state in State}


def _scope(gates: Sequence[GateScore], rubric: Rubric) -> Scope:
    applying = [gate for gate in gates if gate.state is not State.NOT_APPLICABLE]
    blocking = [gate for gate in applying if gate.blocking]
    return Scope(
        scenario=rubric.scenario,
        judged=sum(map(_judged, applying)),
        gates=len(applying),
        judged_blocking=sum(map(_judged, blocking)),
        blocking=len(blocking) if rubric.catalogue_blocking is None else rubric.catalogue_blocking,
    )


def _judged(gate: GateScore) -> bool:
    return gate.state in (State.PASS, State.FAIL)
