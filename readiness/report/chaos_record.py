"""An experiment as the history tells it: what was broken and witnessed, what the callers saw, what was concluded."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from readiness.report.load_record import Amount, Count, Seconds, Value
from readiness.report.printable import Text

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
WindowName = Literal["before", "fault", "after"]


@dataclass(frozen=True, slots=True)
class ChaosWindow:
    """A stretch of an experiment."""

    name: WindowName
    began_at: AwareDatetime
    ended_at: AwareDatetime


@dataclass(frozen=True, slots=True)
class ChaosFault:
    """One fault: what was done to what, what showed that it was in force, and how it ended."""

    what: Text
    opened_at: AwareDatetime
    name: Text = ""
    witness: Text = ""
    """Empty where nothing showed that it was in force."""
    undone_at: AwareDatetime | None = None
    undo_s: Seconds | None = None
    closed_at: AwareDatetime | None = None
    """When the deployment was seen to be as before."""
    verified: bool | None = None
    heals: Text = ""
    """What heals it where the run dies."""

    @property
    def over_at(self) -> datetime | None:
        """When it was no longer in force, as far as that is known."""
        return self.undone_at or self.closed_at


@dataclass(frozen=True, slots=True)
class ChaosRecovery:
    """When the deployment was itself again, in seconds after the fault was lifted; null where it was not seen to."""

    lo_s: Seconds = 0.0
    hi_s: Seconds | None = None
    limit_s: Seconds | None = None
    holds: bool | None = None
    text: Text = ""


@dataclass(frozen=True, slots=True)
class ChaosInvariant:
    """What must hold of the work of agents: null where it cannot be told."""

    name: Text
    holds: bool | None = None
    detail: Text = ""
    asked: bool = True
    """Whether anything was declared that it could be held against."""
    offenders: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class ChaosPromise:
    """What was promised of a window before the run, and what was measured."""

    window: WindowName
    text: Text
    holds: bool | None = None


@dataclass(frozen=True, slots=True)
class ChaosFigures:
    """What the callers saw in one window; the bounds are one-sided, at 95 % each."""

    name: WindowName
    sent: Count = 0
    good: Count = 0
    share_lo: Share = 0.0
    share_hi: Share = 1.0
    p50_ms: Amount | None = None
    p95_ms: Amount | None = None


@dataclass(frozen=True, slots=True)
class ChaosDifference:
    """The fault window less the calm before it, with its 95 % interval; shares of 0 to 1, latencies in seconds."""

    what: Text
    value: Value
    low: Value
    high: Value


@dataclass(frozen=True, slots=True)
class ChaosSecond:
    """One second of the traffic, by submission."""

    second: AwareDatetime
    sent: Count = 0
    ok: Count = 0
    failed: Count = 0
    p50_ms: Amount | None = None
    p95_ms: Amount | None = None


@dataclass(frozen=True, slots=True)
class ChaosSummary:
    """An experiment without its seconds: the verdict, and the facts that it rests on."""

    experiment: Text
    outcome: Literal["PASS", "FAIL", "UNKNOWN"]
    gate: Text = ""
    title: Text = ""
    failure_mode: Text = ""
    reasons: tuple[Text, ...] = ()
    hypothesis_before: bool | None = None
    hypothesis_after: bool | None = None
    vacuous: bool | None = None
    """Whether the hypothesis holds of a deployment that is down, too, and so says nothing."""
    windows: tuple[ChaosWindow, ...] = ()
    faults: tuple[ChaosFault, ...] = ()
    recovery: ChaosRecovery | None = None
    promises: tuple[ChaosPromise, ...] = ()
    invariants: tuple[ChaosInvariant, ...] = ()
    figures: tuple[ChaosFigures, ...] = ()
    differences: tuple[ChaosDifference, ...] = ()
    lost: Count | None = None
    """How much accepted work was lost; null where that cannot be told."""
    done_twice: Count | None = None
    journal: Text = ""
    """The Chaos Toolkit journal, relative to the run's folder."""

    @property
    def link(self) -> str:
        """The journal as a relative link; empty where it lies outside the run's own folders."""
        parts = PurePosixPath(self.journal).parts
        inside = len(parts) > 1 and parts[0] in ("chaos", "evidence", "journals") and ".." not in parts
        return "/".join(parts) if inside else ""


@dataclass(frozen=True, slots=True)
class Trial(ChaosSummary):
    """An experiment with its seconds."""

    traffic: tuple[ChaosSecond, ...] = ()

    @property
    def summary(self) -> ChaosSummary:
        """The experiment without its seconds."""
        return ChaosSummary(**{one.name: getattr(self, one.name) for one in fields(ChaosSummary)})
