"""How transactions travel: by HTTP requests of the descriptor, or through the team's own adapter class."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from readiness import answers
from readiness.adapters import WorkloadAdapter
from readiness.answers import Looked, Submitted, text_of
from readiness.descriptor import Request, Variant, WorkloadSpec
from readiness.errors import Missing, Undecidable
from readiness.redaction import Redactor
from readiness.templates import field_of
from readiness.waiting import Deadline
from readiness.web import Answer, Web

_CALL_S = 15.0


class Carrier(Protocol):
    """A way to bring transactions to the deployment; errors of the deployment are data."""

    def submit(
        self, variant: str, values: Mapping[str, str], headers: Mapping[str, str], deadline: Deadline
    ) -> Submitted:
        """Hand a transaction in."""
        ...

    def look(self, variant: str, values: Mapping[str, str], deadline: Deadline) -> Looked:
        """Look at an accepted transaction once."""
        ...

    def remember(self, marker: str, deadline: Deadline) -> str:
        """Store something of a user; the error, or no text."""
        ...

    def recall(self, marker: str, deadline: Deadline) -> bool | None:
        """Whether it is there; None when that could not be asked."""
        ...

    def forget(self, marker: str, deadline: Deadline) -> str:
        """Remove it; the error, or no text."""
        ...

    def release_of_one(self, deadline: Deadline) -> str:
        """Send one cheap request and name the release that served it; no text where it failed or did not tell."""
        ...


class HttpCarrier:
    """Transactions as the HTTP requests of the descriptor's `workload`."""

    def __init__(self, spec: WorkloadSpec, web: Web) -> None:
        self._spec = spec
        self._web = web

    def submit(
        self, variant: str, values: Mapping[str, str], headers: Mapping[str, str], deadline: Deadline
    ) -> Submitted:
        """Send the variant's `submit` request; 2xx is accepted, a status in `refused` is the refusal it may want."""
        spec = self._variant(variant)
        answer = self._web.send(spec.submit, headers=headers, values=values, deadline=deadline)
        said = answers.submitted(variant, spec, answer.status, answer.json, answer.text, answer.error)
        return replace(said, release=self._release(answer, said.result))

    def look(self, variant: str, values: Mapping[str, str], deadline: Deadline) -> Looked:
        """Send the variant's `result` request and hold the answer against `until` and `success`."""
        spec = self._variant(variant)
        if spec.result is None:
            return Looked(False, error=f"workload.{variant} has no result to look at")
        answer = self._web.send(
            Request.model_validate({"url": spec.result.url, "as": spec.submit.as_level}),
            values=values,
            deadline=deadline,
        )
        seen = answers.looked(spec, answer.status, answer.json, answer.text, answer.error)
        return replace(seen, release=self._release(answer, seen.result))

    def remember(self, marker: str, deadline: Deadline) -> str:
        """Send `remember.write`."""
        spec = self._remember()
        return _error(self._web.send(spec.write, values={"marker": marker}, deadline=deadline))

    def recall(self, marker: str, deadline: Deadline) -> bool | None:
        """Send `remember.read`; it is there when the answer carries the marker."""
        answer = self._web.send(self._remember().read, values={"marker": marker}, deadline=deadline)
        if answer.ok:
            return marker in answer.text
        return False if answer.status in {404, 410} else None

    def forget(self, marker: str, deadline: Deadline) -> str:
        """Send `remember.forget`; nothing there is no error."""
        answer = self._web.send(self._remember().forget, values={"marker": marker}, deadline=deadline)
        return "" if answer.status in {404, 410} else _error(answer)

    def release_of_one(self, deadline: Deadline) -> str:
        """Send `version_at.request` and read the release from its answer."""
        where = self._spec.version_at
        if where is None or where.request is None:
            raise Missing(
                "nothing tells which release served a request", "workload.version_at: {response_header: X-Release}"
            )
        answer = self._web.send(where.request, deadline=deadline)
        return (self._release(answer, answer.json) or "") if answer.ok else ""

    def _variant(self, name: str) -> Variant:
        found: Variant | None = getattr(self._spec, name, None)
        if not isinstance(found, Variant):
            raise Missing(
                f"the workload has no variant {name!r}", f"workload.{name}: {{submit: {{method: POST, url: …}}, …}}"
            )
        return found

    def _remember(self) -> Any:
        if self._spec.remember is None:
            raise Missing(
                "nothing is declared that stores something of a user",
                "workload.remember: {write: …, read: …, forget: …}",
            )
        return self._spec.remember

    def _release(self, answer: Answer, result: Any) -> str | None:
        where = self._spec.version_at
        if where is None:
            return None
        found = field_of(result, where.result_field) if where.result_field and result is not None else None
        if found is None and where.response_header:
            found = answer.headers.get(where.response_header.lower())
        return text_of(found)


class AdapterCarrier:
    """Transactions through the team's adapter; what it raises is an error of the transaction."""

    def __init__(self, adapter: WorkloadAdapter, name: str, redactor: Redactor) -> None:
        self._adapter = adapter
        self._name = name
        self._redactor = redactor

    def submit(
        self,
        variant: str,
        values: Mapping[str, str],
        headers: Mapping[str, str],  # noqa: ARG002 - the protocol's; an adapter has no headers
        deadline: Deadline,
    ) -> Submitted:
        """Call the adapter's `submit`; it knows no HTTP headers."""
        given = {key: values.get(key) for key in ("marker", "correlation", "question")}
        said, error = self._call("submit", deadline, variant, **given)
        if isinstance(error, KeyError):
            raise Missing(f"workload.adapter {self._name!r} has no variant {variant!r}", f"{self._name}.submit")
        if error is not None:
            return Submitted(False, error=self._told(error))
        said = said if isinstance(said, Mapping) else {}
        refused = bool(said.get("refused", False))
        accepted = bool(said.get("accepted", not refused))
        id, told = text_of(said.get("id")), str(said.get("error", ""))
        return Submitted(accepted, refused, None, id or values["marker"], text_of(said.get("release")), told)

    def look(self, variant: str, values: Mapping[str, str], deadline: Deadline) -> Looked:
        """Call the adapter's `finish`."""
        said, error = self._call("finish", deadline, variant, values.get("id", ""), marker=values["marker"])
        if error is not None:
            return Looked(False, error=self._told(error))
        if not isinstance(said, Mapping):
            return Looked(False)
        release, told = text_of(said.get("release")), str(said.get("error", ""))
        return Looked(True, bool(said.get("success", not told)), said, release, told)

    def remember(self, marker: str, deadline: Deadline) -> str:
        """Call the adapter's `remember`."""
        _, error = self._call("remember", deadline, marker)
        return "" if error is None else self._told(error)

    def recall(self, marker: str, deadline: Deadline) -> bool | None:
        """Call the adapter's `recall`."""
        said, error = self._call("recall", deadline, marker)
        return None if error is not None else bool(said)

    def forget(self, marker: str, deadline: Deadline) -> str:
        """Call the adapter's `forget`."""
        _, error = self._call("forget", deadline, marker)
        return "" if error is None else self._told(error)

    def release_of_one(self, deadline: Deadline) -> str:
        """Call the adapter's `served_by` for one request."""
        said, error = self._call("served_by", deadline, 1)
        return "" if error is not None or not said else str(said[0])

    def _call(self, method: str, deadline: Deadline, *given: object, **named: object) -> tuple[Any, Exception | None]:
        """Call a method of the adapter within its time, in a thread that a hanging call cannot hold us with."""
        function = getattr(self._adapter, method, None)
        if function is None:
            raise Missing(f"workload.adapter {self._name!r} has no method {method}", f"{self._name}.{method}")
        timeout_s = deadline.within(_CALL_S).left_s
        if timeout_s <= 0:
            raise Undecidable(f"no time was left to call {self._name}.{method}", "a later deadline of the gate")
        return _bounded(lambda: function(*given, **named, timeout_s=timeout_s), timeout_s + 1.0)

    def _told(self, error: Exception) -> str:
        return self._redactor.redact(f"{type(error).__name__}: {error}"[:300])


def _bounded(call: Callable[[], Any], seconds: float) -> tuple[Any, Exception | None]:
    box: list[tuple[Any, Exception | None]] = []

    def run() -> None:
        try:
            box.append((call(), None))
        except Exception as error:  # the adapter is theirs: anything it raises is data
            box.append((None, error))

    thread = threading.Thread(target=run, name="workload adapter", daemon=True)
    thread.start()
    thread.join(seconds)
    return box[0] if box else (None, TimeoutError(f"did not return within {seconds:.0f} s"))


def _error(answer: Answer) -> str:
    return "" if answer.ok else answer.error or f"HTTP {answer.status}: {answer.text[:200]}"
