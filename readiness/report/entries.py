"""A gate with everything that a run says about it: what all formats are written from, so that they agree."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from readiness.model import Finding, GateInfo, Measurement
from readiness.report.record import Change, RunRecord, Second, Step
from readiness.score.model import GateScore, Scorecard, State


@dataclass(frozen=True, slots=True)
class Entry:
    """One gate of the scenario: what it claims, how it was scored, and its finding (None where it did not run)."""

    gate: GateInfo
    score: GateScore
    finding: Finding | None
    reason: str
    began_at: datetime | None
    steps: tuple[Step, ...] = ()
    changes: tuple[Change, ...] = ()
    traffic: tuple[Second, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """How the gate stands."""
        return self.score.state

    @property
    def broken(self) -> tuple[Measurement, ...]:
        """The measurements that do not keep their limit."""
        return tuple(m for m in self.finding.measurements if m.holds is False) if self.finding else ()

    @property
    def failing_since(self) -> str:
        """What the run noted about earlier runs in which the gate failed too; empty for a new failure."""
        return next((note for note in self.notes if note.startswith("failing since ")), "")

    @property
    def ended_at(self) -> datetime | None:
        """When its finding was made; None where it did not run in this run."""
        if self.began_at is None or self.finding is None:
            return None
        return self.began_at + timedelta(seconds=self.finding.duration_s)

    @property
    def evidence_digest(self) -> str:
        """One SHA-256 over the digests of all evidence of the gate, in their order; empty without evidence."""
        if self.finding is None or not self.finding.evidence:
            return ""
        listed = "".join(f"{evidence.sha256}  {evidence.path}\n" for evidence in self.finding.evidence)
        return hashlib.sha256(listed.encode("utf-8", "replace")).hexdigest()


def entries(run: RunRecord, card: Scorecard) -> tuple[Entry, ...]:
    """Every gate of the scenario, by pillar, capability and id."""
    infos = {gate.id: gate for gate in run.gates}
    scored = [gate for pillar in card.pillars for capability in pillar.capabilities for gate in capability.gates]
    return tuple(_entry(run, infos[gate.gate], gate) for gate in scored)


def _entry(run: RunRecord, gate: GateInfo, score: GateScore) -> Entry:
    finding = None if score.state is State.NOT_YET else run.findings.get(gate.id)
    began_at = None if finding is None or finding.carried_from else run.started.get(gate.id, finding.observed_at)
    return Entry(
        gate=gate,
        score=score,
        finding=finding,
        reason=_reason(run, gate, finding),
        began_at=began_at,
        steps=tuple(step for step in run.steps if step.gate == gate.id),
        changes=tuple(change for change in run.changes if change.gate == gate.id),
        traffic=tuple(second for second in run.traffic if second.gate == gate.id),
        notes=tuple(note.text for note in run.notes if note.gate == gate.id),
    )


def _reason(run: RunRecord, gate: GateInfo, finding: Finding | None) -> str:
    later = next((entry for entry in run.policy.not_yet if entry.gate == gate.id), None)
    if later is not None:
        return f"not adopted yet: {later.reason} ({later.owner}, until {later.until})"
    if finding is not None:
        return finding.reason
    if gate.id in run.selected:
        return "the run was stopped before this gate had a verdict"
    return "not selected in this run, and no fresh evidence of an earlier one"
