"""A run as its history tells it: typed, complete, and all that a writer of reports reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from readiness.errors import UsageError
from readiness.history import Event
from readiness.model import Breach, Finding, GateInfo
from readiness.records import breach_from, finding_from, gate_from
from readiness.report.chaos_record import Trial
from readiness.report.load_record import Load
from readiness.report.printable import Text, printable
from readiness.score.model import Rubric

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the run was about and what it asked for (shares of 0 to 1)."""

    name: str
    about: Text = ""
    threshold: float = 0.75
    pillar_floor: float = 0.6
    catalogue_blocking: int | None = None
    """How many blocking gates the catalogue has, where the scenario is a part of it."""


@dataclass(frozen=True, slots=True)
class Service:
    """One service as its descriptor told it."""

    owner: str | None = None
    replicas: int | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """What was judged."""

    name: str
    environment: Text = ""
    pattern: Text = ""
    driver: Text = ""
    descriptor_sha256: Text = ""
    releases: Mapping[str, Text] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LimitChange:
    """A limit that the policy set, with who answers for it and until when."""

    gate: str
    limit: str
    value: Any
    deployment: Text = ""
    reason: Text = ""
    owner: Text = ""
    expires: Text = ""


@dataclass(frozen=True, slots=True)
class NotYet:
    """A gate that the team has not adopted, with who will and until when."""

    gate: str
    owner: Text = ""
    until: Text = ""
    reason: Text = ""


@dataclass(frozen=True, slots=True)
class Policy:
    """What those who sign off allowed."""

    limits: tuple[LimitChange, ...] = ()
    not_yet: tuple[NotYet, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a history."""

    run_id: str
    scenario: Scenario
    deployment: Deployment
    gates: tuple[dict[str, Any], ...]
    selected: tuple[str, ...] = ()
    product_version: str = ""
    policy: Policy = field(default_factory=Policy)
    environment: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """A part of a gate's work."""

    gate: Text
    title: str
    seconds: float
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What a drill changed, and how that ended; `closed_at` is None while it is in force."""

    id: str
    gate: str
    what: str
    service: str
    undo: str
    opened_at: datetime
    witnesses: tuple[str, ...] = ()
    closed_at: datetime | None = None
    verified: bool | None = None
    healed_by: str = ""


@dataclass(frozen=True, slots=True)
class Second:
    """One second of the traffic of a drill: requests a second and latencies in milliseconds."""

    gate: Text
    second: datetime
    sent: int = 0
    ok: int = 0
    failed: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A remark of the run, or of one gate."""

    text: str
    gate: Text = ""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run: what was to be judged, what was found, and what was done on the way."""

    run_id: str
    product_version: str
    scenario: Scenario
    deployment: Deployment
    gates: tuple[GateInfo, ...]
    selected: tuple[str, ...]
    policy: Policy
    environment: Mapping[str, Any]
    findings: Mapping[str, Finding]
    """Gate's id → its last finding."""
    started: Mapping[str, datetime]
    """Gate's id → when it began."""
    steps: tuple[Step, ...]
    changes: tuple[Change, ...]
    traffic: tuple[Second, ...]
    loads: tuple[Load, ...]
    trials: tuple[Trial, ...]
    """The chaos experiments, in their order."""
    breaches: tuple[Breach, ...]
    notes: tuple[Note, ...]
    began_at: datetime
    ended_at: datetime
    scored_at: datetime
    """When the run was scored; the time of its last event where it was killed before."""
    interrupted: str = ""
    """The signal that stopped the run."""
    complete: bool = True

    @property
    def rubric(self) -> Rubric:
        """What the scenario demands, and what the policy leaves for later."""
        scenario = self.scenario
        not_yet = frozenset(entry.gate for entry in self.policy.not_yet)
        return Rubric(
            scenario.threshold, scenario.pillar_floor, scenario.name, scenario.catalogue_blocking, not_yet=not_yet
        )

    @classmethod
    def from_history(cls, events: Iterable[Event]) -> RunRecord:
        """Read a run from its events; raise UsageError where they tell of none."""
        told = tuple(Event(event.at, event.kind, printable(event.data)) for event in events)
        head = next((_read(Head, event.data, "run") for event in told if event.kind == "run"), None)
        if head is None:
            raise UsageError("history.jsonl tells of no run: it has no 'run' line; give the folder of a run that began")
        found = [finding_from(event.data) for event in told if event.kind == "finding"]
        scored = [_read(_Scored, event.data, "scored").at for event in told if event.kind == "scored"]
        interrupted = next((_text(event, "signal") for event in told if event.kind == "interrupted"), "")
        return cls(
            run_id=head.run_id,
            product_version=head.product_version,
            scenario=head.scenario,
            deployment=head.deployment,
            gates=tuple(gate_from(gate) for gate in head.gates),
            selected=head.selected,
            policy=head.policy,
            environment=head.environment,
            findings={finding.gate: finding for finding in found},
            started={_text(event, "gate"): event.at for event in told if event.kind == "gate_started"},
            steps=_steps(told),
            changes=_changes(told),
            traffic=_all(Second, told, "traffic"),
            loads=_all(Load, told, "load"),
            trials=_all(Trial, told, "chaos"),
            breaches=tuple(breach_from(event.data) for event in told if event.kind == "breach"),
            notes=_all(Note, told, "note"),
            began_at=told[0].at,
            ended_at=told[-1].at,
            scored_at=scored[-1] if scored else told[-1].at,
            interrupted=interrupted,
            complete=bool(scored) and not interrupted,
        )


@dataclass(frozen=True, slots=True)
class _Scored:
    at: datetime


def _steps(told: tuple[Event, ...]) -> tuple[Step, ...]:
    adapter = TypeAdapter(Step)
    ended = [event for event in told if event.kind == "step"]
    return tuple(_read(Step, {**event.data, "ended_at": event.at}, "step", adapter) for event in ended)


def _changes(told: tuple[Event, ...]) -> tuple[Change, ...]:
    """Join what was opened with how it was witnessed and closed."""
    closed = {_text(event, "id"): event for event in told if event.kind == "change_closed"}
    witnessed = [event for event in told if event.kind == "change_witnessed"]
    changes = []
    for event in told:
        if event.kind != "change_opened":
            continue
        id, end = _text(event, "id"), closed.get(_text(event, "id"))
        change = Change(
            id=id,
            gate=_text(event, "gate"),
            what=_text(event, "what"),
            service=_text(event, "service"),
            undo=undo_text(event.data.get("undo")),
            opened_at=event.at,
            witnesses=tuple(_text(seen, "detail") for seen in witnessed if _text(seen, "id") == id),
            closed_at=end.at if end else None,
            verified=bool(end.data.get("verified")) if end else None,
            healed_by=_text(end, "healed_by") if end else "",
        )
        changes.append(change)
    return tuple(changes)


def undo_text(undo: object) -> str:
    """How a change is undone, in words: operations as `by name (argument=value)`, in their order."""
    if undo is None or isinstance(undo, str):
        return undo or ""
    if isinstance(undo, Mapping):
        arguments = undo.get("arguments")
        named = arguments.items() if isinstance(arguments, Mapping) else ()
        given = ", ".join(f"{name}={value}" for name, value in named)
        return f"{undo.get('by', '')} {undo.get('name', '')}".strip() + (f" ({given})" if given else "")
    return "; then ".join(undo_text(one) for one in undo) if isinstance(undo, list | tuple) else str(undo)


def _all(form: type[Record], told: tuple[Event, ...], kind: str) -> tuple[Record, ...]:
    adapter = TypeAdapter(form)
    return tuple(_read(form, event.data, kind, adapter) for event in told if event.kind == kind)


def _read(form: type[Record], data: Mapping[str, Any], kind: str, adapter: TypeAdapter[Record] | None = None) -> Record:
    try:
        return (adapter or TypeAdapter(form)).validate_python(dict(data))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"history.jsonl: a {kind!r} line cannot be read: {place}: {first['msg']}") from None


def _text(event: Event, name: str) -> str:
    value = event.data.get(name)
    return "" if value is None else str(value)
