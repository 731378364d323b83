"""The scorecard as a public document: what `readiness.json` holds, and its JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from readiness.model import Breach, Evidence, Finding, Measurement, Mode, Outcome, Risk
from readiness.report.chaos_record import ChaosSummary
from readiness.report.entries import Entry, entries
from readiness.report.load_record import LoadSummary
from readiness.report.record import Change, Deployment, Policy, RunRecord, Scenario
from readiness.score.model import Blocker, Decision, PillarScore, Scope, Scorecard, State

FORMAT: Final = 1
"""Version of the document; it rises with every change that a reader must know of."""


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate of the scenario; `lo` and `hi` are its interval of credit, ages and durations are in seconds."""

    id: str
    claim: str
    pillar: str
    capability: str
    risk: Risk
    blocking: bool
    mode: Mode
    version: int
    state: State
    outcome: Outcome | None
    """The finding's own verdict; null where the gate was left out."""
    reason: str
    remedy: str
    lo: float
    hi: float
    observed_at: datetime | None
    age_s: float | None
    duration_s: float | None
    successes: int | None
    trials: int | None
    confidence: float | None
    """The share of successes that the k of n proves at 95 % confidence."""
    measurements: tuple[Measurement, ...]
    evidence: tuple[Evidence, ...]
    evidence_digest: str
    weakened: tuple[str, ...]
    carried_from: str


@dataclass(frozen=True, slots=True)
class CapabilityResult:
    """The interval of a capability, and the ids of its gates."""

    name: str
    proven: float
    possible: float
    gates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PillarResult:
    """The interval of a pillar; `holds` tells whether what is proven reaches the floor."""

    name: str
    proven: float
    possible: float
    holds: bool
    capabilities: tuple[CapabilityResult, ...]


@dataclass(frozen=True, slots=True)
class ScopeResult:
    """What the decision is about; `text` is how it is printed."""

    text: str
    scenario: str
    judged: int
    gates: int
    judged_blocking: int
    blocking: int


@dataclass(frozen=True, slots=True)
class RunResult:
    """Which run this is; `complete` is false for one that was stopped."""

    id: str
    product_version: str
    began_at: datetime
    ended_at: datetime
    complete: bool
    interrupted: str
    environment: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """The result of one run of `pytest --readiness`."""

    readiness_scorecard: Literal[1]
    run: RunResult
    decision: Decision
    exit_code: int
    scope: ScopeResult
    reasons: tuple[str, ...]
    proven: float
    possible: float
    threshold: float
    pillar_floor: float
    scored_at: datetime
    counts: Mapping[str, int]
    blockers: tuple[Blocker, ...]
    breaches: tuple[Breach, ...]
    pillars: tuple[PillarResult, ...]
    gates: tuple[GateResult, ...]
    changes: tuple[Change, ...]
    loads: tuple[LoadSummary, ...]
    """The load runs without their seconds, which are in `history.jsonl`."""
    trials: tuple[ChaosSummary, ...]
    """The chaos experiments without their seconds, which are in `history.jsonl`."""
    scenario: Scenario
    deployment: Deployment
    policy: Policy


def document(run: RunRecord, card: Scorecard) -> Document:
    """Join a run and its scorecard into the document."""
    return Document(
        readiness_scorecard=FORMAT,
        run=RunResult(
            run.run_id,
            run.product_version,
            run.began_at,
            run.ended_at,
            run.complete,
            run.interrupted,
            run.environment,
        ),
        decision=card.decision,
        exit_code=card.decision.exit_code,
        scope=_scope(card.scope),
        reasons=card.reasons,
        proven=card.proven,
        possible=card.possible,
        threshold=card.threshold,
        pillar_floor=card.pillar_floor,
        scored_at=card.scored_at,
        counts=card.counts,
        blockers=card.blockers,
        breaches=run.breaches,
        pillars=tuple(map(_pillar, card.pillars)),
        gates=tuple(map(_gate, entries(run, card))),
        changes=run.changes,
        loads=tuple(load.summary for load in run.loads),
        trials=tuple(trial.summary for trial in run.trials),
        scenario=run.scenario,
        deployment=run.deployment,
        policy=run.policy,
    )


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the document."""
    made = TypeAdapter(Document).json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _scope(scope: Scope) -> ScopeResult:
    return ScopeResult(str(scope), scope.scenario, scope.judged, scope.gates, scope.judged_blocking, scope.blocking)


def _pillar(pillar: PillarScore) -> PillarResult:
    capabilities = tuple(
        CapabilityResult(part.name, part.lo, part.hi, tuple(gate.gate for gate in part.gates))
        for part in pillar.capabilities
    )
    return PillarResult(pillar.name, pillar.lo, pillar.hi, pillar.holds, capabilities)


def _gate(entry: Entry) -> GateResult:
    gate, score, finding = entry.gate, entry.score, entry.finding
    found = finding or _NOTHING
    return GateResult(
        id=gate.id,
        claim=gate.claim,
        pillar=gate.pillar,
        capability=gate.capability,
        risk=gate.risk,
        blocking=gate.blocking,
        mode=gate.mode,
        version=gate.version,
        state=entry.state,
        outcome=finding.outcome if finding else None,
        reason=entry.reason,
        remedy=found.remedy,
        lo=score.lo,
        hi=score.hi,
        observed_at=finding.observed_at if finding else None,
        age_s=score.age_s,
        duration_s=finding.duration_s if finding else None,
        successes=found.successes,
        trials=found.trials,
        confidence=score.confidence,
        measurements=found.measurements,
        evidence=found.evidence,
        evidence_digest=entry.evidence_digest,
        weakened=found.weakened,
        carried_from=found.carried_from,
    )


_NOTHING = Finding("", Outcome.UNKNOWN, Risk.LOW, False, "", datetime.min)
