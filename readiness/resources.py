"""What the replicas of a deployment use while a load runs, and how much of what they may use that is."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from readiness.descriptor import Descriptor, ReplicaLimits, Signal
from readiness.errors import ReadinessError, Undecidable
from readiness.evidence.metrics import Exposed, Snapshot
from readiness.reach import Reach
from readiness.waiting import Deadline

FILE = "resources.jsonl"
CPU, MEMORY, DESCRIPTORS = "cpu_seconds_total", "memory_bytes", "open_descriptors"
MEANINGS = (CPU, MEMORY, DESCRIPTORS)
"""The signals that are read of each replica; one that is not declared is left out."""
TASK_SECONDS, TASKS = "task_seconds_sum", "task_seconds_count"
"""The signals that tell how long agents take for a task; they are read as sums over all replicas."""
_READ_S = 5.0
_ROWS_AT_MOST = 2000
"""A long run is looked at more rarely, so that its file stays small."""


@dataclass(frozen=True, slots=True)
class Used:
    """What one replica had used at one moment."""

    at_s: float
    """Seconds on the wall clock."""
    cpu_s: float | None
    memory_bytes: float | None
    descriptors: float | None


@dataclass(frozen=True, slots=True)
class Resources:
    """What all replicas used during one load run: instance → its service, and instance → readings in order."""

    services: Mapping[str, str]
    readings: Mapping[str, Sequence[Used]]
    agents: Sequence[tuple[float, float, float]] = ()
    """Wall clock in seconds, the time of all tasks so far in seconds, and how many they were."""

    def agent_response_s(self, between: tuple[float, float]) -> list[float]:
        """The mean time of the tasks that ended between one reading and the next, in seconds."""
        inside = [row for row in self.agents if between[0] <= row[0] <= between[1]]
        pairs = pairwise(inside)
        return [(b[1] - a[1]) / (b[2] - a[2]) for a, b in pairs if b[2] > a[2] and b[1] >= a[1]]

    def utilisation(self, descriptor: Descriptor, between: tuple[float, float]) -> list[float]:
        """The share that the busiest service used of its replicas' declared processors, between readings (0 to 1)."""
        moments = sorted({row.at_s for rows in self.readings.values() for row in rows})
        inside = [at for at in moments if between[0] <= at <= between[1]]
        shares = []
        for began, ended in pairwise(inside):
            busy = self.busy((began, ended))
            limits = {name: descriptor.services[name].limits.cpu for name in busy}
            used = [cores / (cpu * len(self.of(name))) for name, cores in busy.items() if (cpu := limits[name])]
            shares += [max(used)] if used else []
        return shares

    def of(self, service: str) -> list[Sequence[Used]]:
        """The readings of a service's replicas."""
        return [rows for name, rows in self.readings.items() if self.services[name] == service]

    def series(self, service: str, meaning: str, since_s: float = 0.0) -> tuple[list[float], list[float]]:
        """Instants (wall clock, seconds) and the sum over a service's replicas of memory (bytes) or descriptors.

        Only instants count at which the very replicas were read that were read most often together: one that comes
        or goes, or was not read, is no growth.
        """
        attribute = {MEMORY: "memory_bytes", DESCRIPTORS: "descriptors"}[meaning]
        read: dict[float, dict[str, float]] = {}
        for name, rows in self.readings.items():
            for row in rows if self.services[name] == service else ():
                value = getattr(row, attribute)
                if value is not None and row.at_s >= since_s:
                    read.setdefault(row.at_s, {})[name] = value
        sets = Counter(frozenset(values) for values in read.values())
        usual = max(sets, key=lambda names: (sets[names], len(names)), default=frozenset())
        whole = [at for at in sorted(read) if read[at].keys() == usual]
        return whole, [sum(read[at].values()) for at in whole]

    def unread(self, descriptor: Descriptor, what: str) -> list[str]:
        """Name the services with a declared limit of `cpu` or `memory` of which fewer replicas were read than run."""
        attribute = {"cpu": "cpu_s", "memory": "memory_bytes"}[what]
        limited = [name for name, spec in descriptor.services.items() if getattr(spec.limits, what) is not None]
        return [name for name in limited if self._read(name, attribute) < descriptor.services[name].replicas]

    def _read(self, service: str, attribute: str) -> int:
        return sum(any(getattr(row, attribute) is not None for row in rows) for rows in self.of(service))

    def peaks(self, descriptor: Descriptor, between: tuple[float, float]) -> list[Peak]:
        """The highest use of each replica in a stretch of time, busiest first; only of what has a declared limit."""
        found = []
        for name, rows in self.readings.items():
            service = self.services[name]
            limits = descriptor.services[service].limits
            inside = [row for row in rows if between[0] <= row.at_s <= between[1]]
            found += list(_peaks(service, name, inside, limits))
        return sorted(found, key=lambda peak: -peak.share)

    def busy(self, between: tuple[float, float]) -> dict[str, float]:
        """Service → cores that its replicas used on average in a stretch of time."""
        used: dict[str, float] = {}
        for name, rows in self.readings.items():
            known = [(row.at_s, row.cpu_s) for row in rows if row.cpu_s is not None]
            inside = [(at, cpu) for at, cpu in known if between[0] <= at <= between[1]]
            if len(inside) > 1 and inside[-1][0] > inside[0][0]:
                cores = (inside[-1][1] - inside[0][1]) / (inside[-1][0] - inside[0][0])
                used[self.services[name]] = used.get(self.services[name], 0.0) + max(0.0, cores)
        return used


@dataclass(frozen=True, slots=True)
class Peak:
    """The most that one replica used of what it may use."""

    service: str
    instance: str
    what: str
    """`cpu` or `memory`."""
    share: float
    """0 to 1 and beyond."""
    at_s: float


class Sampling:
    """Reads the resource signals in a thread of its own, into a file, for the length of a block."""

    def __init__(self, reach: Reach, into: Path, duration_s: float) -> None:
        self._reach = reach
        self._path = into / FILE
        self._every_s = max(1.0, duration_s / _ROWS_AT_MOST)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, name="resources", daemon=True)
        self.problem = ""
        """Why nothing could be read the last time."""

    def __enter__(self) -> Sampling:
        if _declared(self._reach.file.descriptor):
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _read(self) -> None:
        descriptor = self._reach.file.descriptor
        with self._path.open("a", encoding="utf-8") as out:
            while True:
                try:
                    snapshot = self._reach.metrics.read(Deadline.after(_READ_S))
                    row = {"wall_s": time.time(), "instances": dict(_used(descriptor, snapshot))}
                    row |= {meaning: _sum(snapshot, descriptor, meaning) for meaning in (TASK_SECONDS, TASKS)}
                    out.write(json.dumps(row) + "\n")
                    out.flush()
                except ReadinessError as error:
                    self.problem = str(error)
                if self._stop.wait(self._every_s):
                    return


def read_resources(rows: Sequence[Mapping[str, object]]) -> Resources:
    """Read the rows of a resource file; what is not in its form is left out."""
    services: dict[str, str] = {}
    readings: dict[str, list[Used]] = {}
    agents: list[tuple[float, float, float]] = []
    for row in rows:
        at, instances = row.get("wall_s"), row.get("instances")
        if not isinstance(at, int | float) or not isinstance(instances, Mapping):
            continue
        seconds, tasks = row.get(TASK_SECONDS), row.get(TASKS)
        if isinstance(seconds, int | float) and isinstance(tasks, int | float):
            agents.append((float(at), float(seconds), float(tasks)))
        for name, used in instances.items():
            if isinstance(used, Mapping):
                services[name] = str(used.get("service", ""))
                values = [_number(used.get(meaning)) for meaning in MEANINGS]
                readings.setdefault(name, []).append(Used(float(at), *values))
    return Resources(services, readings, agents)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _declared(descriptor: Descriptor) -> dict[str, Signal]:
    return {meaning: descriptor.signals[meaning] for meaning in MEANINGS if meaning in descriptor.signals}


def _used(descriptor: Descriptor, snapshot: Snapshot) -> Iterator[tuple[str, dict[str, object]]]:
    for name, shown in snapshot.exposed.items():
        if shown.service in descriptor.services:
            values = {meaning: _value(shown, signal) for meaning, signal in _declared(descriptor).items()}
            yield name, {"service": shown.service, **values}


def _sum(snapshot: Snapshot, descriptor: Descriptor, meaning: str) -> float | None:
    signal = descriptor.signals.get(meaning)
    if signal is None or not snapshot.knows(signal):
        return None
    try:
        return snapshot.sum(signal)
    except Undecidable:  # a sum without one replica would fall and rise again
        return None


def _value(shown: Exposed, signal: Signal) -> float | None:
    if signal.services and shown.service not in signal.services:
        return None
    wanted = set(signal.labels.items())
    found = [v for (metric, labels), v in shown.samples.items() if metric == signal.metric and wanted <= set(labels)]
    return sum(found) if found else None


def _peaks(service: str, name: str, rows: Sequence[Used], limits: ReplicaLimits) -> Iterator[Peak]:
    if limits.cpu is not None:
        shares = [
            (max(0.0, b.cpu_s - a.cpu_s) / (b.at_s - a.at_s) / limits.cpu, b.at_s)
            for a, b in pairwise(rows)
            if a.cpu_s is not None and b.cpu_s is not None and b.at_s > a.at_s
        ]
        if shares:
            share, at_s = max(shares)
            yield Peak(service, name, "cpu", share, at_s)
    held = [(row.memory_bytes, row.at_s) for row in rows if row.memory_bytes is not None]
    if limits.memory is not None and held:
        most, at_s = max(held)
        yield Peak(service, name, "memory", most / limits.memory, at_s)
