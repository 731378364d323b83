"""A history as a run of 20 gates writes it: six pillars' worth of claims, drills, load, and what went wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from readiness.history import Event
from readiness.model import Evidence, Finding, GateInfo, Outcome
from readiness.records import instant, to_data, to_json
from tests.report.catalogue import MEASURED, ROWS, gate_info
from tests.report.stories import BEGAN, Story, Told
from tests.report.work import work


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
    for trial in story.trials:
        if str(trial.get("journal", "")).startswith("chaos/"):
            path = folder / trial["journal"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({"status": "completed", "title": trial["title"]}), encoding="utf-8")
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
            yield from work(info, row[5], now, fails)
            began_at = instant(now + timedelta(seconds=2))
            for load in (load for load in story.loads if load["gate"] == info.id):
                yield Event(now + timedelta(seconds=row[5]), "load", {"began_at": began_at, **load})
        now += timedelta(seconds=row[5])
        yield Event(now, "finding", to_json(_finding(info, told, now, row[5], story.evidence)))
        if told.since:
            yield Event(now, "note", {"gate": info.id, "text": f"failing since {told.since}"})
    for load in (load for load in story.loads if load["gate"] not in {row[0] for row in ROWS}):
        yield Event(now, "load", {"began_at": instant(now - timedelta(seconds=30)), **load})
    for trial in story.trials:
        yield Event(now, "chaos", trial)
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
