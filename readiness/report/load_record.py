"""A load run as the history tells it: what was asked and achieved, stage by stage and second by second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from readiness.report.printable import Text

Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
"""A rate, latency or share; what a run cannot have measured is refused, so that every place in a picture is finite."""
Value = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**12)]
Seconds = Annotated[float, Field(ge=0, le=366 * 86400, allow_inf_nan=False)]
Offset = Annotated[int, Field(ge=0, le=366 * 86400)]
"""A second of the run."""


@dataclass(frozen=True, slots=True)
class LoadStage:
    """One stage, or the whole run: rates a second and latencies in milliseconds, null where nothing was measured.

    `planned_rate` is what was asked, and `achieved_rate` what was served of it.
    `p50_ms` to `max_ms` count from the intended start (the queue in front of a stalled system is in them);
    `service_…` count from when the request was really sent.
    """

    name: Text = ""
    duration_s: Seconds = 0.0
    planned: Count = 0
    started: Count = 0
    planned_rate: Amount | None = None
    achieved_rate: Amount | None = None
    ok: Count = 0
    shed: Count = 0
    """Refused because of load, which is an answer and no error."""
    broken: Count = 0
    p50_ms: Amount | None = None
    p90_ms: Amount | None = None
    p95_ms: Amount | None = None
    p99_ms: Amount | None = None
    p999_ms: Amount | None = None
    max_ms: Amount | None = None
    service_p50_ms: Amount | None = None
    service_p95_ms: Amount | None = None
    service_p99_ms: Amount | None = None


@dataclass(frozen=True, slots=True)
class LoadCriterion:
    """A threshold that was written before the run, and what was measured against it."""

    text: Text
    stage: Text = ""
    value: Value | None = None
    unit: Text = ""
    holds: bool | None = None


@dataclass(frozen=True, slots=True)
class Generator:
    """How the load generator itself fared; where it was at its limit, the run says nothing of the system."""

    cpu_peak_percent: Amount | None = None
    """Of one core, for the busiest of its processes."""
    lag_p95_ms: Value | None = None
    """How late its event loop was."""
    late_p99_ms: Value | None = None
    """How long after its intended start a request was sent; a hair below 0 where clocks are coarse."""
    achieved_percent: Amount | None = None
    """Requests started, of those that were planned."""


@dataclass(frozen=True, slots=True)
class LoadSecond:
    """One second of a load run, by intended starts."""

    second: Offset
    planned: Count = 0
    started: Count = 0
    ok: Count = 0
    shed: Count = 0
    broken: Count = 0
    p50_ms: Amount | None = None
    p95_ms: Amount | None = None
    p99_ms: Amount | None = None


@dataclass(frozen=True, slots=True)
class LoadSummary:
    """A load run without its seconds: the verdict, and the figures that it rests on."""

    profile: Text
    outcome: Literal["PASS", "FAIL", "INVALID"]
    """INVALID: the generator or the plan was the limit, so nothing is said of the system."""
    gate: Text = ""
    """The gate that ran it."""
    folder: Text = ""
    """Where its raw files are, relative to the run's folder."""
    began_at: AwareDatetime | None = None
    """The instant of second 0; null where it never began."""
    reasons: tuple[Text, ...] = ()
    model: Literal["open", "closed"] = "open"
    """`closed`: users wait for each answer, so that latency counts from the actual start."""
    arrivals: Text = ""
    variant: Text = ""
    sha256: Text = ""
    """Of the plan and its criteria, as they were written before the run."""
    written_at: AwareDatetime | None = None
    command: tuple[Text, ...] = ()
    total: LoadStage = field(default_factory=LoadStage)
    stages: tuple[LoadStage, ...] = ()
    omission_factor: Amount | None = None
    """The p99 from the intended start, as a multiple of the p99 of the service time."""
    corrected_p99_ms: Amount | None = None
    """Closed model only: the p99 with the transactions added that a stall kept from being sent."""
    errors: Mapping[str, Count] = field(default_factory=dict)
    """Kind of error → how often."""
    limited_by: Text = ""
    criteria: tuple[LoadCriterion, ...] = ()
    generator: Generator = field(default_factory=Generator)

    @property
    def closed(self) -> bool:
        """Whether users waited for each answer before they sent again."""
        return self.model == "closed"

    @property
    def link(self) -> str:
        """The folder as a relative link; empty where it lies outside the run's own."""
        parts = PurePosixPath(self.folder).parts
        return f"{'/'.join(parts)}/" if parts and parts[0] == "load" and ".." not in parts else ""


@dataclass(frozen=True, slots=True)
class Load(LoadSummary):
    """A load run with its seconds."""

    seconds: tuple[LoadSecond, ...] = ()

    @property
    def summary(self) -> LoadSummary:
        """The run without its seconds, which for hours of load are many."""
        return LoadSummary(**{one.name: getattr(self, one.name) for one in fields(LoadSummary)})
