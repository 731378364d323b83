"""What a run says, as frozen data: this module imports nothing of the package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Outcome(StrEnum):
    """The verdict of one gate; `UNKNOWN` is never a pass and never a skip."""

    PASS = "PASS"
    FAIL = "FAIL"
    UNKNOWN = "UNKNOWN"
    NOT_APPLICABLE = "NOT_APPLICABLE"


class Risk(StrEnum):
    """How much a violated gate can cost; the weights are those of the scoring design (8/4/2/1)."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def weight(self) -> int:
        """The weight of a gate of this risk in the mean of its capability."""
        return {"critical": 8, "high": 4, "medium": 2, "low": 1}[self.value]


class Mode(StrEnum):
    """What a gate does to the deployment; the order is that in which gates run."""

    OBSERVE = "observe"
    PROBE = "probe"
    DRILL = "drill"
    ATTEST = "attest"


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound that a measurement must keep: `at_most`, `at_least` or `equals` one value."""

    bound: str
    value: float
    unit: str = ""
    source: str = ""

    def holds(self, measured: float) -> bool:
        """Whether a measured value keeps the bound; a value on the bound keeps it."""
        if self.bound == "at_most":
            return measured <= self.value
        if self.bound == "at_least":
            return measured >= self.value
        return measured == self.value


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured value beside the limit it was held against (no limit: told, not judged)."""

    name: str
    value: float | str | bool | None
    unit: str = ""
    limit: Limit | None = None
    holds: bool | None = None
    default: float | None = None
    """The gate's own default where policy or objectives changed the limit."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A primary record that a finding rests on; `path` is relative to the folder of the run."""

    name: str
    path: str
    sha256: str
    size_bytes: int
    media_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class GateInfo:
    """What a gate says about itself: the text of reports, `catalogue` and `explain`."""

    id: str
    claim: str
    """The gate's name as a sentence: `rollback moves all traffic`."""
    summary: str
    """First sentence of the docstring."""
    pillar: str
    capability: str
    risk: Risk
    blocking: bool
    mode: Mode
    version: int
    why: str = ""
    measures: str = ""
    red: str = ""
    mend: str = ""
    needs: tuple[str, ...] = ()
    limits: Mapping[str, Limit] = field(default_factory=dict)
    patterns: tuple[str, ...] = ()
    ttl_s: float = 86400.0
    """How long a verdict counts as evidence, in seconds."""
    typical_s: float = 1.0
    """A usual duration on the embedded deployment, in seconds; only the progress display uses it."""
    module: str = ""
    statistical: bool = False
    """A pass is a sample: it earns the confidence interval of its k of n, not a whole credit."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The one verdict of one gate in one run."""

    gate: str
    outcome: Outcome
    risk: Risk
    blocking: bool
    reason: str
    observed_at: datetime
    duration_s: float = 0.0
    measurements: tuple[Measurement, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    remedy: str = ""
    """For FAIL what to do; for UNKNOWN the descriptor line (or right, or program) that is missing."""
    successes: int | None = None
    trials: int | None = None
    """k of n, where the gate repeated something."""
    weakened: tuple[str, ...] = ()
    """Limits weaker than the default that the policy did not allow for (caps the decision)."""
    carried_from: str = ""
    """The earlier run whose fresh evidence this is; empty when the gate ran now."""


class BreachKind(StrEnum):
    """What a run can find that is no gate's."""

    UNDO_FAILED = "UNDO_FAILED"
    """A change to the deployment that could not be shown to be undone."""
    UNREACHABLE = "UNREACHABLE"
    """A declared service that does not take connections."""


@dataclass(frozen=True, slots=True)
class Breach:
    """What stands between a deployment and production by itself, whatever its gates say."""

    what: str
    reason: str
    observed_at: datetime
    remedy: str = ""
    """What an operator does about it."""
    kind: BreachKind = BreachKind.UNDO_FAILED
