"""Metrics in the Prometheus exposition format, or from a Prometheus server: what the series of a meaning add up to."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from readiness.descriptor import Signal
from readiness.errors import Missing, Undecidable
from readiness.loading import DescriptorFile
from readiness.target import Instance
from readiness.templates import field_of
from readiness.waiting import Deadline
from readiness.web import Web

Labels = tuple[tuple[str, str], ...]
_STARTED = "process_start_time_seconds"
_SUFFIXES = ("_total", "_sum", "_count", "_bucket", "_created", "_info")


@dataclass(frozen=True, slots=True)
class Exposed:
    """What one instance showed."""

    service: str
    samples: Mapping[tuple[str, Labels], float]
    families: frozenset[str]
    """The names that it declares, also those that have no series yet."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The series of all instances at one moment."""

    exposed: Mapping[str, Exposed]
    """By instance."""
    unreachable: Mapping[str, str] = field(default_factory=dict)
    """Instance → why it could not be read."""
    malformed: Mapping[str, str] = field(default_factory=dict)
    """Instance → what is wrong with what it showed."""
    services: Mapping[str, str] = field(default_factory=dict)
    """Instance → its service, for all that should have been read."""

    def knows(self, signal: Signal) -> bool:
        """Whether any instance shows, or declares, the series of the signal."""
        return any(_declares(shown, signal.metric) for shown in self._of(signal).values())

    def sum(self, signal: Signal) -> float:
        """Add up what matches; Undecidable when an instance could not be read or nobody knows the series."""
        self._readable(signal)
        self._known(signal, self)
        return math.fsum(value for shown in self._of(signal).values() for _, value in _matching(shown, signal))

    def increase(self, before: Snapshot, signal: Signal) -> float:
        """Give how much the signal rose since `before` (the same as `increase(before, self, signal)`)."""
        return increase(before, self, signal)

    def _of(self, signal: Signal) -> dict[str, Exposed]:
        return {name: shown for name, shown in self.exposed.items() if _carries(signal, shown.service)}

    def _readable(self, signal: Signal) -> None:
        problems = {**self.unreachable, **self.malformed}
        mine = [name for name in problems if _carries(signal, self.services.get(name, ""))]
        if mine:
            raise Undecidable(
                f"the metrics of {mine[0]} cannot be read: {problems[mine[0]]}"
                + (f" (and {len(mine) - 1} more)" if len(mine) > 1 else ""),
                f"services.{self.services.get(mine[0], mine[0])}.metrics",
            )

    def _known(self, signal: Signal, other: Snapshot) -> None:
        if not (self.knows(signal) or other.knows(signal)):
            raise Undecidable(f"no instance shows the series {signal.metric}", "signals: a series that exists")


def increase(before: Snapshot, after: Snapshot, signal: Signal) -> float:
    """Give how much a counter rose between two snapshots, added up over its series.

    A series that fell, or whose instance was started anew, began again at zero, as in Prometheus's `increase`.
    An instance that carried the series and cannot be read any more makes the rise unknown: Undecidable.
    """
    before._readable(signal)
    after._readable(signal)
    after._known(signal, before)
    gone = [
        name for name, shown in before._of(signal).items() if name not in after.exposed and _matching(shown, signal)
    ]
    if gone:
        raise Undecidable(f"{gone[0]} carried {signal.metric} and is gone: what it counted is lost")
    return math.fsum(_rise(before.exposed.get(name), shown, signal) for name, shown in after._of(signal).items())


class MetricsReader:
    """Reads the metrics of one deployment, as `evidence.metrics` says."""

    def __init__(self, file: DescriptorFile, web: Web, instances: Callable[[str], Sequence[Instance]]) -> None:
        self._descriptor = file.descriptor
        self._web = web
        self._instances = instances

    def read(self, deadline: Deadline) -> Snapshot:
        """Read all instances, or the declared signals from the Prometheus server."""
        source = self._descriptor.evidence.metrics
        if source is None or not (source.scrape or source.prometheus):
            raise Missing("nothing is declared to read metrics from", "evidence.metrics: {scrape: true}")
        if source.prometheus:
            return self._query(source.prometheus.rstrip("/"), deadline)
        exposed, unreachable, malformed, services = {}, {}, {}, {}
        for service, name, url in self._places():
            services[name] = service
            answer = self._web.get(url, service=service, deadline=deadline)
            if not answer.ok:
                unreachable[name] = answer.error or f"{url}: HTTP {answer.status}"
                continue
            try:
                exposed[name] = parse(service, answer.text)
            except ValueError as error:
                malformed[name] = f"{url}: not in the exposition format: {error}"
        if not services:
            raise Missing("no service declares its metrics", "services.<service>.metrics: /metrics")
        return Snapshot(exposed, unreachable, malformed, services)

    def _places(self) -> Iterator[tuple[str, str, str]]:
        for service, spec in self._descriptor.services.items():
            if spec.metrics is None:
                continue
            reached = [i for i in self._instances(service) if i.address]
            if spec.metrics.startswith(("http://", "https://")):
                yield service, service, spec.metrics
            elif reached:
                for instance in reached:
                    yield service, instance.name, f"{(instance.address or '').rstrip('/')}{spec.metrics}"
            elif spec.address:
                yield service, service, f"{spec.address.rstrip('/')}{spec.metrics}"
            else:
                raise Missing(
                    f"{service} declares metrics and no address", f"services.{service}.address: http://127.0.0.1:…"
                )

    def _query(self, server: str, deadline: Deadline) -> Snapshot:
        samples: dict[str, dict[tuple[str, Labels], float]] = {}
        for metric in sorted({signal.metric for signal in self._descriptor.signals.values()} | {_STARTED}):
            answer = self._web.get(f"{server}/api/v1/query?query={metric}", service="metrics", deadline=deadline)
            found = field_of(answer.json, "data.result")
            if not answer.ok or not isinstance(found, list):
                raise Undecidable(
                    f"Prometheus does not answer: {answer.error or f'HTTP {answer.status}'}",
                    "evidence.metrics.prometheus",
                )
            for row in found:
                labels = {str(key): str(value) for key, value in row.get("metric", {}).items() if key != "__name__"}
                instance = f"{labels.get('job', '')}/{labels.get('instance', '')}"
                samples.setdefault(instance, {})[metric, _key(labels)] = float(row["value"][1])
        known = self._descriptor.services
        exposed = {
            instance: Exposed(job if (job := instance.partition("/")[0]) in known else "", rows, frozenset())
            for instance, rows in samples.items()
        }
        return Snapshot(exposed, {}, {}, {name: shown.service for name, shown in exposed.items()})


def parse(service: str, text: str) -> Exposed:
    """Read one exposition; raise ValueError where it is none."""
    samples: dict[tuple[str, Labels], float] = {}
    families = set()
    for family in text_string_to_metric_families(text):
        families.add(family.name)
        for sample in family.samples:
            samples[sample.name, _key(sample.labels)] = float(sample.value)
    if text.strip() and not families:
        raise ValueError("it has no series")
    return Exposed(service, samples, frozenset(families))


def _rise(before: Exposed | None, after: Exposed, signal: Signal) -> float:
    restarted = before is None or _start_of(before) != _start_of(after)
    total = 0.0
    for key, value in _matching(after, signal):
        earlier = 0.0 if before is None or restarted else before.samples.get(key, 0.0)
        total += value - earlier if value >= earlier else value
    return total


def _matching(shown: Exposed, signal: Signal) -> list[tuple[tuple[str, Labels], float]]:
    wanted = set(signal.labels.items())
    return [(key, value) for key, value in shown.samples.items() if key[0] == signal.metric and wanted <= set(key[1])]


def _declares(shown: Exposed, metric: str) -> bool:
    bases = {metric, *(metric.removesuffix(suffix) for suffix in _SUFFIXES)}
    return bool(bases & shown.families) or any(name == metric for name, _ in shown.samples)


def _carries(signal: Signal, service: str) -> bool:
    return not signal.services or not service or service in signal.services


def _start_of(shown: Exposed) -> float | None:
    return next((value for (name, _), value in shown.samples.items() if name == _STARTED), None)


def _key(labels: Mapping[str, str]) -> Labels:
    return tuple(sorted(labels.items()))
