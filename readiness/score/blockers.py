"""What stands between a run and READY, the worst first."""

from __future__ import annotations

from readiness.model import Finding
from readiness.score.aggregation import whole
from readiness.score.decision import Facts
from readiness.score.model import Blocker, Decision, GateScore, State

_SEVERITY = {State.FAIL: 0, State.UNKNOWN: 1, State.STALE: 2, State.LEFT_OUT: 3}


def blockers_of(facts: Facts, decision: Decision) -> tuple[Blocker, ...]:
    """Breaches, then blocking gates, then scored ones where the score itself falls short; none when READY."""
    if decision is Decision.READY:
        return ()
    breaches = [Blocker("", one.kind, True, f"{one.what}: {one.reason}", one.remedy) for one in facts.breaches]
    open_gates = [gate for gate in facts.gates if gate.state in _SEVERITY and (gate.blocking or _falls_short(facts))]
    ordered = sorted(open_gates, key=lambda g: (not g.blocking, _SEVERITY[g.state], -g.risk.weight, g.gate))
    listed = {gate.gate for gate in ordered}
    weakened = [_weakened(f) for _, f in sorted(facts.findings.items()) if f.weakened and f.gate not in listed]
    return (*breaches, *(_blocker(gate, facts) for gate in ordered), *weakened)


def _falls_short(facts: Facts) -> bool:
    proven, _, _ = whole(facts.pillars)
    return proven < facts.rubric.threshold or not all(pillar.holds for pillar in facts.pillars)


def _blocker(gate: GateScore, facts: Facts) -> Blocker:
    finding = facts.findings.get(gate.gate)
    again = f"run it: pytest --readiness -k {gate.gate}"
    if finding is None:
        reason = "left out of the run, and no fresh evidence of an earlier one" if facts.complete else "not reached"
        return Blocker(gate.gate, gate.state, gate.blocking, reason, again)
    if gate.state is State.STALE:
        return Blocker(gate.gate, gate.state, gate.blocking, "it passed too long ago to count", again)
    return Blocker(gate.gate, gate.state, gate.blocking, finding.reason, finding.remedy)


def _weakened(finding: Finding) -> Blocker:
    return Blocker(
        finding.gate,
        finding.outcome,
        finding.blocking,
        f"judged by a weakened limit: {', '.join(finding.weakened)}",
        "keep the default limit, or have the policy allow the weaker one",
    )
