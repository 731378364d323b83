"""A history as a run of 20 gates writes it: six pillars' worth of claims, drills with traffic, and what went wrong."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from readiness.history import Event
from readiness.model import Breach, Evidence, Finding, GateInfo, Limit, Measurement, Mode, Outcome, Risk
from readiness.pillars import capability_of, pillar_of
from readiness.records import instant, to_data, to_json

BEGAN = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
Row = tuple[str, str, Risk, bool, Mode, float]
C, H, M = Risk.CRITICAL, Risk.HIGH, Risk.MEDIUM
OBSERVE, PROBE, DRILL = Mode.OBSERVE, Mode.PROBE, Mode.DRILL

ROWS: tuple[Row, ...] = (
    ("OPS-DEP-001", "the release has a passed test report", C, True, OBSERVE, 0.4),
    ("OBS-LOG-001", "log records carry milliseconds", H, False, OBSERVE, 1.2),
    ("OBS-LOG-002", "log records are json", H, False, OBSERVE, 0.9),
    ("SEC-SCR-001", "no secret stands in the open", C, True, OBSERVE, 2.6),
    ("ARC-VER-005", "neighbouring versions understand each other", H, False, OBSERVE, 1.1),
    ("OPS-BAK-003", "state backups are recent", C, True, OBSERVE, 0.8),
    ("OPS-BAK-006", "every backup verifies and has a copy elsewhere", C, True, OBSERVE, 2.2),
    ("OBS-MET-002", "counters agree with what was done", C, True, PROBE, 6.4),
    ("OBS-LOG-003", "the correlation id survives every hop", C, True, PROBE, 4.8),
    ("OBS-LOG-006", "error records explain themselves", C, True, PROBE, 3.1),
    ("SEC-ACC-001", "no level does more than it may", C, True, PROBE, 5.0),
    ("SEC-ACC-005", "every operation of consequence is audited", H, False, PROBE, 2.7),
    ("OPS-BAK-004", "user data is in the backup", C, True, PROBE, 3.9),
    ("ARC-ORC-003", "a killed replica comes back", C, True, DRILL, 21.5),
    ("ARC-VAL-008", "a release that lies about being ready is turned back", C, True, DRILL, 16.0),
    ("OPS-DEP-003", "rollback moves all traffic", C, True, DRILL, 34.0),
    ("OPS-DEP-004", "rollback reads what the new release wrote", C, True, DRILL, 28.3),
    ("OPS-REC-002", "a restore brings everything back", C, True, DRILL, 24.6),
    ("OPS-REC-003", "a restore is quick enough", H, False, DRILL, 12.2),
    ("OPS-REC-004", "a restore loses no accepted work", C, True, DRILL, 9.7),
)
"""Gate, claim, risk, blocking, mode and seconds, in the order in which they run."""

HOSTILE = '<script>alert("1")</script> & "quoted" | `x` \x1b[31m\x00 \ud800'


@dataclass(frozen=True)
class Told:
    """What a gate's finding says beyond a plain pass."""

    outcome: Outcome = Outcome.PASS
    reason: str = "every measurement keeps its limit"
    remedy: str = ""
    measurements: tuple[Measurement, ...] = ()
    count: tuple[int, int] | None = None
    weakened: tuple[str, ...] = ()
    carried_from: str = ""
    since: str = ""


@dataclass(frozen=True)
class Story:
    """A run to be told as events; what is not said here passes."""

    told: Mapping[str, Told] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    breaches: tuple[Breach, ...] = ()
    complete: bool = True
    interrupted: str = ""
    scenario: str = "ci"
    threshold: float = 0.75
    evidence: bool = True
    limits: tuple[Mapping[str, Any], ...] = ()
    not_yet: tuple[Mapping[str, Any], ...] = ()


def at_most(value: float, unit: str = "s") -> Limit:
    """A limit of the catalogue."""
    return Limit("at_most", value, unit, "default of the catalogue")


MEASURED: dict[str, tuple[Measurement, ...]] = {
    "ARC-ORC-003": (
        Measurement("slowest_recovery_s", 4.31, "s", at_most(60), True, None, "knowledge-1"),
        Measurement("replicas_ready", 8.0, "", Limit("equals", 8), True),
    ),
    "OPS-DEP-003": (
        Measurement("rollback_s", 21.8, "s", at_most(300), True),
        Measurement("traffic_on_previous", 100.0, "%", Limit("equals", 100, "%"), True),
        Measurement("instances_on_previous", 100.0, "%", Limit("equals", 100, "%"), True),
        Measurement("transactions_lost", 0.0, "", Limit("equals", 0), True),
    ),
    "OPS-BAK-003": (
        Measurement("incremental_age_s", 1260.0, "s", Limit("at_most", 3960, "s", "default of the catalogue"), True),
        Measurement("full_age_s", 40200.0, "s", Limit("at_most", 43200, "s", "objectives"), True, 86400.0),
    ),
    "OPS-REC-003": (Measurement("restore_s", 9.1, "s", at_most(7200), True),),
    "OBS-MET-002": (
        Measurement("tasks_done", 40.0, "", Limit("equals", 40), True),
        Measurement("error_rate_off_by", 0.2, "%", at_most(1, "%"), True),
    ),
    "OBS-LOG-001": (
        Measurement("records_with_milliseconds", 100.0, "%", Limit("at_least", 100, "%"), True, None, "1,842 records"),
        Measurement("clock_skew_s", 0.012, "s", at_most(1), True),
    ),
    "SEC-ACC-001": (
        Measurement("operations_tried", 55.0, ""),
        Measurement("allowed_beyond_level", 0.0, "", at_most(0, ""), True),
    ),
}

TROUBLE: dict[str, Told] = {
    "OPS-DEP-003": Told(
        Outcome.FAIL,
        "traffic on previous was 90 %, limit exactly 100 %: gateway-2 still sends one request in ten to 2.3.1",
        "let the rollback reset the weights of every gateway before it stops the candidate; see the deployment runbook",
        (
            Measurement("rollback_s", 21.8, "s", at_most(300), True),
            Measurement(
                "traffic_on_previous", 90.0, "%", Limit("equals", 100, "%"), False, None, "2.3.1 served 18 of 180"
            ),
            Measurement("instances_on_previous", 100.0, "%", Limit("equals", 100, "%"), True),
            Measurement("transactions_lost", 0.0, "", Limit("equals", 0), True),
        ),
        (162, 180),
    ),
    "OPS-BAK-003": Told(
        Outcome.FAIL,
        "incremental age was 5 h 12 min, limit at most 1 h 6 min",
        "run the incremental backup every hour, and alert when one is missing",
        (
            Measurement(
                "incremental_age_s",
                18720.0,
                "s",
                Limit("at_most", 3960, "s", "set by the policy"),
                False,
                3600.0,
                "set 2026-11-24T0418",
            ),
            Measurement("full_age_s", 40200.0, "s", at_most(86400), True),
        ),
        since="2026-11-22T09:31:00+00:00",
    ),
    "SEC-ACC-005": Told(
        Outcome.FAIL,
        "2 of 11 operations left no audit record: scale, revoke",
        "write the audit record in the same transaction as the operation",
        (Measurement("operations_audited", 9.0, "", Limit("equals", 11), False),),
    ),
    "SEC-SCR-001": Told(
        Outcome.UNKNOWN,
        "the driver cannot list environments of knowledge: permission denied",
        "run as the user of the service, or give services.knowledge.process: {supervisor: …}",
    ),
    "OPS-REC-002": Told(
        Outcome.UNKNOWN, "no procedure gives the content of a restored environment", "procedures.inventory"
    ),
    "ARC-VER-005": Told(Outcome.NOT_APPLICABLE, "one release runs, and the pattern serverless has no neighbours"),
    "OPS-REC-004": Told(reason="fresh evidence of an earlier run", carried_from="2026-11-19T081200Z-gameday"),
}
"""A run that went wrong in every way that a report must show."""

NOT_READY = Story(
    TROUBLE,
    left_out=("OBS-LOG-006",),
    breaches=(
        Breach(
            "weights of the gateway set to 50/50",
            "after 120 s the weights are still 90/10",
            BEGAN + timedelta(seconds=150),
            "nexusctl weights 2.2.4=100",
        ),
    ),
    limits=(
        {
            "gate": "OPS-BAK-003",
            "limit": "incremental_age_s",
            "value": 3960,
            "deployment": "nexus",
            "reason": "the hourly job may run ten per cent late",
            "owner": "platform-lead",
            "expires": "2027-03-31T00:00:00Z",
        },
    ),
    not_yet=(
        {
            "gate": "OBS-TRC-001",
            "owner": "team-edge",
            "until": "2027-01-15T00:00:00Z",
            "reason": "tracing comes with 2.4",
        },
    ),
)
READY = Story()


def gate_info(row: Row) -> GateInfo:
    """A gate as the catalogue describes it."""
    id, claim, risk, blocking, mode, _ = row
    limits = {m.name: m.limit for m in MEASURED.get(id, ()) if m.limit is not None}
    return GateInfo(
        id=id,
        claim=claim,
        summary=f"{claim.capitalize()}, whatever the hour.",
        pillar=pillar_of(id),
        capability=capability_of(id),
        risk=risk,
        blocking=blocking,
        mode=mode,
        version=1,
        why="What was never tried does not work on the night when it is needed.",
        measures="Marked work is sent at a steady rate, and every answer, instance and record is counted.",
        red="One measured value breaks its limit.",
        mend="Read the measurements from the top; the first broken one names the component.",
        limits=limits,
        ttl_s=30 * 86400.0 if mode is DRILL else 86400.0,
        module=id.split("-")[1].lower(),
    )


def events(story: Story) -> list[Event]:
    """The events of a story, in order."""
    return list(_events(story))


def write_history(folder: Path, story: Story) -> Path:
    """Write the folder of a run: its history and its evidence."""
    folder.mkdir(parents=True, exist_ok=True)
    told = events(story)
    lines = [{"at": instant(event.at), "kind": event.kind, "data": to_data(event.data)} for event in told]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "history.jsonl").write_text(text, encoding="utf-8")
    for event in told:
        for evidence in event.data.get("evidence", ()) if event.kind == "finding" else ():
            path = folder / evidence["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_record(event.data["gate"]), encoding="utf-8")
    return folder


def _record(gate: str) -> str:
    return json.dumps({"gate": gate, "samples": list(range(5))}, indent=1)


def _events(story: Story) -> Iterator[Event]:
    gates = [gate_info(row) for row in ROWS]
    ran = [row for row in ROWS if row[0] not in story.left_out]
    fails = tuple(gate for gate, told in story.told.items() if told.outcome is Outcome.FAIL)
    now = BEGAN
    yield Event(now, "run", _head(story, gates, [row[0] for row in ran]))
    yield Event(now, "note", {"text": "the scenario's drills run one after the other"})
    for row in ran:
        info, told = gate_info(row), story.told.get(row[0], Told())
        yield Event(now, "gate_started", {"gate": info.id})
        if not told.carried_from:
            yield from _work(info, row[5], now, fails)
        now += timedelta(seconds=row[5])
        yield Event(now, "finding", to_json(_finding(info, told, now, row[5], story.evidence)))
        if told.since:
            yield Event(now, "note", {"gate": info.id, "text": f"failing since {told.since}"})
    for failure in story.breaches:
        yield Event(now, "breach", to_json(failure))
    if story.interrupted:
        yield Event(now, "interrupted", {"signal": story.interrupted})
    if story.complete:
        yield Event(now, "scored", {"at": instant(now + timedelta(seconds=0.2))})


def _head(story: Story, gates: list[GateInfo], selected: list[str]) -> dict[str, Any]:
    services = {"gateway": 2, "orchestrator": 1, "planner": 1, "researcher": 2, "writer": 1, "knowledge": 1}
    return {
        "run_id": f"2026-11-24T093000Z-{story.scenario}",
        "product_version": "0.1.0",
        "scenario": {
            "name": story.scenario,
            "about": "Every gate that exists, in minutes.",
            "threshold": story.threshold,
            "pillar_floor": 0.6,
            "time_budget": None,
        },
        "deployment": {
            "name": "nexus",
            "environment": "staging",
            "pattern": "microservices",
            "driver": "process",
            "descriptor_sha256": hashlib.sha256(b"descriptor").hexdigest(),
            "releases": {"current": "2.3.0", "previous": "2.2.4", "candidate": "2.3.1", "known_bad": "2.3.1-bad"},
            "services": {name: {"owner": f"team-{name}", "replicas": count} for name, count in services.items()},
        },
        "gates": [to_json(gate) for gate in gates],
        "selected": selected,
        "policy": {"limits": list(story.limits), "not_yet": list(story.not_yet)},
        "environment": {"python": "3.11.9", "os": "Linux 6.1 x86_64", "cpus": 2},
    }


def _finding(info: GateInfo, told: Told, at: datetime, seconds: float, evidence: bool) -> Finding:
    path = f"evidence/{info.id}/observations.json"
    digest = hashlib.sha256(_record(info.id).encode()).hexdigest()
    kept = (Evidence("observations", path, digest, len(_record(info.id))),) if evidence else ()
    observed_at = at - timedelta(days=5) if told.carried_from else at - timedelta(seconds=seconds)
    return Finding(
        gate=info.id,
        outcome=told.outcome,
        risk=info.risk,
        blocking=info.blocking,
        reason=told.reason,
        observed_at=observed_at,
        duration_s=seconds,
        measurements=told.measurements or (MEASURED.get(info.id, ()) if told.outcome is Outcome.PASS else ()),
        evidence=kept,
        remedy=told.remedy,
        successes=told.count[0] if told.count else None,
        trials=told.count[1] if told.count else None,
        weakened=told.weakened,
        carried_from=told.carried_from,
    )


def _work(info: GateInfo, seconds: float, began: datetime, fails: tuple[str, ...]) -> Iterator[Event]:
    """Steps; for a drill also two changes and the traffic of every second, with a dent while something is broken."""
    told = [
        Event(
            began + timedelta(seconds=0.2 * seconds),
            "step",
            {"gate": info.id, "title": "look at it first", "seconds": round(0.2 * seconds, 3)},
        )
    ]
    if info.mode is DRILL:
        opened, closed = began + timedelta(seconds=0.25 * seconds), began + timedelta(seconds=0.7 * seconds)
        second = began + timedelta(seconds=0.5 * seconds)
        undo = [{"by": "procedure", "name": "rollback", "arguments": {"release": "2.2.4"}}]
        told += [
            Event(
                opened,
                "change_opened",
                {
                    "id": f"{info.id}-1",
                    "gate": info.id,
                    "what": "the candidate 2.3.1 is deployed",
                    "service": None,
                    "undo": undo,
                },
            ),
            Event(
                opened + timedelta(seconds=1),
                "change_witnessed",
                {"id": f"{info.id}-1", "detail": "gateway-1 answers 2.3.1"},
            ),
            Event(
                second,
                "change_opened",
                {
                    "id": f"{info.id}-2",
                    "gate": info.id,
                    "what": "a replica of planner is killed",
                    "service": "planner",
                    "undo": [],
                },
            ),
            Event(
                second + timedelta(seconds=0.15 * seconds),
                "change_closed",
                {"id": f"{info.id}-2", "verified": True, "healed_by": "drill"},
            ),
            Event(closed, "change_closed", {"id": f"{info.id}-1", "verified": True, "healed_by": "undo"}),
        ]
        told += [
            Event(began + timedelta(seconds=seconds), "traffic", _second(info.id, began, n, seconds, fails))
            for n in range(int(seconds))
        ]
    told.append(
        Event(
            began + timedelta(seconds=0.95 * seconds),
            "step",
            {"gate": info.id, "title": "count what came of it", "seconds": round(0.7 * seconds, 3)},
        )
    )
    yield from sorted(told, key=lambda event: event.at)


def _second(gate: str, began: datetime, n: int, seconds: float, fails: tuple[str, ...]) -> dict[str, Any]:
    broken = 0.5 < n / seconds < 0.62
    p95_ms = 140 + 30 * math.sin(n * 1.3) + (420 if broken else 0)
    return {
        "gate": gate,
        "second": instant(began + timedelta(seconds=n)),
        "sent": 8,
        "ok": 6 if broken and gate in fails else 8,
        "failed": 2 if broken and gate in fails else 0,
        "p50_ms": round(p95_ms * 0.6, 1),
        "p95_ms": None if n == 2 else round(p95_ms, 1),
    }


def hostile(story: Story) -> Story:
    """The story with text of an attacker at every place where a deployment's own words are told."""
    told = {
        row[0]: replace(
            story.told.get(row[0], Told()),
            reason=HOSTILE,
            remedy=HOSTILE,
            measurements=(Measurement(HOSTILE, HOSTILE, HOSTILE, Limit("equals", 1, HOSTILE), False, 2.0, HOSTILE),),
        )
        for row in ROWS
    }
    undo = Breach(HOSTILE, HOSTILE, BEGAN, HOSTILE)
    rows = ({"gate": HOSTILE, "limit": HOSTILE, "value": HOSTILE, "reason": HOSTILE, "owner": HOSTILE},)
    return replace(story, told=told, breaches=(undo,), limits=rows, not_yet=rows)
