# ruff: noqa: ARG002 - the methods have the signatures of the deployment that they stand for
"""A deployment in memory that is operated: releases, replicas, work, and backups that are real files."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from readiness import waiting
from readiness.deployment import Deployment, Restored
from readiness.descriptor import Descriptor
from readiness.errors import Missing
from readiness.evidence.reports import Report, read_report
from readiness.facts import FreshBackup
from readiness.findings import verdict
from readiness.gate import gate_of
from readiness.gates import architecture, deployments, kills, rollouts
from readiness.history import History
from readiness.inventory import ComponentCount
from readiness.judgement import Judgement, Records
from readiness.loading import DescriptorFile
from readiness.model import GateInfo, Outcome
from readiness.operations import Change, Operation
from readiness.procedures import Ran
from readiness.redaction import Redactor
from readiness.target import Instance
from readiness.waiting import Deadline
from readiness.web import Answer
from readiness.workload import Transaction
from tests.gates.stage import FixedLimits, with_changes

OLD, NOW, NEXT, BAD = "1.0", "2.0", "2.1", "2.1-bad"
COMPONENTS = ("configuration", "knowledge", "operational_state", "user_data", "logs_and_metrics")
QUESTIONS = {"How deep?": "nine metres", "How late?": "ten o'clock"}
PROCEDURES = [
    *("artifact", "backup", "contract", "deploy", "discard", "inventory"),
    *("list_backups", "restore", "rollback", "search_backup", "start"),
]


def described(**changes: Any) -> dict[str, Any]:
    """The descriptor; dotted keys (`__`) in `changes` replace parts of it, None takes them out."""
    work = {"submit": {"method": "POST", "url": "{front}/work"}, "result": {"url": "x", "until": {}, "success": {}}}
    process = {"version": "/version", "ready": "/ready", "process": {"pidfile": "*.pid"}, "instances": {"file_sd": "x"}}
    whole: dict[str, Any] = {
        "readiness": 1,
        "name": "house",
        "environment": "staging",
        "services": {
            "front": {"address": "http://127.0.0.1:1", "replicas": 2, **process},
            "worker": {"replicas": 2, **process},
        },
        "releases": {"current": NOW, "previous": OLD, "candidate": NEXT, "known_bad": BAD},
        "compatibility": {NOW: [OLD, NEXT]},
        "workload": {
            "ok": {**work, "expect": {"answer": "{marker}"}, "once": {"effects": 1}},
            "ask": {**work, "answer": "answer"},
            "remember": {"write": {"url": "x"}, "read": {"url": "x"}, "forget": {"url": "x"}},
            "version_at": {"response_header": "X-Release", "request": {"url": "x"}},
        },
        "golden": [{"question": question, "expect": expect} for question, expect in QUESTIONS.items()],
        "evidence": {"reports": {"junit": "{release}.xml", "required_suites": ["unit", "contract"]}},
        "procedures": {name: {"run": [name], "within": "5m"} for name in PROCEDURES},
        "backups": {"failure_domains": {"here": ["data", "backups"], "there": ["vault"]}},
        "recovery": {"environment": "spare", "descriptor": "spare.yaml"},
    }
    return with_changes(whole, changes)


@dataclass
class Clock:
    """Time that passes only where somebody sleeps, in place of the module `time`: drills cost no time in tests."""

    now_s: float = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += max(seconds, 0.001)

    def rule(self, monkeypatch: pytest.MonkeyPatch) -> Clock:
        """Let this clock be that of the gates and of all waiting."""
        for module in (waiting, rollouts, kills, architecture, deployments):
            monkeypatch.setattr(module, "time", self)
        return self


@dataclass
class Faults:
    """What can be wrong; every field is a place where a test puts a fault."""

    procedure: dict[str, Callable[[House, dict[str, str]], Ran | None]] = field(default_factory=dict)
    """Replaces a procedure (None: and then does as always)."""
    routed: Callable[[House, int], str] = lambda house, _n: str(house.release)
    transaction: Callable[[House, Transaction], Transaction] = lambda _house, one: one
    reread: Callable[[House, Transaction], Transaction] = lambda _house, one: one
    recall: Callable[[House, str], bool | None] = lambda house, marker: marker in house.saved
    revive: Callable[[House, Instance], Instance | None] = lambda house, victim: house.fresh(victim)
    ready: Callable[[Instance], bool | None] = lambda _one: True
    held: Callable[[dict[str, ComponentCount]], dict[str, ComponentCount]] = lambda there: there
    after: Callable[[dict[str, ComponentCount]], dict[str, ComponentCount]] = lambda there: there
    restore: Ran | None = None
    restored_answers: Callable[[str], str] = lambda question: QUESTIONS[question]
    restored_addresses: tuple[str, str] = ("http://127.0.0.1:191", "http://127.0.0.1:192")


class House(Judgement):
    """The deployment as a gate sees it."""

    def __init__(self, gate: GateInfo, folder: Path, data: dict[str, Any], faults: Faults) -> None:
        folder.mkdir(exist_ok=True)
        redactor = Redactor()
        run = Path(tempfile.mkdtemp(dir=folder))
        records = Records("run-0123456789abcdef", run, History.create(run, redactor), redactor, FixedLimits())
        super().__init__(gate, records)
        self.folder, self.data, self.faults = folder, data, faults
        self.descriptor = Descriptor.model_validate(data)
        self.file = DescriptorFile(self.descriptor, folder / "descriptor.yaml")
        self.target = self
        self.deadline = Deadline.after(3600)
        self.release: str = NOW
        self.before = [OLD]
        self.saved: set[str] = set()
        self.undone: list[Operation] = []
        self.pids = iter(range(100, 9999))
        self.sent = 0
        self.fleet = [
            Instance(name, f"{name}-{n}", f"http://127.0.0.1:{8 if name == 'front' else 9}{n}", next(self.pids), 1.0)
            for name in ("front", "worker")
            for n in (1, 2)
        ]
        self.versions = {one.name: NOW for one in self.fleet}

    # the operators' procedures

    def run(self, procedure: str, **arguments: str) -> Ran:
        if procedure not in self.descriptor.procedures:
            raise Missing(f"the procedure {procedure} is not declared", f"procedures.{procedure}")
        fault = self.faults.procedure.get(procedure)
        if fault is not None and (said := fault(self, arguments)) is not None:
            return said
        own: Ran = getattr(self, f"_{procedure}")(**arguments)
        return own

    def _deploy(self, release: str) -> Ran:
        if release == BAD:
            return failed("deploy", "validation: its work fails")
        if release != self.release:
            self.before.append(self.release)
            self.put(release)
        return ended("deploy")

    def _rollback(self) -> Ran:
        self.put(self.before.pop())
        return ended("rollback")

    def put(self, release: str) -> None:
        """Let a release serve and run everywhere."""
        self.release = release
        self.versions = dict.fromkeys(self.versions, release)

    def _artifact(self, release: str) -> Ran:
        return ended("artifact", {"release": release, "digest": f"sha256:{digest_of(release)}"})

    def _contract(self, **_given: str) -> Ran:
        return ended("contract")

    def _list_backups(self) -> Ran:
        return ended("list_backups", json.loads((self.folder / "listing.json").read_text()))

    def _search_backup(self, set: str, text: str, **_given: str) -> Ran:
        return ended("search_backup") if text in self.saved else failed("search_backup")

    def inventory(self, environment: str | None = None) -> dict[str, ComponentCount]:
        return {name: ComponentCount(10, f"hash of {name}") for name in COMPONENTS}

    def report(self, release: str) -> Report:
        return read_report(self.folder / f"{release}.xml")

    # replicas

    def fresh(self, victim: Instance) -> Instance:
        """The victim's successor: the same replica as a new process."""
        return replace(victim, pid=next(self.pids), started=2.0)

    def instances(self, service: str | None = None) -> list[Instance]:
        return [one for one in self.fleet if service in (None, one.service)]

    def version(self, instance: Instance) -> str | None:
        return self.versions[instance.name]

    def ready(self, instance: Instance) -> bool | None:
        return self.faults.ready(instance)

    def kill(self, service: str, instance: Instance) -> None:
        """The driver's power; the drills go through `crash`."""

    @contextmanager
    def crash(self, victim: Instance, *, undo: Sequence[Operation]) -> Iterator[Change]:
        self.fleet = [one for one in self.fleet if one is not victim]
        revived = self.faults.revive(self, victim)
        self.fleet += [revived] if revived is not None else []
        with self.change(f"kill {victim.name}", undo=undo) as change:
            yield change

    @contextmanager
    def change(self, what: str, *, undo: Sequence[Operation], **_more: Any) -> Iterator[Change]:
        change = Change("1", what, "", None, tuple(undo), {})
        try:
            yield change
        finally:
            self.undone += change.undo
            for operation in change.undo:
                if operation.name == "deploy":
                    self._deploy(str(operation.arguments["release"]))

    def undo_by(self, change: Change, undo: Sequence[Operation]) -> None:
        change.undo = tuple(undo)

    # work

    def served_by(self, n: int) -> Counter[str]:
        return Counter(self.faults.routed(self, number) for number in range(n))

    def http(self, request: Any, **_more: Any) -> Answer:
        return Answer(200, {"x-release": self.release})

    def transact(self, variant: str = "ok", n: int = 1, question: str | None = None, **_more: Any) -> list[Transaction]:
        return [self._one(variant, question) for _ in range(n)]

    def _one(self, variant: str, question: str | None = None) -> Transaction:
        self.sent += 1
        marker = f"rd-0-{self.sent}"
        answer = QUESTIONS[question] if question is not None else f"done {marker}"
        result = {"answer": answer, "effects": 1}
        made = Transaction(variant, marker, id=marker, accepted=True, outcome="success", result=result)
        now = datetime.now(UTC)
        return self.faults.transaction(self, replace(made, release=self.release, ended_at=now, latency_s=0.1))

    def submit(self, variant: str = "ok") -> Transaction:
        return self.transact(variant)[0]

    @contextmanager
    def traffic(self, variant: str = "ok", rate_per_s: float = 4.0) -> Iterator[House]:
        yield self

    def finish(self, submitted: Transaction | None = None) -> Any:
        return self.transact("ok", 5) if submitted is None else submitted

    def reread(self, transaction: Transaction) -> Transaction:
        return self.faults.reread(self, transaction)

    def remember(self, marker: str) -> None:
        self.saved.add(marker)

    def recall(self, marker: str) -> bool | None:
        return self.faults.recall(self, marker)

    # recovery

    def backup(self) -> FreshBackup:
        ran = self.run("backup") if "backup" in self.faults.procedure else ended("backup")
        self.saved.add("canary")
        there = self.inventory()
        after = self.faults.after(dict(there))
        return FreshBackup("fresh", "canary", datetime.now(UTC), there, after, None, ran, self.folder)

    def restored(self) -> Restored:
        ran = self.faults.restore or replace(ended("restore"), duration_s=3.0)
        fresh = self.backup()
        if not ran.ok:
            return Restored(ran, ran.duration_s, None, ran.told(), fresh, None)
        spare = House(self.gate, self.folder / "spare", self.data, self.faults)
        spare._gathered = self._gathered
        spare.saved = set(self.saved)
        spare.fleet = [
            replace(one, address=address)
            for one, address in zip(spare.fleet, self.faults.restored_addresses * 2, strict=True)
        ]
        spare.descriptor = Descriptor.model_validate(
            described(services__front__address=self.faults.restored_addresses[0])
        )
        spare._one = lambda variant, question=None: self._restored_one(spare, variant, question)  # type: ignore[method-assign]
        held = self.faults.held(self.inventory())
        return Restored(ran, ran.duration_s, cast("Deployment", spare), "", fresh, held)

    def _restored_one(self, spare: House, variant: str, question: str | None) -> Transaction:
        answer = self.faults.restored_answers(question) if question is not None else "done"
        made = Transaction(variant, "rd-1-1", accepted=True, outcome="success", result={"answer": answer})
        return self.faults.transaction(spare, replace(made, latency_s=0.1))


def ended(name: str, printed: object = None) -> Ran:
    """A procedure that did what it should."""
    return Ran(name, (name,), 0, "" if printed is None else json.dumps(printed), "", 0.5, within_s=300.0)


def failed(name: str, line: str = "", code: int = 1) -> Ran:
    """A procedure that ended with another code."""
    return Ran(name, (name,), code, "", line, 0.5, within_s=300.0)


def digest_of(release: str) -> str:
    return hashlib.sha256(release.encode()).hexdigest()


def suite(
    name: str = "unit", *, release: str = NEXT, age: timedelta = timedelta(), cases: str = "", **given: str
) -> str:
    """One suite of a report as XML; `cases` and attributes in `given` replace the good ones."""
    at = (datetime.now(UTC) - age).isoformat()
    told = {"timestamp": at, **given}
    attributes = " ".join(f'{key}="{value}"' for key, value in told.items() if value)
    bound = f'<properties><property name="digest" value="{digest_of(release)}"/></properties>' if release else ""
    cases = cases or "<testcase name='a'/><testcase name='b'/>"
    return f'<testsuite name="{name}" {attributes}>{bound}{cases}</testsuite>'


def listed(folder: Path, **changes: Any) -> dict[str, Any]:
    """Write one backup in two copies and give its line of the listing; `changes` replace parts of that line.

    `age` sets the age of line and files, `file_age` that of the files alone; `content` the files' bytes.
    """
    content = changes.pop("content", gzip.compress(b'{"row": 1}\n'))
    age = changes.pop("age", timedelta(minutes=10))
    file_age = changes.pop("file_age", age)
    whole = {"set": "s1", "component": "operational_state", "kind": "full", "base": None, **changes}
    whole.setdefault("id", f"{whole['set']}/{whole['component']}")
    files = []
    for domain, place in changes.get("places", {"here": "backups", "there": "vault"}).items():
        path = folder / place / whole["set"] / f"{whole['component']}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        at = (datetime.now(UTC) - file_age).timestamp()
        os.utime(path, (at, at))
        files.append(
            {"path": str(path), "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), "domain": domain}
        )
    (folder / "data").mkdir(exist_ok=True)
    return {
        "taken_at": (datetime.now(UTC) - age).isoformat(),
        "protects": str(folder / "data" / "state.db"),
        "files": files,
        **whole,
    }


def write_listing(folder: Path, *backups: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "listing.json").write_text(json.dumps({"backups": backups}))


def judge(
    gate: Callable[[Deployment], None], folder: Path, faults: Faults | None = None, **changes: Any
) -> tuple[Outcome, str]:
    """Run a gate on the house; its outcome, and the reason and remedy in one text."""
    marked = gate_of(gate)
    assert marked is not None
    house = House(marked.info, folder, described(**changes), faults or Faults())
    if missing := marked.missing(house.descriptor, cast("Any", house)):
        return Outcome.UNKNOWN, "; ".join(missing)
    error: BaseException | None = None
    try:
        gate(cast("Deployment", house))
    except Exception as raised:
        error = raised
    found = verdict(marked, error, house.verdict_data().broken)
    return found.outcome, f"{found.reason} | {found.remedy}"
