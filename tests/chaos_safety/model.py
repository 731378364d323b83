"""A deployment in memory or in a file, all that can be broken in it, and a harness that may die anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from readiness.errors import TargetError
from readiness.executor import Executor
from readiness.history import History
from readiness.ledger import FILE, Ledger
from readiness.loading import DescriptorFile, load_descriptor
from readiness.operations import Digest, Fault, Operation
from readiness.procedures import Procedures
from readiness.redaction import Redactor
from readiness.state import State
from readiness.target import Argument, Instance
from readiness.waiting import Deadline

DESCRIPTOR = """\
readiness: 1
name: model
environment: {environment}
driver: process
state: var
services:
  planner: {{replicas: 3, process: {{pidfile: "run/planner-*.pid"}}}}
  writer: {{replicas: 2, process: {{pidfile: "run/writer-*.pid"}}}}
  provider: {{replicas: 1, process: {{pidfile: "run/provider-*.pid"}}}}
  store: {{replicas: 1, process: {{pidfile: "run/store-*.pid"}}}}
blast_radius: {{max_services: 3, max_replicas_share: 0.67}}
"""
REPLICAS = {"planner": 3, "writer": 2, "provider": 1, "store": 1}
NAMES = [f"{service}-{n}" for service, count in REPLICAS.items() for n in range(1, count + 1)]


class Crash(BaseException):
    """The process is dead: nothing of it runs any more."""


class Steps:
    """Counts every write and act of a run; dies at the chosen one and never lives again."""

    def __init__(self, dies_at: int = 0) -> None:
        self.dies_at = dies_at
        self.count = 0
        self.dead = False

    def point(self) -> None:
        self.count += 1
        if self.dead or self.count == self.dies_at:
            self.dead = True
            raise Crash


@dataclass
class World:
    """What is deployed, as it really is: more than any digest shows."""

    path: Path | None = None
    """The file that it lives in, where more than one process looks at it."""
    processes: dict[str, str] = field(default_factory=lambda: dict.fromkeys(NAMES, "running"))
    squeezed: list[str] = field(default_factory=list)
    toxics: dict[str, str] = field(default_factory=dict)
    release: str = "1.0"

    def data(self) -> dict[str, Any]:
        """Everything of it, as data."""
        own = [dict(sorted(self.processes.items())), sorted(self.squeezed), dict(sorted(self.toxics.items()))]
        return json.loads(json.dumps([*own, self.release]))  # type: ignore[no-any-return]

    def read(self) -> None:
        """Look at it anew, where it lives in a file."""
        if self.path is not None and self.path.exists():
            self.processes, self.squeezed, self.toxics, self.release = json.loads(self.path.read_text())

    def write(self) -> None:
        """Let others see it."""
        if self.path is not None:
            draft = self.path.with_suffix(".draft")
            draft.write_text(json.dumps([self.processes, self.squeezed, self.toxics, self.release]))
            draft.replace(self.path)

    def digest(self, _deadline: Deadline) -> Digest:
        """What the harness sees of it: not the toxics, as with real deployments."""
        self.read()
        ready = {
            name: sum(self.processes[f"{name}-{n}"] == "running" for n in range(1, count + 1))
            for name, count in REPLICAS.items()
        }
        return {"ready": ready, "release": self.release}


class Doer:
    """Does and looks, as driver (`process`) and as server of proxies (`proxies`)."""

    scheme = "process"

    def __init__(self, world: World, steps: Steps) -> None:
        self.world = world
        self.steps = steps
        self.unwilling: set[str] = set()
        """Names of operations that fail."""

    def services(self) -> list[str]:
        return list(REPLICAS)

    def address(self, service: str) -> str:
        return f"model://{service}"

    def instances(self, service: str) -> list[Instance]:
        return [Instance(service, f"{service}-{n}") for n in range(1, REPLICAS[service] + 1)]

    def perform(self, operation: str, arguments: Mapping[str, Argument]) -> None:
        self.steps.point()
        if operation in self.unwilling:
            raise TargetError(f"{operation} is refused")
        self.world.read()
        self._do(operation, str(arguments["name"]), str(arguments.get("value", "")))
        self.world.write()
        self.steps.point()

    def _do(self, operation: str, name: str, value: str) -> None:
        processes, was = self.world.processes, self.world.processes.get(name)
        if operation == "freeze" and was == "running":
            processes[name] = "frozen"
        elif operation == "resume" and was == "frozen":
            processes[name] = "running"
        elif operation == "kill":
            processes[name] = "dead"
        elif operation == "start" and was == "dead":
            processes[name] = "running"
        elif operation == "squeeze":
            self.world.squeezed = sorted({*self.world.squeezed, name})
        elif operation == "relieve":
            self.world.squeezed = [one for one in self.world.squeezed if one != name]
        elif operation == "add":
            self.world.toxics[name] = value
        elif operation == "remove":
            self.world.toxics.pop(name, None)
        elif operation == "deploy":
            self.world.release = name

    def ask(self, operation: str, arguments: Mapping[str, Argument]) -> str:
        self.steps.point()
        self.world.read()
        name = str(arguments["name"])
        found = {
            "frozen": self.world.processes.get(name) == "frozen",
            "unfrozen": self.world.processes.get(name) != "frozen",
            "gone": self.world.processes.get(name) == "dead",
            "runs": self.world.processes.get(name) != "dead",
            "squeezed": name in self.world.squeezed,
            "unsqueezed": name not in self.world.squeezed,
            "felt": name in self.world.toxics,
            "clear": name not in self.world.toxics,
            "released": self.world.release == name,
        }[operation]
        return f"{name} is {operation}" * found


class MortalState(State):
    """A state store whose process may die before and after each write, leaving a draft."""

    def __init__(self, folder: Path, steps: Steps) -> None:
        super().__init__(folder, "model")
        self._steps = steps

    def write(self, name: str, record: Mapping[str, Any]) -> None:
        try:
            self._steps.point()
        except Crash:
            draft = self.folder / name
            draft.parent.mkdir(parents=True, exist_ok=True)
            draft.with_name(f".{draft.name}.draft").write_text(json.dumps(record)[:20])
            raise
        super().write(name, record)
        self._steps.point()

    def remove(self, name: str) -> None:
        self._steps.point()
        super().remove(name)
        self._steps.point()


class MortalLedger(Ledger):
    """A ledger whose process may die before, in the middle of, and after each line."""

    def __init__(self, folder: Path, steps: Steps) -> None:
        super().__init__(folder, Redactor())
        self._folder = folder
        self._steps = steps

    def write(self, event: str, data: Mapping[str, Any]) -> None:
        self._steps.point()
        try:
            self._steps.point()
        except Crash:
            with (self._folder / FILE).open("a") as file:
                file.write('{"at": "20')
            raise
        super().write(event, data)
        self._steps.point()


class Harness:
    """One run on the model: a real executor with a real state store and ledger."""

    def __init__(self, home: Path, world: World, steps: Steps | None = None, *, armed: bool = False) -> None:
        self.steps = steps or Steps()
        self.doer = Doer(world, self.steps)
        self.folder = home / "reports" / f"run-{len(list((home / 'reports').glob('*')))}"
        self.history = History.create(self.folder, Redactor())
        self.state = MortalState(home / "var", self.steps)
        self.executor = Executor(
            descriptor(home),
            self.doer,
            cast("Procedures", SimpleNamespace(declared=lambda _: False)),
            world.digest,
            doers={"proxies": self.doer},
            armed=armed,
            state=self.state,
            history=self.history,
            ledger=MortalLedger(self.folder, self.steps),
            run_id=self.folder.name,
        )

    def inject(self, fault: Fault) -> Any:
        return self.executor.inject(fault, gate="TST-CHA-001", deadline=Deadline.after(60))

    def ledger(self) -> list[dict[str, Any]]:
        """The whole lines that this run has written."""
        path = self.folder / FILE
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]


_READ: dict[Path, DescriptorFile] = {}


def descriptor(home: Path, environment: str = "staging") -> DescriptorFile:
    """The model's descriptor, written once a home."""
    if home not in _READ:
        (home / "reports").mkdir(parents=True, exist_ok=True)
        (home / "readiness.yaml").write_text(DESCRIPTOR.format(environment=environment))
        _READ[home] = load_descriptor(home / "readiness.yaml")
    return _READ[home]


def process(name: str, **arguments: str) -> Callable[[str], Operation]:
    return lambda operation: Operation("process", operation, {"name": name, **arguments})


def frozen(name: str) -> Fault:
    of, service = process(name), name.partition("-")[0]
    do, undo, witness, healed = map(of, ("freeze", "resume", "frozen", "unfrozen"))
    return Fault("frozen", f"freeze {name}", (do,), (undo,), witness, healed, service, 1, lifted=True)


def killed(name: str, *, shown: bool = False) -> Fault:
    of, service = process(name), name.partition("-")[0]
    healed = of("runs") if shown else None
    return Fault("killed", f"kill {name}", (of("kill"),), (of("start"),), of("gone"), healed, service, 1)


def squeezed(name: str) -> Fault:
    """Squeezed until it died: its undo takes two operations."""
    of, service = process(name), name.partition("-")[0]
    do, undo = (of("squeeze"), of("kill")), (of("relieve"), of("start"))
    return Fault("squeezed", f"squeeze {name}", do, undo, of("squeezed"), of("unsqueezed"), service, 1, lifted=True)


def slow(*links: str, service: str = "provider") -> Fault:
    add = tuple(Operation("proxies", "add", {"name": link, "value": "latency"}) for link in links)
    remove = tuple(Operation("proxies", "remove", {"name": link}) for link in links)
    felt, clear = (Operation("proxies", look, {"name": links[-1]}) for look in ("felt", "clear"))
    return Fault("slow", f"slow {' '.join(links)}", add, remove, felt, clear, service, 0, lifted=True)


def skewed(release: str = "1.1") -> Fault:
    deploy, back, seen = (
        Operation("process", name, {"name": value})
        for name, value in (("deploy", release), ("deploy", "1.0"), ("released", release))
    )
    return Fault("skewed", f"deploy {release}", (deploy,), (back,), seen)
