"""The decision, apart from the score: rules in a fixed order, the first that finds a reason decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from readiness.model import Breach, BreachKind, Finding
from readiness.score.aggregation import applies, whole
from readiness.score.model import Decision, GateScore, PillarScore, Rubric, State


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the rules look at."""

    gates: tuple[GateScore, ...]
    findings: Mapping[str, Finding]
    pillars: tuple[PillarScore, ...]
    """Over the whole scenario: what was left out has no credit."""
    pillars_run: tuple[PillarScore, ...]
    """Over what has a finding."""
    breaches: tuple[Breach, ...]
    rubric: Rubric
    complete: bool


BROKEN = {
    BreachKind.UNDO_FAILED: "a change was not undone",
    BreachKind.UNREACHABLE: "a declared service cannot be reached",
}
Rule = Callable[[Facts], Iterator[str]]


def percent(share: float) -> str:
    """A share as people read it, rounded down so that what misses a threshold never looks as if it met it."""
    return f"{math.floor(round(share * 1000, 6)) / 10:g} %"


def decide(facts: Facts) -> tuple[Decision, tuple[str, ...]]:
    """The first rule that finds a reason names the decision; without any the deployment is READY."""
    for decision, rule in RULES:
        reasons = tuple(rule(facts))
        if reasons:
            return decision, reasons
    proven, _, _ = whole(facts.pillars)
    return Decision.READY, (
        f"every blocking gate holds; {percent(proven)} is proven, {percent(facts.rubric.threshold)} is asked",
    )


def not_ready(facts: Facts) -> Iterator[str]:
    """A broken promise: what the run itself found, a blocking FAIL, or too little even if all the rest passed."""
    for breach in facts.breaches:
        yield f"{BROKEN[breach.kind]}: {breach.what}: {breach.reason}"
    for gate in _blocking(facts, State.FAIL):
        yield f"{gate.gate} fails: {facts.findings[gate.gate].reason}"
    _, _, best = whole(facts.pillars)
    if best < facts.rubric.threshold:
        yield f"at most {percent(best)} is possible, {percent(facts.rubric.threshold)} is asked"
    for pillar in facts.pillars:
        if applies(pillar) and pillar.best < facts.rubric.pillar_floor:
            yield _below_floor(pillar.name, "at most", pillar.best, "possible", facts.rubric)


def unproven(facts: Facts) -> Iterator[str]:
    """Missing evidence about what ran: a stopped run, a blocking gate without a verdict, or too little proven."""
    if not facts.complete:
        yield "the run was stopped before its end"
    for gate in _blocking(facts, State.UNKNOWN):
        yield f"{gate.gate} is unknown: {facts.findings[gate.gate].reason}"
    for gate in _blocking(facts, State.STALE):
        yield f"{gate.gate} is stale: it passed too long ago to count"
    yield from _too_little(facts.pillars_run, facts.rubric, "of what ran")


def partial(facts: Facts) -> Iterator[str]:
    """A part of the scenario: a blocking gate was left out, or so much that the threshold is not reached."""
    left_out = [gate.gate for gate in _blocking(facts, State.LEFT_OUT)]
    if left_out:
        yield f"blocking gates were left out: {', '.join(left_out)}"
    yield from _too_little(facts.pillars, facts.rubric, "of the whole scenario")


def conditional(facts: Facts) -> Iterator[str]:
    """A limit that is weaker than its default without leave of the policy."""
    for gate in facts.gates:
        finding = facts.findings.get(gate.gate)
        if finding is not None and finding.weakened:
            yield f"{gate.gate} was judged by a weakened limit: {', '.join(finding.weakened)}"


RULES: tuple[tuple[Decision, Rule], ...] = (
    (Decision.NOT_READY, not_ready),
    (Decision.UNPROVEN, unproven),
    (Decision.PARTIAL, partial),
    (Decision.CONDITIONAL, conditional),
)


def _blocking(facts: Facts, state: State) -> list[GateScore]:
    gates = [gate for gate in facts.gates if gate.blocking and gate.state is state]
    return sorted(gates, key=lambda gate: (-gate.risk.weight, gate.gate))


def _too_little(pillars: tuple[PillarScore, ...], rubric: Rubric, of: str) -> Iterator[str]:
    proven, _, _ = whole(pillars)
    if proven < rubric.threshold:
        yield f"{percent(proven)} {of} is proven, {percent(rubric.threshold)} is asked"
    for pillar in pillars:
        if applies(pillar) and pillar.lo < rubric.pillar_floor:
            yield _below_floor(pillar.name, "only", pillar.lo, f"{of} proven", rubric)


def _below_floor(pillar: str, bound: str, share: float, what: str, rubric: Rubric) -> str:
    return f"{pillar}: {bound} {percent(share)} {what}, each pillar needs {percent(rubric.pillar_floor)}"
