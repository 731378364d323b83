"""What the gates about logs have in common: known requests on every path, and the records that they cause."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from readiness.deployment import Deployment
from readiness.descriptor import Request, Variant
from readiness.errors import Missing
from readiness.evidence.canaries import made_up_headers, made_up_value
from readiness.evidence.log_clocks import SeenRecord
from readiness.evidence.log_requests import KnownRequest
from readiness.evidence.logs import LogMark, LogRecord
from readiness.templates import named_in
from readiness.waiting import NotInTime, eventually
from readiness.workload import Transaction

_THREADS = 8
_LOOK_S = 0.05
"""Pause between two looks at the logs: what bounds the clock of a component from one side is how soon it is seen."""
_QUIET_S = 0.4
_SETTLE_S = 5.0
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Probe:
    """One transaction with an id of its own, and how it ended."""

    request: KnownRequest
    transaction: Transaction

    def told(self) -> str:
        """Say how it ended."""
        ended = self.transaction
        return f"the {ended.variant} transaction {ended.marker} ended as {ended.outcome} ({ended.error or 'no error'})"


class Window:
    """The log records that are written from now on, and when each was first seen."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._mark = deployment.log_mark()
        self._seen: dict[tuple[str, int, str], datetime] = {}
        self.records: list[LogRecord] = []

    def look(self) -> int:
        """Read what was written so far; the number of records."""
        self.records = self._deployment.logs_since(self._mark)
        now = datetime.now(UTC)
        for record in self.records:
            self._seen.setdefault((record.source, record.line_number, record.text), now)
        return len(self.records)

    def settle(self) -> list[LogRecord]:
        """Read until nothing more comes, and give all."""
        last, since = self.look(), datetime.now(UTC)

        def still() -> bool:
            nonlocal last, since
            if (found := self.look()) != last:
                last, since = found, datetime.now(UTC)
            return (datetime.now(UTC) - since).total_seconds() >= _QUIET_S

        patiently(still, self._deployment, _SETTLE_S)
        return self.records

    def seen(self, probes: Sequence[Probe]) -> list[SeenRecord]:
        """Give the records with when they were seen and when their transaction began."""
        by_id = {probe.request.correlation: probe for probe in probes}
        found = []
        for record in self.records:
            owner = by_id.get(record.correlation or "")
            owner = owner or next((p for p in probes if p.request.named_in(record)), None)
            at = self._seen[record.source, record.line_number, record.text]
            found.append(SeenRecord(record, at, None if owner is None else owner.transaction.started_at))
        return found


def declared_variants(deployment: Deployment, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the wanted variants into those that can be sent and those that nothing declares."""
    workload = deployment.descriptor.workload
    there = [name for name in wanted if getattr(workload, name) is not None or workload.adapter is not None]
    return there, [name for name in wanted if name not in there]


def send(
    deployment: Deployment, variants: Sequence[str], window: Window | None = None, marker: str | None = None
) -> list[Probe]:
    """Send the variants at once, each with an id of its own, and watch the logs while they go on.

    A variant that an adapter turns out not to have is left out.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        under_way = [threads.submit(_probe, deployment, variant, marker) for variant in variants]
        if window is not None:
            patiently(lambda: (all(map(Future.done, under_way)), window.look())[0], deployment, None, _LOOK_S)
        ended = [probe.result() for probe in under_way]
    return [probe for probe in ended if probe is not None]


def patiently(
    check: Callable[[], object], deployment: Deployment, within_s: float | None, every_s: float = 0.1
) -> bool:
    """Whether the check came true in its time; the deadline of the gate ends the wait too."""
    deadline = deployment.deadline if within_s is None else deployment.deadline.within(within_s)
    try:
        eventually(check, within=deadline, every_s=every_s)
    except NotInTime:
        return False
    return True


def everything_logged(deployment: Deployment) -> list[LogRecord]:
    """Give all that the logs hold, also from before this run."""
    return deployment.logs_since(LogMark(datetime.fromtimestamp(0, UTC), {}))


def _probe(deployment: Deployment, variant: str, marker: str | None) -> Probe | None:
    correlation, trace = str(uuid.uuid4()), secrets.token_hex(16)
    # W3C Trace Context: version, trace id, parent id, flags (sampled)
    headers = {"traceparent": f"00-{trace}-{secrets.token_hex(8)}-01"}
    try:
        (ended,) = deployment.transact(variant, correlation=correlation, headers=headers, marker=marker)
    except Missing:
        if deployment.descriptor.workload.adapter is None:
            raise
        return None
    spec = getattr(deployment.descriptor.workload, variant)
    marks = tuple(mark for mark in (ended.marker, ended.id, trace) if mark)
    return Probe(KnownRequest(variant, correlation, marks, tuple(spec.hops) if spec is not None else ()), ended)


def provoke_refusals(deployment: Deployment) -> str:
    """Send requests that must be refused: a made-up credential, a body of the wrong shape, a path that is not there.

    The made-up credential, which nothing may ever log, is given back; no text where an adapter carries the workload.
    """
    workload = deployment.descriptor.workload
    spec = workload.ok or workload.invalid
    if spec is None or workload.adapter is not None:
        return ""
    value, marker = made_up_value(), f"rd-{secrets.token_hex(4)}"
    front = next((name for name in named_in(spec.submit.url) if name in deployment.descriptor.services), None)
    stranger = made_up_headers(deployment.descriptor.auth.get(front or ""), value)
    deployment.http(spec.submit, level="", headers=dict(stranger), marker=marker)
    bodies: tuple[object, ...] = ("{marker}", {})
    for body in bodies:
        deployment.http(spec.submit.model_copy(update={"json_body": body}), marker=marker)
    if front is not None:
        deployment.http(Request(url=f"{{{front}}}/{marker}"), marker=marker)
    return value


def takes_text(spec: Variant | None) -> bool:
    """Whether a transaction carries its marker as text of its body and nowhere else, so that it may be any text."""
    if spec is None:
        return False
    elsewhere = [spec.submit.url, *spec.submit.headers.values(), spec.result.url if spec.result is not None else ""]
    return "{marker}" in json.dumps(spec.submit.json_body) and not any("{marker}" in text for text in elsewhere)


def hops_of(probes: Iterable[Probe]) -> set[str]:
    """Name the components that the probes pass."""
    return {hop for probe in probes for hop in probe.request.hops}


def records_or_unknown(deployment: Deployment, records: Sequence[LogRecord], parsed: Sequence[object]) -> None:
    """End the gate as UNKNOWN where nothing was logged, or nothing that is a record."""
    if not records:
        deployment.undecidable("nothing was logged while transactions ran", "evidence.logs.files: globs for all hops")
    if not parsed:
        deployment.undecidable(f"none of {len(records)} lines is a JSON record", "evidence.logs.files: JSON lines")


def all_hops_or_unknown(deployment: Deployment, probes: Sequence[Probe], records: Sequence[LogRecord]) -> None:
    """End the gate as UNKNOWN where a component that did work is not seen in the logs."""
    if deployment.descriptor.log_fields.component is None:
        return
    if silent := sorted(hops_of(probes) - {record.component for record in records if record.component}):
        deployment.undecidable(f"no record of {', '.join(silent)} was seen", "evidence.logs.files: globs for all hops")


def some(lines: Sequence[str]) -> str:
    """Give the first few lines, and how many more there are."""
    more = f" (and {len(lines) - _SHOWN} more)" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more
