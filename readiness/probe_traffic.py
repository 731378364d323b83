"""Cheap requests at a constant rate through a drill, over kept and over fresh connections, and how each ended."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType

from readiness.answers import text_of
from readiness.descriptor import Descriptor, Request
from readiness.errors import Missing, ReadinessError
from readiness.reach import Reach
from readiness.templates import field_of, named_in
from readiness.waiting import Deadline, Pace
from readiness.web import EXCHANGE_S, READING

THREADS = 8
"""Half of them keep their connection, the others open one for each request: a drain can break either alone."""
MOST_SENT = 50_000


@dataclass(frozen=True, slots=True)
class ProbeOutcome:
    """One request and how it ended."""

    at: datetime
    kept: bool
    """Whether it was sent over a connection that is kept from request to request."""
    latency_s: float
    release: str | None = None
    """The release that says it served it; None where it did not say."""
    error: str = ""
    """Why it failed; no text where it did not."""


Send = Callable[[bool, Deadline], ProbeOutcome]


class ProbeTraffic:
    """Sends requests at a bounded rate in a few threads; a context manager whose end stops them."""

    def __init__(self, send: Send, paces: Sequence[Pace], deadline: Deadline) -> None:
        self._send, self._paces = send, paces
        # each exchange has its whole time before the gate's is over: what we cut off ourselves is no failure of theirs
        self._deadline = Deadline(deadline.at_s - EXCHANGE_S)
        self._stop = threading.Event()
        self._outcomes: list[ProbeOutcome] = []
        self._problem: ReadinessError | None = None
        self._threads = [
            threading.Thread(target=self._run, args=(number % 2 == 0,), name=f"probe-{number}", daemon=True)
            for number in range(THREADS)
        ]

    def __enter__(self) -> ProbeTraffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if error is None or isinstance(error, Exception):
            for thread in self._threads:
                thread.join()

    @property
    def outcomes(self) -> list[ProbeOutcome]:
        """All requests that have ended by now; raises what kept a request from being sent at all."""
        if self._problem is not None:
            raise self._problem
        return list(self._outcomes)

    def finish(self) -> list[ProbeOutcome]:
        """Stop sending, await what is under way, and give all in the order of their beginning."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        return sorted(self.outcomes, key=lambda one: one.at)

    def _run(self, kept: bool) -> None:
        while len(self._outcomes) < MOST_SENT and all(pace.wait(self._deadline, self._stop) for pace in self._paces):
            try:
                self._outcomes.append(self._send(kept, self._deadline.within(EXCHANGE_S)))
            except ReadinessError as problem:
                self._problem = problem
                return


def sender(reach: Reach) -> Send:
    """Give what sends one probe: a reading request of the descriptor, or the adapter's `served_by`."""
    request = probe_request(reach.file.descriptor)
    if request is None:
        return lambda kept, deadline: _by_adapter(reach, kept, deadline)
    chosen = request
    return lambda kept, deadline: _by_request(reach, chosen, kept, deadline)


def probe_request(descriptor: Descriptor) -> Request | None:
    """Give `workload.version_at.request` where it reads, else the entrance's `live` or `ready`; None for an adapter."""
    where = descriptor.workload.version_at
    if where is not None and where.request is not None and where.request.method.upper() in READING:
        return where.request
    if descriptor.workload.adapter is not None:
        return None
    ok = descriptor.workload.ok
    named = named_in(ok.submit.url) if ok is not None else []
    entrance = next((name for name in named if name in descriptor.services), None)
    spec = descriptor.services[entrance] if entrance is not None else None
    path = (spec.live or spec.ready) if spec is not None else None
    if path is None or "://" in path:
        raise Missing(
            "there is no cheap request that goes the way of every other",
            "workload.version_at: {request: {method: GET, url: …}, response_header: <header that tells the release>}",
        )
    return Request(url=f"{{{entrance}}}{path}")


def _by_request(reach: Reach, request: Request, kept: bool, deadline: Deadline) -> ProbeOutcome:
    at, where = datetime.now(UTC), reach.file.descriptor.workload.version_at
    answer = reach.web.send(request, deadline=deadline, kept=kept)
    found = answer.headers.get(where.response_header.lower()) if where is not None and where.response_header else None
    if found is None and where is not None and where.result_field:
        found = text_of(field_of(answer.json, where.result_field))
    error = "" if answer.ok else answer.error or f"HTTP {answer.status}: {answer.text[:100]}"
    return ProbeOutcome(at, kept, answer.elapsed_s, found, error)


def _by_adapter(reach: Reach, kept: bool, deadline: Deadline) -> ProbeOutcome:
    at, began_s = datetime.now(UTC), time.monotonic()
    release = reach.workload.release_of_one(deadline)
    error = "" if release else "the adapter's served_by gave no release"
    return ProbeOutcome(at, kept, time.monotonic() - began_s, release or None, error)
