# ruff: noqa: ARG002 - the methods have the signatures of the deployment that they stand for
from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from readiness import waiting
from readiness.deployment import Deployment
from readiness.evidence.logs import LogMark, LogRecord
from readiness.findings import verdict
from readiness.gate import gate_of
from readiness.gates import misuse
from readiness.gates.agent_conduct import misused_tools_are_blocked_and_reported as gate
from readiness.model import Outcome
from readiness.procedures import Ran
from readiness.waiting import Deadline
from readiness.web import Answer
from tests.gates.house import Clock
from tests.gates.stage import Small, Stage, describe

LIMIT_S = 60.0
TOOLS = {"search": ["worker"], "erase": ["keeper"]}
SERVICES = {"worker": {"part": "agent"}, "keeper": {"part": "agent"}, "idler": {"part": "agent"}, "front": {}}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (waiting, misuse):
        monkeypatch.setattr(module, "time", made)
    return made


@dataclass
class Guard:
    """How the system guards its tools, and what it tells of it."""

    lets: Callable[[str, str], bool] = lambda service, tool: service in TOOLS[tool]
    code: int = 77
    logs: Callable[[str, str, str], dict[str, Any] | None] = lambda _service, tool, id: {
        "lvl": "WARN",
        "msg": "tool refused",
        "request": id,
        "tool": tool,
    }
    """The record of a refusal."""
    logs_use: Callable[[str, str, str], dict[str, Any] | None] = lambda _service, _tool, _id: None
    late_s: float = 0.0
    audited: bool = False
    alerts: list[dict[str, Any]] = field(default_factory=list)
    alerting: bool = False


class Guarded(Stage):
    """The small system with tools."""

    guard: Guard
    clock: Clock
    denied: list[tuple[str, str]]
    records: list[tuple[float, dict[str, Any]]]

    def run(self, procedure: str, **given: str) -> Ran:
        if procedure == "audit":
            mine = [one for one in self.audit if one["correlation_id"] == given["correlation"]]
            return Ran(procedure, (), 0, json.dumps({"records": mine}), "", 0.1)
        service, tool, id = given["service"], given["tool"], given["correlation"]
        let = self.guard.lets(service, tool)
        record = self.guard.logs_use(service, tool, id) if let else self.guard.logs(service, tool, id)
        if record is not None:
            self.records.append((self.clock.now_s + (0.0 if let else self.guard.late_s), record))
        if self.guard.audited:
            outcome = "allowed" if let else "denied"
            self.audit.append({"operation": tool, "outcome": outcome, "correlation_id": id, "tool": tool})
        if self.guard.alerting and not let:
            labels = {"tool": tool, "agent": service}
            self.guard.alerts.append({"labels": labels, "startsAt": datetime.now(UTC).isoformat()})
        if not let:
            self.denied.append((service, tool))
        return Ran(procedure, (), 0 if let else self.guard.code, "", "", 0.1)

    def log_mark(self) -> LogMark:
        return LogMark(datetime.now(UTC), {})

    def logs_since(self, mark: LogMark) -> list[LogRecord]:
        written = [record for at_s, record in self.records if at_s <= self.clock.now_s]
        return [LogRecord("log", n, json.dumps(one), one, self.descriptor.log_fields) for n, one in enumerate(written)]

    def http(self, request: Any, **_more: Any) -> Answer:
        return Answer(200, {}, json.dumps(self.guard.alerts), self.guard.alerts)


def judge(folder: Path, clock: Clock, guard: Guard | None = None, **changes: Any) -> tuple[Outcome, str, Guarded]:
    marked = gate_of(gate)
    assert marked is not None
    own: dict[str, Any] = {
        "tools": TOOLS,
        "services": SERVICES,
        "auth": {},
        "procedures__use_tool": {"run": ["use", "{tool}"]},
    }
    stage = Guarded(marked.info, folder, describe(**{**own, **changes}), Small())
    stage.guard, stage.clock, stage.records, stage.denied = guard or Guard(), clock, [], []
    stage.deadline = Deadline.after(3600)
    if missing := marked.missing(stage.descriptor, cast("Any", stage)):
        return Outcome.UNKNOWN, "; ".join(missing), stage
    error: BaseException | None = None
    try:
        gate(cast("Deployment", stage))
    except Exception as raised:
        error = raised
    found = verdict(marked, error, stage.verdict_data().broken)
    return found.outcome, f"{found.reason} | {found.remedy}", stage


def quiet(_service: str, _tool: str, _id: str) -> None:
    return None


def recorded(**more: Any) -> Callable[[str, str, str], dict[str, Any]]:
    return lambda _service, tool, id: {"lvl": "WARN", "msg": "tool refused", "request": id, "tool": tool, **more}


@pytest.mark.parametrize(
    ("guard", "outcome"),
    [
        (Guard(), Outcome.PASS),
        (Guard(lets=lambda _service, _tool: True), Outcome.FAIL),
        (
            Guard(lets=lambda service, tool: service in TOOLS[tool] or (service, tool) == ("idler", "erase")),
            Outcome.FAIL,
        ),
        (Guard(logs=quiet), Outcome.FAIL),
        (Guard(logs=recorded(lvl="INFO")), Outcome.FAIL),
        (Guard(logs=recorded(tool="-")), Outcome.FAIL),
        (Guard(logs=recorded(request="-")), Outcome.FAIL),
        (Guard(logs=lambda service, tool, _id: {"lvl": "WARN", "msg": f"{service} may not use {tool}"}), Outcome.PASS),
        # the same record of every use tells nothing of a refusal
        (Guard(logs_use=recorded()), Outcome.FAIL),
        (Guard(logs_use=recorded(msg="tool used")), Outcome.PASS),
        (Guard(logs=quiet, code=1), Outcome.UNKNOWN),
        (Guard(lets=lambda _service, _tool: False), Outcome.UNKNOWN),
    ],
)
def test_misuse_is_refused_and_heard_of(guard: Guard, outcome: Outcome, tmp_path: Path, clock: Clock) -> None:
    found, why, _ = judge(tmp_path, clock, guard)
    assert found is outcome, why


def test_every_agent_that_may_not_is_tried_on_every_tool(tmp_path: Path, clock: Clock) -> None:
    _, _, stage = judge(tmp_path, clock)
    assert sorted(stage.denied) == [
        ("idler", "erase"),
        ("idler", "search"),
        ("keeper", "search"),
        ("worker", "erase"),
    ]


@pytest.mark.parametrize(("share", "outcome"), [(0.8, Outcome.PASS), (1.2, Outcome.FAIL)])
def test_an_event_is_held_to_its_time(share: float, outcome: Outcome, tmp_path: Path, clock: Clock) -> None:
    found, why, stage = judge(tmp_path, clock, Guard(late_s=LIMIT_S * share))
    assert found is outcome, why
    measured = {one.name: one.value for one in stage.verdict_data().measurements}
    assert outcome is Outcome.FAIL or measured["alerted_s"] == pytest.approx(48.0, abs=2.0)


def test_the_audit_log_is_evidence_where_the_logs_are_silent(tmp_path: Path, clock: Clock) -> None:
    audit: dict[str, Any] = {"procedures__audit": {"run": ["audit"]}, "audit_fields__outcome": "outcome"}
    found, why, _ = judge(tmp_path, clock, Guard(logs=quiet, audited=True), **audit)
    assert found is Outcome.PASS, why
    found, why, _ = judge(tmp_path, clock, Guard(logs=quiet), **audit)
    assert found is Outcome.FAIL and "the logs and the audit log" in why


def test_where_alerts_are_declared_a_record_is_no_alert(tmp_path: Path, clock: Clock) -> None:
    alerts: dict[str, Any] = {"evidence__alerts": {"alertmanager": "http://127.0.0.1:9"}}
    found, why, _ = judge(tmp_path, clock, Guard(), **alerts)
    assert found is Outcome.FAIL and "looked for in the alerts" in why
    found, why, _ = judge(tmp_path, clock, Guard(alerting=True), **alerts)
    assert found is Outcome.PASS, why


def test_an_alert_from_before_the_attempt_is_not_about_it(tmp_path: Path, clock: Clock) -> None:
    alerts: dict[str, Any] = {"evidence__alerts": {"alertmanager": "http://127.0.0.1:9"}}
    began = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    stale = [{"labels": {"tool": tool, "agent": name}, "startsAt": began} for tool in TOOLS for name in SERVICES]
    assert judge(tmp_path, clock, Guard(alerts=stale), **alerts)[0] is Outcome.FAIL


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tools": None}, "tools"),
        ({"procedures__use_tool": None}, "procedures.use_tool"),
        ({"evidence__logs": None}, "evidence.logs"),
        ({"tools": {"search": ["worker", "keeper", "idler"]}}, "tools"),
        ({"tools": {"search": []}}, "tools"),
    ],
)
def test_what_is_needed_is_named(changes: dict[str, Any], named: str, tmp_path: Path, clock: Clock) -> None:
    found, why, _ = judge(tmp_path, clock, **changes)
    assert found is Outcome.UNKNOWN and named in why, why
