"""Scorers that are each wrong in one way; most are the rule of a system in the field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any
from unittest.mock import patch

from readiness.model import Breach, Finding, GateInfo, Mode, Outcome
from readiness.score import Decision, Rubric, Scorecard, State, aggregation, credit, decision, score
from tests.score.suites import NOW, Scorer, Suite, passed

Change = Callable[[Suite], Suite]
NOT_ADOPTED = credit.not_adopted


def _on_input(change: Change) -> Scorer:
    """A scorer that first changes what it is given."""

    def mutant(
        gates: Sequence[GateInfo],
        findings: Iterable[Finding],
        rubric: Rubric,
        *,
        breaches: Sequence[Breach] = (),
        scored_at: datetime,
        complete: bool = True,
    ) -> Scorecard:
        given = Suite(tuple(gates), tuple(findings), rubric, tuple(breaches), complete, scored_at)
        return change(given).score(score)

    return mutant


def _patched(module: Any, name: str, value: Any) -> Scorer:
    """A scorer in which one function is another."""

    @contextmanager
    def changed() -> Iterator[None]:
        with ExitStack() as stack:
            stack.enter_context(patch.object(module, name, value))
            yield

    def mutant(*args: Any, **kwargs: Any) -> Scorecard:
        with changed():
            return score(*args, **kwargs)

    return mutant


def _on_findings(change: Callable[[GateInfo, Finding | None, Suite], Finding | None]) -> Scorer:
    def changed(suite: Suite) -> Suite:
        by_gate = {f.gate: f for f in suite.findings}
        new = (change(one, by_gate.get(one.id), suite) for one in suite.gates)
        return replace(suite, findings=tuple(f for f in new if f is not None))

    return _on_input(changed)


def _drop(*outcomes: Outcome | None) -> Change:
    """Take the gates of some outcomes out of the denominator (but not the last gate)."""

    def change(suite: Suite) -> Suite:
        by_gate = {f.gate: f.outcome for f in suite.findings}
        kept = tuple(one for one in suite.gates if by_gate.get(one.id) not in outcomes) or suite.gates
        return replace(suite, gates=kept)

    return change


def _as_pass(*outcomes: Outcome | None) -> Scorer:
    def change(one: GateInfo, found: Finding | None, suite: Suite) -> Finding | None:
        return passed(one, suite.scored_at) if (found.outcome if found else None) in outcomes else found

    return _on_findings(change)


def _aged(change: Callable[[Finding, Suite], Finding]) -> Scorer:
    return _on_findings(lambda _, found, suite: found and change(found, suite))


def _fail_worth_half() -> Scorer:
    real = credit.credit

    def half(one: GateInfo, found: Finding | None, scored_at: datetime) -> Any:
        scored = real(one, found, scored_at)
        return replace(scored, lo=0.5, hi=0.5, best=0.5) if scored.state is State.FAIL else scored

    return _patched(credit, "credit", half)


def _fail_ages() -> Scorer:
    """An old failure is forgotten like old evidence."""

    def forget(one: GateInfo, found: Finding | None, suite: Suite) -> Finding | None:
        if found is None or found.outcome is not Outcome.FAIL:
            return found
        old = (suite.scored_at - found.observed_at).total_seconds() >= one.ttl_s
        return replace(found, outcome=Outcome.UNKNOWN) if old else found

    return _on_findings(forget)


def _empty_is_perfect() -> Scorer:
    real = aggregation.whole

    def perfect(pillars: Any) -> tuple[float, float, float]:
        parts = [part for part in pillars if aggregation.applies(part)]
        return real(parts) if parts else (1.0, 1.0, 1.0)

    return _patched(decision, "whole", perfect)


def _order_dependent() -> Scorer:
    """The last gate's weight grows with its place in the list."""

    def change(suite: Suite) -> Suite:
        last = suite.gates[-1]
        return suite if len(suite.gates) == 1 else suite.without(last.id)

    return _on_input(change)


def _without_rule(skipped: Decision) -> Scorer:
    return _patched(decision, "RULES", tuple(rule for rule in decision.RULES if rule[0] is not skipped))


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 12) if values else 0.0


def _worst_counts_twice(values: Sequence[float]) -> float:
    """Sums without a cap: more gates, more score."""
    return min(1.0, 0.5 * min(values) + 0.1 * sum(values)) if values else 0.0


MUTANTS: dict[str, Scorer] = {
    "drops unknowns": _on_input(_drop(Outcome.UNKNOWN)),
    "drops unknowns and what was left out": _on_input(_drop(Outcome.UNKNOWN, None)),
    "drops what was left out": _on_input(_drop(None)),
    "drops failures": _on_input(_drop(Outcome.FAIL)),
    "unknown counts as pass": _as_pass(Outcome.UNKNOWN),
    "left out counts as pass": _as_pass(None),
    "not applicable counts as pass": _as_pass(Outcome.NOT_APPLICABLE),
    "unknown counts as fail": _on_findings(
        lambda _, found, __: found and (replace(found, outcome=Outcome.FAIL) if found.outcome == "UNKNOWN" else found)
    ),
    "fail worth 50": _fail_worth_half(),
    "an old failure is forgotten": _fail_ages(),
    "empty is perfect": _empty_is_perfect(),
    "mean only": _patched(aggregation, "half_weakest", _mean),
    "minimum only": _patched(aggregation, "half_weakest", lambda values: min(values, default=0.0)),
    "more gates, more score": _patched(aggregation, "half_weakest", _worst_counts_twice),
    "step at expiry": _patched(credit, "freshness", lambda age_s, ttl_s: float(age_s < ttl_s)),
    "ages from the first second": _patched(credit, "freshness", lambda age_s, ttl_s: max(0.0, 1 - age_s / ttl_s)),
    "stale evidence passes": _aged(lambda found, suite: replace(found, observed_at=suite.scored_at)),
    "stale evidence keeps a little": _patched(
        credit, "freshness", lambda age_s, ttl_s: max(0.1, min(1.0, 2 * (1 - age_s / ttl_s)))
    ),
    "a statement counts as a measurement": _on_input(
        lambda suite: replace(suite, gates=tuple(replace(one, mode=Mode.PROBE) for one in suite.gates))
    ),
    "a sample counts as a certainty": _on_input(
        lambda suite: replace(suite, gates=tuple(replace(one, statistical=False) for one in suite.gates))
    ),
    "ignores undo failures": _on_input(lambda suite: replace(suite, breaches=())),
    "ignores the pillar floor": _on_input(lambda suite: replace(suite, rubric=replace(suite.rubric, pillar_floor=0.0))),
    "ignores the threshold": _on_input(lambda suite: replace(suite, rubric=replace(suite.rubric, threshold=0.0))),
    "ignores that the run was stopped": _on_input(lambda suite: replace(suite, complete=True)),
    "ignores weakened limits": _aged(lambda found, _: replace(found, weakened=())),
    "ignores blocking": _on_input(
        lambda suite: replace(suite, gates=tuple(replace(one, blocking=False) for one in suite.gates))
    ),
    "never NOT_READY": _without_rule(Decision.NOT_READY),
    "never UNPROVEN": _without_rule(Decision.UNPROVEN),
    "never PARTIAL": _without_rule(Decision.PARTIAL),
    "never CONDITIONAL": _without_rule(Decision.CONDITIONAL),
    "order-dependent": _order_dependent(),
    "not adopted counts as pass": _patched(
        credit, "not_adopted", lambda one: credit.credit(one, passed(one, NOW), NOW)
    ),
    "not adopted counts as unknown": _patched(
        credit, "not_adopted", lambda one: replace(NOT_ADOPTED(one), hi=1.0, best=1.0)
    ),
    "not adopted is not counted": _on_input(
        lambda suite: replace(
            suite, gates=tuple(one for one in suite.gates if one.id not in suite.rubric.not_yet) or suite.gates
        )
    ),
    "ignores what is not adopted": _on_input(
        lambda suite: replace(suite, rubric=replace(suite.rubric, not_yet=frozenset()))
    ),
}
