# ruff: noqa: ARG002 - the methods have the signatures of the deployment that they stand for
"""A small system in memory, behind the interface that gates get, so that every fault can be set up exactly."""

from __future__ import annotations

import json
import tempfile
import threading
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from readiness.attempts import Attempt, MadeUp
from readiness.deployment import Deployment
from readiness.descriptor import Descriptor, Request, Signal
from readiness.evidence.logs import LogMark, LogRecord
from readiness.evidence.metrics import Exposed, Snapshot
from readiness.findings import verdict
from readiness.gate import gate_of
from readiness.history import History
from readiness.judgement import Judgement, Records
from readiness.loading import DescriptorFile
from readiness.model import GateInfo, Limit, Outcome
from readiness.procedures import Ran
from readiness.redaction import Redactor
from readiness.target import ProcessFacts
from readiness.waiting import Deadline
from readiness.web import Answer
from readiness.workload import Transaction

LogLine = dict[str, Any]
TOKEN = "tok-7Hq2Zx9Lw4Vb8Nc1Md6S"


class FixedLimits:
    """The gate's own limits, as without policy and objectives."""

    def limit(self, gate: GateInfo, name: str) -> tuple[Limit, float | None, bool]:
        return gate.limits[name], None, False


def spec(outcome: str = "success", *, hops: list[str], **more: Any) -> dict[str, Any]:
    submit = {"method": "POST", "url": "{front}/work", "json": {"text": "{marker}"}}
    return {"submit": submit, "outcome": outcome, "hops": hops, **more}


def with_changes(described: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Replace parts by dotted keys (`__` stands for the dot); None takes a part out."""
    for key, value in changes.items():
        *path, last = key.replace("__", ".").split(".")
        part = described
        for name in path:
            part = part.setdefault(name, {})
        if value is None:
            part.pop(last, None)
        else:
            part[last] = value
    return described


def describe(**changes: Any) -> dict[str, Any]:
    """The descriptor of the small system; dotted keys in `changes` replace parts of it, None takes them out."""
    hops = ["front", "worker"]
    described: dict[str, Any] = {
        "readiness": 1,
        "name": "small",
        "environment": "staging",
        "services": {
            "front": {"address": "http://127.0.0.1:1", "process": {"pidfile": "front.pid"}},
            "worker": {"process": {"pidfile": "worker.pid"}},
        },
        "auth": {"front": {"bearer": {"env": "X"}}},
        "workload": {
            "ok": spec(hops=hops, counts={"tasks_done_total": 2, "tasks_failed_total": 0}),
            "invalid": spec("refused", hops=["front"]),
            "failing": spec("failure", hops=hops, counts={"tasks_done_total": 1, "tasks_failed_total": 1}),
            "retried": spec(hops=hops),
            "slow": spec(hops=hops, counts={"tasks_done_total": 2, "tasks_failed_total": 0}, lasts_at_least="2s"),
            "correlation": {"request_header": "X-Request"},
            "max_rate_per_s": 1000,
        },
        "log_fields": {
            "time": "at",
            "level": "lvl",
            "correlation": "request",
            "component": "part",
            "message": "msg",
            "operation": "op",
            "input": "ref",
            "cause": "why",
        },
        "evidence": {"logs": {"files": ["*.log"]}, "metrics": {"scrape": True}},
        "secrets": {"canaries": {"key": {"env": "X"}}},
        "signals": {
            "tasks_done_total": {"metric": "jobs_total", "labels": {"end": "good"}},
            "tasks_failed_total": {"metric": "jobs_total", "labels": {"end": "bad"}},
            "task_seconds_sum": {"metric": "job_seconds_sum"},
            "task_seconds_count": {"metric": "job_seconds_count"},
        },
    }
    return with_changes(described, changes)


@dataclass
class Small:
    """What the small system does; each field can be replaced by a fault."""

    write: Callable[[LogLine], LogLine | str | None] = lambda line: line
    """What becomes of a log record on its way: the record, a raw line, or nothing."""
    counted: Callable[[str, float], float] = lambda _meaning, n: n
    lasts_s: float = 1.0
    gap_s: float = 0.003
    background: Callable[[], list[LogLine]] = list
    secrets: Mapping[str, str] = field(default_factory=lambda: {"secrets.canaries.key": TOKEN})
    processes: list[ProcessFacts] = field(default_factory=list)
    others: list[ProcessFacts] = field(default_factory=list)
    """Processes of the machine that belong to no service."""
    attempts: Callable[[str, str, MadeUp | None], tuple[str, int]] | None = None
    audited: Callable[[dict[str, str]], dict[str, str] | None] = lambda record: record
    verifies: Callable[[list[dict[str, str]]], bool] = lambda _records: True


class Stage(Judgement):
    """The small system as a gate sees it."""

    def __init__(self, gate: GateInfo, folder: Path, described: dict[str, Any], small: Small) -> None:
        self.redactor = Redactor()
        records = Records(
            "run",
            folder,
            History.create(Path(tempfile.mkdtemp(dir=folder)), self.redactor),
            self.redactor,
            FixedLimits(),
        )
        super().__init__(gate, records)
        self.descriptor = Descriptor.model_validate(described)
        self.file = DescriptorFile(self.descriptor, folder / "descriptor.yaml")
        self.deadline = Deadline.after(60)
        self.small = small
        self.target = self
        self.audit: list[dict[str, str]] = []
        self._lines: list[tuple[str, str]] = []
        self._counters: dict[str, float] = defaultdict(float)
        self._lock = threading.Lock()
        self._number = 0

    # logs

    def log(self, part: str, level: str, message: str, **more: Any) -> None:
        now = datetime.now(UTC)
        line = {"at": now.isoformat(timespec="milliseconds"), "lvl": level, "part": part, "msg": message, **more}
        written = self.small.write({key: value for key, value in line.items() if value is not None})
        if written is not None:
            text = written if isinstance(written, str) else json.dumps(written)
            with self._lock:
                self._lines += [(f"{part}.log", one) for one in text.split("\n")]

    def log_mark(self) -> LogMark:
        for line in self.small.background():
            self.log(**line)
        return LogMark(datetime.now(UTC), {Path("n"): cast("Any", len(self._lines))})

    def logs_since(self, mark: LogMark) -> list[LogRecord]:
        start = cast("int", next(iter(mark.positions.values()), 0))
        found = []
        for number, (source, text) in enumerate(self._lines[start:], start + 1):
            try:
                data = json.loads(text)
            except ValueError:
                data = None
            data = data if isinstance(data, dict) else None
            found.append(LogRecord(source, number, text, data, self.descriptor.log_fields))
        return found

    # work

    def transact(self, variant: str = "ok", n: int = 1, **given: Any) -> list[Transaction]:
        return [self._one(variant, **given) for _ in range(n)]

    def _one(
        self, variant: str, marker: str | None = None, correlation: str | None = None, headers: object = None
    ) -> Transaction:
        with self._lock:
            self._number += 1
            number = self._number
            # work takes time: transactions do not all fall into one millisecond
            threading.Event().wait(self.small.gap_s)
        began = datetime.now(UTC)
        marker = marker or f"rd-0123abcd-{number}"
        id, wanted = f"work-{uuid.uuid4().hex[:12]}", getattr(self.descriptor.workload, variant)
        if variant == "invalid":
            self.log("front", "WARN", "refused", request=correlation)
        else:
            self.log("front", "INFO", "accepted", request=correlation, work=id)
            self.log("worker", "INFO", "started", request=correlation, work=id)
            if variant == "retried":
                self.log("worker", "WARN", "again", request=correlation, work=id)
            if variant == "failing":
                self.log("worker", "ERROR", "failed", request=correlation, op="job", ref=id, why="broken")
            self.log("worker", "INFO", "ended", request=correlation, work=id)
            self._count(wanted.counts)
        ended = datetime.now(UTC) + timedelta(seconds=self.small.lasts_s)
        made = Transaction(variant, marker, correlation, id=id, outcome=wanted.outcome, meant=wanted.outcome)
        return replace(made, started_at=began, ended_at=ended, latency_s=self.small.lasts_s + 0.1)

    def _count(self, counts: Mapping[str, float]) -> None:
        tasks = sum(counts.values())
        rises = {**counts, "task_seconds_sum": self.small.lasts_s * tasks, "task_seconds_count": tasks}
        with self._lock:
            for meaning, rise in rises.items():
                self._counters[meaning] += self.small.counted(meaning, rise)

    def http(self, request: Request, *, level: str | None = None, headers: object = None, **values: str) -> Answer:
        self.log("front", "WARN", "refused", request=str(uuid.uuid4()))
        return Answer(422)

    # metrics

    def metrics(self) -> Snapshot:
        samples = {}
        for meaning, signal in self.descriptor.signals.items():
            samples[signal.metric, tuple(sorted(signal.labels.items()))] = self._counters[meaning]
        shown = Exposed("worker", samples, frozenset(signal.metric for signal in self.descriptor.signals.values()))
        return Snapshot({"worker-1": shown}, {}, {}, {"worker-1": "worker"})

    def signal(self, meaning: str) -> Signal:
        return self.descriptor.signals[meaning]

    # access

    def attempt(
        self, operation: str, level: str, *, correlation: str | None = None, made_up: MadeUp | None = None
    ) -> Attempt:
        may = self.descriptor.operations[operation].as_levels
        decision, code = ("allowed", 200) if level in may and made_up is None else ("denied", 403)
        if self.small.attempts is not None:
            decision, code = self.small.attempts(operation, level, made_up) or (decision, code)
        record = {"who": level, "what": operation, "how": decision, "id": correlation or "", "n": str(len(self.audit))}
        if (written := self.small.audited(record)) is not None:
            self.audit.append(written)
        return Attempt(operation, level, cast("Any", decision), code)

    def run(self, procedure: str, **arguments: str) -> Ran:
        if procedure == "audit":
            return Ran(procedure, (), 0, json.dumps({"records": self.audit}), "", 0.1)
        records = json.loads(Path(arguments["file"]).read_text())["records"]
        intact = records == self.audit[: len(records)] and len(records) == len(self.audit)
        return Ran(procedure, (), 0 if intact and self.small.verifies(records) else 1, "", "", 0.1)

    def level_names(self) -> list[str]:
        return list(self.descriptor.levels)

    def secret_values(self) -> dict[str, str]:
        return dict(self.small.secrets)

    def processes(self, service: str) -> list[ProcessFacts]:
        return self.small.processes if service == "worker" else [ProcessFacts(1, "front", ("front",), {})]

    def all_processes(self) -> list[ProcessFacts]:
        return [*self.small.processes, *self.small.others]

    @contextmanager
    def step(self, title: str) -> Any:
        yield


def judge(gate: Callable[[Deployment], None], folder: Path, small: Small, **changes: Any) -> tuple[Outcome, str]:
    """Run a gate on the small system; its outcome, and the reason and remedy in one text."""
    marked = gate_of(gate)
    assert marked is not None
    stage = Stage(marked.info, folder, describe(**changes), small)
    if missing := marked.missing(stage.descriptor, cast("Any", stage)):
        return Outcome.UNKNOWN, "; ".join(missing)
    error: BaseException | None = None
    try:
        gate(cast("Deployment", stage))
    except Exception as raised:
        error = raised
    found = verdict(marked, error, stage.verdict_data().broken)
    return found.outcome, f"{found.reason} | {found.remedy}"
