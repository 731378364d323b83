"""What a score is made of and what it says, as frozen data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from readiness.model import Risk


class State(StrEnum):
    """How a gate stands when it is scored: its outcome, or why there is none that counts."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"
    STALE = "STALE"
    """Passed once, longer ago than its evidence counts; scored like UNKNOWN."""
    NOT_APPLICABLE = "NOT_APPLICABLE"
    LEFT_OUT = "LEFT_OUT"
    """Part of the scenario, not of the selection, and without fresh evidence: no credit and no verdict."""
    NOT_YET = "NOT_YET"
    """Not adopted yet, as the policy says: it earns nothing, whatever is known of it, and blocks nothing."""


class Decision(StrEnum):
    """The answer of a run, from worst to best."""

    NOT_READY = "NOT_READY"
    UNPROVEN = "UNPROVEN"
    PARTIAL = "PARTIAL"
    CONDITIONAL = "CONDITIONAL"
    READY = "READY"

    @property
    def exit_code(self) -> int:
        """The exit code of the decision; pytest's own 1 to 6 keep their meaning."""
        return {"READY": 0, "NOT_READY": 10, "UNPROVEN": 11, "CONDITIONAL": 12, "PARTIAL": 13}[self.value]

    @property
    def rank(self) -> int:
        """The place from worst (0) to best (4)."""
        return list(Decision).index(self)


@dataclass(frozen=True, slots=True)
class Rubric:
    """What a scenario demands: the share of the credit, and the least that each pillar must have (both 0 to 1)."""

    threshold: float = 0.75
    pillar_floor: float = 0.6
    scenario: str = ""
    catalogue_blocking: int | None = None
    """How many blocking gates exist, where that is more than the scenario's own."""
    not_yet: frozenset[str] = frozenset()
    """Ids of gates that the policy calls not adopted yet."""


@dataclass(frozen=True, slots=True)
class GateScore:
    """The interval of credit of one gate, and how old its evidence is."""

    gate: str
    state: State
    risk: Risk
    blocking: bool
    lo: float
    hi: float
    best: float
    """`hi` before age: bad news does not age, it stands until the gate runs again."""
    age_s: float | None = None
    confidence: float | None = None
    """Share of successes that the k of n proves at 95 % confidence; only where something was repeated."""


@dataclass(frozen=True, slots=True)
class CapabilityScore:
    """The risk-weighted mean of the gates of one capability."""

    name: str
    lo: float
    hi: float
    best: float
    gates: tuple[GateScore, ...]


@dataclass(frozen=True, slots=True)
class PillarScore:
    """Half the weakest capability, half their mean."""

    name: str
    lo: float
    hi: float
    best: float
    holds: bool
    """Whether what is proven reaches the floor."""
    capabilities: tuple[CapabilityScore, ...]


@dataclass(frozen=True, slots=True)
class Blocker:
    """One thing that stands between this run and READY; an undo failure has no gate."""

    gate: str
    state: str
    blocking: bool
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What the decision is about: how many gates of the scenario have a verdict."""

    scenario: str
    judged: int
    gates: int
    judged_blocking: int
    blocking: int

    def __str__(self) -> str:
        name = f"{self.scenario} " if self.scenario else ""
        return f"{name}({self.judged_blocking} of {self.blocking} blocking gates)"


@dataclass(frozen=True, slots=True)
class Scorecard:
    """The result of a run: the decision, why, and the interval `[proven, possible]` with what it is made of."""

    decision: Decision
    scope: Scope
    reasons: tuple[str, ...]
    proven: float
    possible: float
    threshold: float
    pillar_floor: float
    pillars: tuple[PillarScore, ...]
    blockers: tuple[Blocker, ...]
    counts: dict[str, int]
    """State → number of gates; every state is named."""
    scored_at: datetime
    complete: bool = True
    """False: the run was stopped before its end."""
