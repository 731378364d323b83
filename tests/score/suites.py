"""Suites of gates and findings for the scorer: written by hand and by Hypothesis."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from hypothesis import strategies as st

from readiness.model import Breach, Finding, GateInfo, Mode, Outcome, Risk
from readiness.score import Rubric, Scorecard

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
TTL_S = 1000.0
DEFAULT = Rubric(0.75, 0.6)
PILLARS = ("ARC", "OBS", "OPS", "PRF", "SEC", "IMP")


class Scorer(Protocol):
    """The signature of `readiness.score.score`, which a mutant shares."""

    def __call__(
        self,
        gates: Sequence[GateInfo],
        findings: Iterable[Finding],
        rubric: Rubric,
        *,
        breaches: Sequence[Breach] = (),
        scored_at: datetime,
        complete: bool = True,
    ) -> Scorecard: ...


@dataclass(frozen=True)
class Suite:
    """The arguments of one scoring."""

    gates: tuple[GateInfo, ...]
    findings: tuple[Finding, ...]
    rubric: Rubric = DEFAULT
    breaches: tuple[Breach, ...] = ()
    complete: bool = True
    scored_at: datetime = NOW

    def score(self, scorer: Scorer) -> Scorecard:
        """Run a scorer on this suite."""
        return scorer(
            self.gates,
            self.findings,
            self.rubric,
            breaches=self.breaches,
            scored_at=self.scored_at,
            complete=self.complete,
        )

    def with_finding(self, finding: Finding) -> Suite:
        """The suite with the finding of one gate replaced (or added)."""
        return replace(self, findings=(*self.without(finding.gate).findings, finding))

    def without(self, gate: str) -> Suite:
        """The suite with one gate left out."""
        return replace(self, findings=tuple(f for f in self.findings if f.gate != gate))

    def later(self, seconds: float) -> Suite:
        """The same evidence, scored later."""
        return replace(self, scored_at=self.scored_at + timedelta(seconds=seconds))

    def gate(self, id: str) -> GateInfo:
        """The gate of this id."""
        return next(gate for gate in self.gates if gate.id == id)


def gate(
    id: str,
    *,
    risk: Risk = Risk.HIGH,
    blocking: bool = True,
    mode: Mode = Mode.PROBE,
    statistical: bool = False,
    ttl_s: float = TTL_S,
) -> GateInfo:
    """A gate whose pillar and capability are the parts of its id."""
    pillar, capability, _ = id.split("-")
    return GateInfo(
        id=id,
        claim="a claim holds",
        summary="A claim holds.",
        pillar=pillar,
        capability=f"{pillar}-{capability}",
        risk=risk,
        blocking=blocking,
        mode=mode,
        version=1,
        ttl_s=ttl_s,
        statistical=statistical,
    )


def finding(
    gate: GateInfo,
    outcome: Outcome = Outcome.PASS,
    *,
    age_s: float = 0.0,
    successes: int | None = None,
    trials: int | None = None,
    weakened: tuple[str, ...] = (),
) -> Finding:
    """A finding of a gate, observed `age_s` before NOW."""
    return Finding(
        gate=gate.id,
        outcome=outcome,
        risk=gate.risk,
        blocking=gate.blocking,
        reason=f"it is {outcome.value}",
        observed_at=NOW - timedelta(seconds=age_s),
        successes=successes,
        trials=trials,
        weakened=weakened,
    )


UNDO = Breach("gateway was killed", "two of three instances are ready", NOW, "nexusctl up gateway")


@st.composite
def gates(draw: st.DrawFn, *, max_pillars: int = 4) -> tuple[GateInfo, ...]:
    """One to a dozen gates over several pillars and capabilities; at least one is blocking."""
    made: list[GateInfo] = []
    for pillar in PILLARS[: draw(st.integers(1, max_pillars))]:
        for number in range(draw(st.integers(1, 3))):
            statistical = draw(st.integers(0, 4)) == 0
            made.append(
                gate(
                    f"{pillar}-{'AB'[number % 2]}CD-{number:03}",
                    risk=draw(st.sampled_from(Risk)),
                    blocking=not made or draw(st.booleans()),
                    mode=Mode.PROBE if statistical else draw(st.sampled_from(Mode)),
                    statistical=statistical,
                )
            )
    return tuple(made)


@st.composite
def findings_of(draw: st.DrawFn, one: GateInfo) -> Finding | None:
    """Any finding of a gate, or none."""
    outcome = draw(st.sampled_from([None, *Outcome]))
    if outcome is None:
        return None
    trials = draw(st.integers(0, 40)) if one.statistical else None
    successes = draw(st.integers(0, trials)) if trials is not None else None
    weakened = ("limit_s",) if draw(st.integers(0, 5)) == 0 else ()
    age_s = draw(st.floats(0, 1.5 * TTL_S))
    return finding(one, outcome, age_s=age_s, successes=successes, trials=trials, weakened=weakened)


RUBRICS = st.sampled_from([Rubric(0.75, 0.6), Rubric(0.8, 0.6), Rubric(0.85, 0.6), Rubric(0.5, 0.0), Rubric(0.3, 0.6)])


@st.composite
def any_suite(draw: st.DrawFn) -> Suite:
    """Any suite: nearly always NOT_READY or UNPROVEN."""
    chosen = draw(gates())
    found = tuple(f for one in chosen if (f := draw(findings_of(one))) is not None)
    undo = (UNDO,) if draw(st.integers(0, 9)) == 0 else ()
    return Suite(chosen, found, draw(RUBRICS), undo, complete=draw(st.integers(0, 9)) > 0)


@st.composite
def near_ready_suite(draw: st.DrawFn) -> Suite:
    """A suite that passes but for at most two findings: the decisions between READY and NOT_READY are common."""
    chosen = draw(gates(max_pillars=6))
    suite = Suite(chosen, tuple(_good(one) for one in chosen), draw(RUBRICS))
    for one in draw(st.lists(st.sampled_from(chosen), max_size=2, unique_by=lambda one: one.id)):
        worse = draw(findings_of(one))
        suite = suite.without(one.id) if worse is None else suite.with_finding(worse)
    if draw(st.integers(0, 5)) == 0:
        one = draw(st.sampled_from(chosen))
        suite = suite.with_finding(replace(_good(one), weakened=("limit_s",)))
    if draw(st.integers(0, 14)) == 0:
        suite = replace(suite, breaches=(UNDO,))
    return replace(suite, complete=draw(st.integers(0, 14)) > 0)


SUITES = st.one_of(near_ready_suite(), any_suite())


def _good(one: GateInfo) -> Finding:
    return finding(one, successes=60, trials=60) if one.statistical else finding(one)


def passed(one: GateInfo, observed_at: datetime) -> Finding:
    """The best finding that a gate can have: measured now, and often enough where it is a sample."""
    return replace(_good(one), observed_at=observed_at)
