# ruff: noqa: ARG002 - the methods have the signatures of the deployment that they stand for
"""A deployment whose load has been measured already: run folders on the disk, read and judged by the real code."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from readiness import waiting
from readiness.deployment import Deployment
from readiness.descriptor import Descriptor
from readiness.errors import Missing, ProcedureFailed, Undecidable
from readiness.facts import SharedFacts
from readiness.findings import verdict
from readiness.gate import gate_of
from readiness.gates import capacity, load_runs, service_levels
from readiness.history import History
from readiness.inventory import ComponentCount
from readiness.judgement import Judgement, Records
from readiness.load.plan import Plan
from readiness.load.results import read
from readiness.load.verdict import judge as judge_load
from readiness.loading import DescriptorFile
from readiness.loadrun import LoadRun
from readiness.loadtests import LoadTests
from readiness.model import Measurement, Outcome
from readiness.operations import Change, Operation
from readiness.procedures import Ran
from readiness.redaction import Redactor
from readiness.resources import CPU, DESCRIPTORS, MEMORY, TASK_SECONDS, TASKS, read_resources
from readiness.scenario import LoadTest
from readiness.target import Instance
from readiness.waiting import Deadline, NotInTime, eventually
from readiness.workload import Transaction
from tests.gates.house import Clock, described, ended
from tests.gates.loads import CALM_S, Load
from tests.gates.stage import FixedLimits
from tests.load.written import ZERO_S

if TYPE_CHECKING:
    from readiness.load.runner import Running


class Wall(Clock):
    """Time that passes only where somebody waits, on both clocks."""

    def time(self) -> float:
        return ZERO_S + self.now_s

    def rule(self, monkeypatch: pytest.MonkeyPatch) -> Wall:
        for module in (waiting, load_runs, capacity, service_levels):
            monkeypatch.setattr(module, "time", self)
        return self


@dataclass
class Scene:
    """What happens around the load; every field is a place where a test puts a fault."""

    loads: dict[str, Load] = field(default_factory=dict)
    """By label, else by profile; calm where there is none."""
    loadtests: Sequence[Mapping[str, Any]] = ()
    """What the scenario says; the durations of `judge` are short ones."""
    procedure: dict[str, Callable[[Loaded, dict[str, str]], Ran | None]] = field(default_factory=dict)
    """Replaces a procedure (None: and then does as always)."""
    latency_s: Callable[[float], float] = lambda _after_s: CALM_S
    """What traffic after the load sees, by the seconds since the gate's beginning."""
    pending: frozenset[str] = frozenset()
    """Accepted work that never ends."""
    sent: Callable[[Transaction], Transaction] = lambda one: one
    counts_as: Callable[[list[Transaction], datetime, datetime], Mapping[str, object]] | None = None
    """What `sla` prints of the log, and of a stretch of time."""


def performance(**changes: Any) -> dict[str, Any]:
    """A descriptor that declares all that performance asks for; dotted keys replace parts, None takes them out."""
    work = {"submit": {"method": "POST", "url": "{front}/work"}, "result": {"url": "x", "until": {}, "success": {}}}
    there: dict[str, Any] = {
        "workload__failing": {**work, "outcome": "failure"},
        "workload__slow": work,
        "workload__max_rate_per_s": 4,
        "objectives": {"peak_rate": "2/s", "p95": "2s", "availability": "99.5%"},
        "scaling": {"services": ["worker"], "replicas": [1, 2, 4], "variant": "slow", "rate_per_replica": "2.5/s"},
        "volume": {"items": 1000},
        "evidence__metrics": {"scrape": True},
        "evidence__baselines": "team/{profile}.json",
        "state": "state",
        "signals": {meaning: {"metric": meaning} for meaning in (CPU, MEMORY, DESCRIPTORS, TASK_SECONDS, TASKS)},
    }
    for service in ("front", "worker"):
        there[f"services__{service}__limits"] = {"cpu": 1.0, "memory": "256MB"}
        there[f"services__{service}__metrics"] = "/metrics"
    for name in ("scale", "stop", "fill", "unfill", "sla", "status"):
        there[f"procedures__{name}"] = {"run": [name], "within": "5m"}
    return described(**{**there, **changes})


class _Loads(LoadTests):
    """Writes the files of a run instead of sending anything."""

    stage: Loaded

    def run(
        self,
        label: str,
        plan: Plan,
        reach: Any,
        gate: str,
        deadline: Deadline,
        meanwhile: Callable[[Running], None] | None = None,
    ) -> LoadRun:
        if label not in self.done:
            clock, loads = self.stage.clock, self.stage.scene.loads
            zero_s, until_s = clock.time(), clock.now_s + plan.duration_s + 1
            if meanwhile is not None:
                meanwhile(cast("Running", SimpleNamespace(zero_s=zero_s)))
            clock.now_s = max(clock.now_s, until_s)
            folder = self.records.folder / "load" / label
            load = loads.get(label) or loads.get(plan.profile) or Load()
            load.into(folder, plan, zero_s, [one.name for one in self.stage.fleet])
            result = read(folder)
            self.done[label] = LoadRun(label, result, judge_load(result), read_resources(result.resources))
        return self.done[label]


class Loaded(Deployment):
    """The deployment as a gate sees it."""

    def __init__(self, gate: Any, folder: Path, data: Mapping[str, Any], scene: Scene, clock: Wall) -> None:
        redactor = Redactor()
        run = Path(tempfile.mkdtemp(dir=folder))
        records = Records("run-0123456789abcdef", run, History.create(run, redactor), redactor, FixedLimits())
        Judgement.__init__(self, gate, records)
        file = DescriptorFile(Descriptor.model_validate(data), folder / "descriptor.yaml")
        self.scene, self.clock, self.began_s = scene, clock, clock.now_s
        self.deadline = Deadline.after(3600)
        loads = _Loads({test["profile"]: LoadTest.model_validate(test) for test in scene.loadtests}, folder, records)
        loads.stage = self
        self._reach = cast("Any", SimpleNamespace(file=file, target=self))
        self._facts = SharedFacts(cast("Any", None), records, loads, cast("Any", None))
        self.fleet = [self._replica(service, n) for service in ("front", "worker") for n in (1, 2)]
        self.held, self.sent, self.log = 0, 0, list[Transaction]()
        self.ran: list[str] = []

    def _replica(self, service: str, n: int) -> Instance:
        return Instance(service, f"{service}-{n}", f"http://127.0.0.1:{n}", 100 + n + 50 * len(service), 1.0)

    def kill(self, service: str, instance: Instance) -> None:
        """The driver's power; the drills go through `change`."""

    # procedures

    def run(self, procedure: str, **arguments: str) -> Ran:
        if procedure not in self.descriptor.procedures:
            raise Missing(f"the procedure {procedure} is not declared", f"procedures.{procedure}")
        self.ran.append(" ".join([procedure, *arguments.values()]))
        fault = self.scene.procedure.get(procedure)
        if fault is not None and (said := fault(self, arguments)) is not None:
            return said
        if procedure == "scale":
            others = [one for one in self.fleet if one.service != arguments["service"]]
            wanted = range(1, int(arguments["replicas"]) + 1)
            self.fleet = others + [self._replica(arguments["service"], n) for n in wanted]
        elif procedure in ("fill", "unfill"):
            self.held = int(arguments.get("items", 0))
        elif procedure == "sla":
            return ended("sla", self._told(*map(datetime.fromisoformat, (arguments["since"], arguments["until"]))))
        return ended(procedure)

    def _told(self, since: datetime, until: datetime) -> Mapping[str, object]:
        if self.scene.counts_as is not None:
            return self.scene.counts_as(self.log, since, until)
        margin = timedelta(milliseconds=2)  # instants are told in milliseconds, and all of this log lies in a few
        inside = [one for one in self.log if one.ended_at and since - margin <= one.ended_at < until + margin]
        return told_of(inside)

    def inventory(self, environment: str | None = None) -> dict[str, ComponentCount]:
        there = {"documents": 10 + self.held // 2, "work": 3 + self.held - self.held // 2}
        return {name: ComponentCount(count, f"hash of {count}") for name, count in there.items()}

    def instances(self, service: str | None = None) -> list[Instance]:
        return [one for one in self.fleet if service in (None, one.service)]

    def killing(self, instance: Instance) -> Operation:
        return Operation("process", "kill", {"instance": instance.name})

    @contextmanager
    def change(
        self, what: str, *, undo: Sequence[Operation], do: Operation | None = None, witness: Any = None, **_more: Any
    ) -> Iterator[Change]:
        before = list(self.fleet)
        try:
            if do is not None and do.name == "kill":
                self.fleet = [one for one in self.fleet if one.name != do.arguments["instance"]]
            elif do is not None and not (ran := self.run(do.name, **_texts(do))).ok:
                raise ProcedureFailed(ran.told(), f"procedures.{do.name} must end with 0")
            self._seen(do is not None, witness, what)
            yield Change("1", what, "", None, tuple(undo), {})
            self._seen(do is None, witness, what)
        finally:
            self.fleet = before

    def _seen(self, now: bool, witness: Any, what: str) -> None:
        try:
            if now and witness is not None:
                eventually(witness, within=10.0)
        except NotInTime:
            raise Undecidable(f"nothing shows that it took effect: {what}") from None

    # work

    def transact(self, variant: str = "ok", n: int = 1, **_more: Any) -> list[Transaction]:
        made = [self._one(variant) for _ in range(n)]
        self.log += made
        return made

    def _one(self, variant: str) -> Transaction:
        self.clock.sleep(0.1)
        latency_s = self.scene.latency_s(self.clock.now_s - self.began_s)
        meant: Any = "failure" if variant == "failing" else "success"
        self.sent += 1
        one = Transaction(variant, f"rd-{self.sent}", accepted=True, outcome=meant, meant=meant)
        return self.scene.sent(replace(one, ended_at=datetime.now(UTC), latency_s=latency_s))

    @contextmanager
    def traffic(self, variant: str = "ok", rate_per_s: float = 3.0) -> Iterator[Any]:
        going = SimpleNamespace(transactions=[], summary=lambda: None)
        yield going
        going.transactions = self.transact(variant, 8)
        good = [one for one in going.transactions if one.as_meant]
        p95_ms = 1000 * max(one.latency_s or 0.0 for one in going.transactions)
        going.summary = lambda: SimpleNamespace(sent=8, succeeded=len(good), p95_ms=p95_ms)

    def look_again(self, found: Mapping[str, str]) -> Transaction:
        outcome: Any = "pending" if found["id"] in self.scene.pending else "success"
        return Transaction(found["variant"], found["marker"], id=found["id"], accepted=True, outcome=outcome)


def told_of(seen: Sequence[Transaction], each: int = 1) -> dict[str, object]:
    """What an honest dashboard prints."""
    good, total = each * sum(one.outcome == "success" for one in seen), each * len(seen)
    return {"availability": good / total if total else None, "good": good, "total": total, "budget_left": 0.4}


def _texts(operation: Operation) -> dict[str, str]:
    return {key: str(value) for key, value in operation.arguments.items()}


@dataclass(frozen=True, slots=True)
class Judged:
    """How a gate ended."""

    outcome: Outcome
    told: str
    """Reason and remedy."""
    measured: Mapping[str, Measurement]
    stage: Loaded | None = None


QUICK: tuple[Mapping[str, Any], ...] = (
    {"profile": "steady", "duration": "30s"},
    {"profile": "stress", "duration": "25s", "factor": 20},
    {"profile": "spike", "duration": "30s"},
    {"profile": "endurance", "duration": "30s", "thresholds": {"endurance.errors": "<= 1%"}},
    {"profile": "volume", "duration": "15s"},
    {"profile": "scalability", "duration": "10s", "thresholds": {"errors": "<= 1%"}},
)


def judge(
    gate: Callable[[Deployment], None], folder: Path, clock: Wall, scene: Scene | None = None, **changes: Any
) -> Judged:
    """Run a gate on the deployment; `changes` are those of the descriptor."""
    marked = gate_of(gate)
    assert marked is not None
    scene = scene or Scene()
    scene.loadtests = scene.loadtests or QUICK
    stage = Loaded(marked.info, folder, performance(**changes), scene, clock)
    if missing := marked.missing(stage.descriptor, cast("Any", stage)):
        return Judged(Outcome.UNKNOWN, "; ".join(missing), {})
    error: BaseException | None = None
    try:
        gate(stage)
    except Exception as raised:
        error = raised
    data = stage.verdict_data()
    found = verdict(marked, error, data.broken)
    assert "\n" not in found.reason and "Traceback" not in found.reason
    return Judged(
        found.outcome, f"{found.reason} | {found.remedy}", {one.name: one for one in data.measurements}, stage
    )
