"""One synthetic transaction under load: submit, poll until final, judge; as cheap as a request can be made."""

from __future__ import annotations

import json
import random
import secrets
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote, urlsplit

import gevent
from gevent.threadpool import ThreadPool

from readiness.adapters import load_adapter
from readiness.answers import MEANT, WITHIN_S, look_s, looked, submitted, wrong
from readiness.carriers import AdapterCarrier
from readiness.credentials import Credentials
from readiness.descriptor import Request, Variant
from readiness.errors import UsageError
from readiness.load.child.compiling import Compiled, Compiler, Markers, raw_request
from readiness.load.child.sending import NO_ANSWER, NO_CONNECTION, Origin, Reply
from readiness.load.samples import Outcome
from readiness.loading import DescriptorFile
from readiness.redaction import Redactor
from readiness.waiting import Deadline

POLL_S, POLL_GROWTH, POLL_MAX_S = 0.02, 1.4, 0.25
"""The first pause before a result is looked for, its growth and its bound: a latency is known to within one pause."""
THREADS = 256
"""Adapter calls at a time."""

Heard = Callable[[str, float, int, str], None]
"""Called after each exchange of a transaction that has several: name, duration in seconds, answer's length, error."""


class End(NamedTuple):
    """How one transaction ended."""

    outcome: Outcome
    status: int = 0
    kind: str = ""
    at_s: float = 0.0
    """When the answer was there that told it, on the monotonic clock; 0: just now."""


class Flight:
    """A transaction on its way."""

    __slots__ = ("id", "intended_s", "marker", "stage", "started_s")

    def __init__(self, marker: str, intended_s: float, started_s: float, stage: int) -> None:
        self.marker = marker
        self.intended_s = intended_s
        self.started_s = started_s
        self.stage = stage
        self.id = ""
        """What the deployment calls it, once it has accepted it."""


class Transactor(Protocol):
    """Sends one transaction of a variant and waits for its end."""

    def marker(self, number: int) -> str:
        """Make the marker of the n-th transaction of this process; no other transaction of any run has it."""
        ...

    def transact(self, flight: Flight, heard: Heard) -> End:
        """Send it and see to its end; errors of the deployment are data."""
        ...


class HttpTransactor:
    """Transactions as the HTTP requests of a variant, compiled to bytes."""

    def __init__(self, name: str, spec: Variant, compiler: Compiler) -> None:
        self.marker = compiler.markers
        self._spec = spec
        self._name = name
        self._submit_name, self._result_name = f"submit {name}", f"result {name}"
        self._submit = compiler.compile(spec.submit, f"workload.{name}.submit")
        self._result: Compiled | None = None
        if spec.result is not None:
            where = Request.model_validate({"url": spec.result.url, "as": spec.submit.as_level})
            self._result = compiler.compile(where, f"workload.{name}.result")
        self._within_s = spec.within.total_seconds()
        self._reads = bool(spec.result or spec.expect or spec.once)
        self._meant_refused = spec.outcome == "refused"
        self._random = random.Random(secrets.randbits(64))

    def transact(self, flight: Flight, heard: Heard) -> End:
        """Submit; poll until it is final or `within` is over; hold the result against what the variant promises."""
        until_s = time.monotonic() + self._within_s
        values = {b"marker": flight.marker.encode(), b"trace": self._trace()}
        reply = self._exchange(self._submit, values, self._within_s, self._submit_name, heard)
        if not reply.ok:
            return self._unaccepted(reply)
        if not self._reads:
            return End(Outcome.OK, reply.status, "", reply.at_s)
        body = _json(reply.body)
        said = submitted(self._name, self._spec, reply.status, body, "")
        if not said.accepted:
            return End(Outcome.ERROR, reply.status, said.error, reply.at_s)
        filled = {"marker": flight.marker, "correlation": flight.marker, "id": said.id or ""}
        if self._result is None:
            return self._judged(said.result, filled, reply)
        flight.id = said.id or ""
        values[b"id"] = quote(flight.id, safe="").encode()
        return self._followed(self._result, values, filled, until_s, heard)

    def _followed(
        self, where: Compiled, values: dict[bytes, bytes], filled: Mapping[str, str], until_s: float, heard: Heard
    ) -> End:
        pause_s, status = POLL_S, 0
        while (left_s := until_s - time.monotonic()) > 0:
            gevent.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * POLL_GROWTH, POLL_MAX_S)
            values[b"trace"] = self._trace()
            reply = self._exchange(where, values, look_s(max(0.0, left_s - pause_s)), self._result_name, heard)
            status = reply.status
            seen = looked(self._spec, status or None, _json(reply.body), "", reply.error)
            if seen.final and seen.success:
                return self._judged(seen.result, filled, reply)
            if seen.final:
                told = _shortened(seen.error or "ended without success", filled)
                return End(Outcome.FAILURE, status, told, reply.at_s)
        return End(Outcome.LATE, status, f"not ended after {self._within_s:g} s")

    def _judged(self, result: Mapping[str, Any] | None, filled: Mapping[str, str], reply: Reply) -> End:
        lacks = wrong(self._spec, result, filled)
        if lacks:
            return End(Outcome.FAILURE, reply.status, _shortened(lacks[0], filled), reply.at_s)
        return End(Outcome.OK, reply.status, "", reply.at_s)

    def _unaccepted(self, reply: Reply) -> End:
        status = reply.status
        if reply.error:
            return End(_outcome_without(reply.error), status, reply.error)
        if _shed(reply):
            return End(Outcome.SHED, status, f"HTTP {status}", reply.at_s)
        if self._meant_refused and status in self._spec.refused:
            return End(Outcome.REFUSED, status, "", reply.at_s)
        return End(Outcome.ERROR, status, f"HTTP {status}", reply.at_s)

    def _exchange(
        self, request: Compiled, values: dict[bytes, bytes], timeout_s: float, name: str, heard: Heard
    ) -> Reply:
        began_s = time.monotonic()
        reply = request.origin.exchange(request.method, request.template.fill(values), timeout_s)
        if self._result is None:  # the transaction is this exchange: telling both would cost as much as sending it
            return reply
        error = reply.error or ("" if reply.ok else f"HTTP {reply.status}")
        heard(name, (reply.at_s or time.monotonic()) - began_s, len(reply.body), error)
        return reply

    def _trace(self) -> bytes:
        bits = self._random.getrandbits
        return b"%032x-%016x" % (bits(128) | 1, bits(64) | 1)  # W3C forbids ids of zeros


class HostTransactor:
    """GET / of a host, where nothing describes what a transaction is."""

    def __init__(self, host: str, keep_alive: bool) -> None:
        self.marker = Markers()
        parts = urlsplit(host)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"--host {host!r} is no address; write http://NAME:PORT or https://NAME")
        url = host if parts.path else f"{host}/"
        self._origin = Origin(url, None, keep_alive)
        self._request = raw_request("GET", url, {}, b"", keep_alive)

    def transact(self, flight: Flight, heard: Heard) -> End:  # noqa: ARG002 - the protocol's
        """Send the request; 2xx and 3xx are what was asked for."""
        reply = self._origin.exchange("GET", self._request, WITHIN_S)
        if reply.error:
            return End(_outcome_without(reply.error), reply.status, reply.error)
        if 200 <= reply.status < 400:
            return End(Outcome.OK, reply.status, "", reply.at_s)
        return End(Outcome.SHED if _shed(reply) else Outcome.ERROR, reply.status, f"HTTP {reply.status}", reply.at_s)


class AdapterTransactor:
    """Transactions through the team's own adapter, each call in a real thread beside Locust's loop."""

    def __init__(self, variant: str, spec: Variant | None, carrier: AdapterCarrier) -> None:
        self.marker = Markers()
        self._variant = variant
        self._carrier = carrier
        self._spec = spec
        self._threads = ThreadPool(THREADS)
        self._within_s = spec.within.total_seconds() if spec is not None else WITHIN_S
        self._meant = spec.outcome if spec is not None else MEANT.get(variant, "success")

    def transact(self, flight: Flight, heard: Heard) -> End:
        """Call `submit`, then `finish` until it says how it ended."""
        until = Deadline.after(self._within_s)
        values = {"marker": flight.marker, "correlation": flight.marker}
        said = self._called("submit", heard, lambda: self._carrier.submit(self._variant, values, {}, until))
        if not said.accepted:
            if said.refused and self._meant == "refused":
                return End(Outcome.REFUSED)
            ended = Outcome.LATE if until.expired else Outcome.ERROR
            return End(ended, 0, _shortened(said.error or "not accepted", values))
        flight.id = said.id or ""
        values["id"] = flight.id
        pause_s = POLL_S
        while not until.expired:
            gevent.sleep(min(pause_s, until.left_s))
            pause_s = min(pause_s * POLL_GROWTH, POLL_MAX_S)
            bounded = until.within(look_s(until.left_s))
            if bounded.left_s <= 0:
                break
            seen = self._called("result", heard, partial(self._carrier.look, self._variant, values, bounded))
            if seen.final:
                lacks = wrong(self._spec, seen.result, values) if self._spec is not None and seen.success else []
                good = seen.success and not lacks
                told = lacks[0] if lacks else seen.error or "ended without success"
                return End(Outcome.OK) if good else End(Outcome.FAILURE, 0, _shortened(told, values))
        return End(Outcome.LATE, 0, f"not ended after {self._within_s:g} s")

    def _called(self, step: str, heard: Heard, call: Callable[[], Any]) -> Any:
        began_s = time.monotonic()
        said = self._threads.apply(call)
        heard(f"{step} {self._variant}", time.monotonic() - began_s, 0, said.error)
        return said


def transactor(
    file: DescriptorFile | None, host: str, variant: str, keep_alive: bool, redactor: Redactor
) -> Transactor:
    """Make what sends a variant of a descriptor, or GET / of a host; what cannot be is a UsageError."""
    if file is None:
        return HostTransactor(host, keep_alive)
    spec = getattr(file.descriptor.workload, variant, None)
    spec = spec if isinstance(spec, Variant) else None
    adapter = load_adapter(file)
    if adapter is not None:
        return AdapterTransactor(
            variant, spec, AdapterCarrier(adapter, file.descriptor.workload.adapter or "", redactor)
        )
    if spec is None:
        workload = file.descriptor.workload
        known = [name for name in type(workload).model_fields if isinstance(getattr(workload, name), Variant)]
        raise UsageError(f"{file.path}: workload.{variant} is not declared; declared: {', '.join(known) or 'none'}")
    return HttpTransactor(variant, spec, Compiler(file, Credentials.load(file, redactor), keep_alive))


def _shed(reply: Reply) -> bool:
    """Whether a request was refused because of load (RFC 6585, 4; RFC 9110, 15.6.4)."""
    return not reply.error and (reply.status == 429 or (reply.status == 503 and reply.wait_asked))


def _outcome_without(error: str) -> Outcome:
    """What a request without an answer is: one that was waited for in vain took at least so long."""
    return Outcome.LATE if error in (NO_ANSWER, NO_CONNECTION) else Outcome.ERROR


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _shortened(text: str, values: Mapping[str, str]) -> str:
    """One line without what only this transaction has, so that equal errors count as one kind."""
    for name in ("marker", "id"):
        if value := values.get(name):
            text = text.replace(value, f"{{{name}}}")
    return " ".join(text.split())[:200]
