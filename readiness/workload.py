"""A synthetic transaction as a caller would make it: submit, await, check."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from readiness.adapters import load_adapter
from readiness.answers import MEANT, WITHIN_S, Looked, Submitted, look_s, wrong
from readiness.carriers import AdapterCarrier, Carrier, HttpCarrier
from readiness.descriptor import Variant
from readiness.errors import Missing, Undecidable
from readiness.loading import DescriptorFile
from readiness.redaction import Redactor
from readiness.together import at_once
from readiness.waiting import Deadline, NotInTime, Pace, eventually
from readiness.web import Web

TransactionOutcome = Literal["success", "failure", "refused", "error", "pending"]


@dataclass(frozen=True, slots=True)
class Transaction:
    """One synthetic transaction and what became of it."""

    variant: str
    marker: str
    correlation: str | None = None
    id: str | None = None
    accepted: bool = False
    status_code: int | None = None
    outcome: TransactionOutcome = "pending"
    """success; failure (accepted, and ended otherwise or with a wrong result); refused (as its variant allows);
    error (not accepted); pending (accepted, and not ended in its time)."""
    result: Mapping[str, Any] | None = None
    release: str | None = None
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    accepted_at: datetime | None = None
    ended_at: datetime | None = None
    latency_s: float | None = None
    """From the submission to the end, in seconds."""
    error: str = ""
    meant: str = "success"
    """The outcome that its variant is meant to have."""
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What its templates were filled in with."""

    @property
    def as_meant(self) -> bool:
        """Whether it ended as its variant is meant to."""
        return self.outcome == self.meant


class Workload:
    """Sends transactions to one deployment, within its declared rate; threads may share it."""

    def __init__(self, file: DescriptorFile, web: Web, redactor: Redactor, run_id: str) -> None:
        self._spec = file.descriptor.workload
        adapter = load_adapter(file)
        self._carrier: Carrier = HttpCarrier(self._spec, web)
        if adapter is not None:
            self._carrier = AdapterCarrier(adapter, self._spec.adapter or "", redactor)
        self.pace = Pace(self._spec.max_rate_per_s)
        self.max_rate_per_s = self._spec.max_rate_per_s
        self._prefix = f"rd-{hashlib.sha256(run_id.encode()).hexdigest()[:8]}"
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def marker(self) -> str:
        """Make a marker that no other transaction of any run has."""
        with self._lock:
            return f"{self._prefix}-{next(self._numbers)}"

    def submit(
        self,
        variant: str,
        *,
        marker: str | None = None,
        correlation: str | None = None,
        question: str | None = None,
        headers: Mapping[str, str] | None = None,
        release: str | None = None,
        deadline: Deadline,
    ) -> Transaction:
        """Hand a transaction in, at the next turn of the declared rate; its end is `finish`'s to await."""
        spec = self._variant(variant)
        meant = spec.outcome if spec is not None else MEANT.get(variant, "success")
        marker = marker or self.marker()
        given = {"marker": marker, "correlation": correlation or marker, "question": question, "release": release}
        values = {name: value for name, value in given.items() if value is not None}
        if not self.pace.wait(deadline):
            raise Undecidable("the time of the gate was over before all transactions were sent", "a later deadline")
        transaction = Transaction(variant, marker, correlation, meant=meant, values=values)
        began_s = time.monotonic()
        # Where the answer is the result, the time of the transaction is that of this one exchange.
        answers = spec is not None and spec.result is None
        bounded = deadline.within(spec.within.total_seconds()) if spec is not None and answers else deadline
        said = self._carrier.submit(variant, values, self._headers(correlation, headers), bounded)
        elapsed_s, now = time.monotonic() - began_s, datetime.now(UTC)
        if not said.accepted:
            if deadline.expired:
                raise Undecidable("the time of the gate ended while a transaction was sent", "a later deadline")
            outcome: TransactionOutcome = "refused" if said.refused else "error"
            return replace(
                transaction,
                outcome=outcome,
                status_code=said.status_code,
                release=said.release,
                ended_at=now,
                latency_s=elapsed_s,
                error=said.error,
            )
        return self._accepted(transaction, spec, said, now, elapsed_s)

    def finish(self, transaction: Transaction, deadline: Deadline, stop: threading.Event | None = None) -> Transaction:
        """Await the end of an accepted transaction, at most for its variant's `within`; check its result.

        A refused look, or none at all, is no end: the deployment may be restarting. Where the deadline (or `stop`)
        comes before `within`, nothing is known: Undecidable.
        """
        if transaction.outcome != "pending" or not transaction.accepted:
            return transaction
        spec = self._variant(transaction.variant)
        within_s = spec.within.total_seconds() if spec is not None else WITHIN_S
        spent_s = (datetime.now(UTC) - transaction.started_at).total_seconds()
        bounded = deadline.within(max(0.0, within_s - spent_s))
        try:
            looked = eventually(
                lambda: self._carrier.look(
                    transaction.variant, transaction.values, bounded.within(look_s(bounded.left_s))
                ),
                within=bounded,
                until=lambda seen: seen.final or (stop is not None and stop.is_set()),
            )
        except NotInTime as late:
            if deadline.expired and bounded.at_s >= deadline.at_s:
                raise Undecidable(
                    f"the time of the gate ended while the transaction {transaction.marker} still went on",
                    "a later deadline",
                ) from None
            seen = late.last if isinstance(late.last, Looked) else Looked(False)
            error = f"not ended after {within_s:.0f} s" + (f"; last: {seen.error}" if seen.error else "")
            return replace(transaction, result=seen.result, error=error)
        if not looked.final:
            raise Undecidable(f"the transaction {transaction.marker} was not awaited: the run was ended")
        return self._ended(transaction, spec, looked)

    def reread(self, transaction: Transaction, deadline: Deadline) -> Transaction:
        """Look at an ended transaction again: what the deployment says about it now."""
        if not transaction.accepted:
            return transaction
        looked = self._carrier.look(transaction.variant, transaction.values, deadline)
        if not looked.final:
            return replace(transaction, outcome="pending", result=looked.result, error=looked.error or "not ended")
        return self._ended(transaction, self._variant(transaction.variant), looked)

    def can_be_looked_at(self, variant: str) -> bool:
        """Whether transactions of a variant can be asked after: where the answer is the result, they cannot."""
        spec = self._variant(variant)
        return spec is None or spec.result is not None

    def look_again(self, found: Mapping[str, str], deadline: Deadline) -> Transaction:
        """Look at a transaction that somebody else submitted (`variant`, `marker`, `id`): what became of it by now."""
        marker, id = found["marker"], found["id"]
        values = {"marker": marker, "correlation": marker, "id": id}
        submitted = Transaction(found.get("variant", "ok"), marker, id=id, accepted=True, values=values)
        return self.reread(submitted, deadline)

    def transact(self, variant: str, *, deadline: Deadline, **given: Any) -> Transaction:
        """Hand one transaction in and await its end."""
        return self.finish(self.submit(variant, deadline=deadline, **given), deadline)

    def transact_many(self, variant: str, n: int, *, deadline: Deadline, **given: Any) -> list[Transaction]:
        """Do that n times, a few at once, in the order of submission."""
        if n <= 1:
            return [self.transact(variant, deadline=deadline, **given) for _ in range(n)]
        return at_once([lambda: self.transact(variant, deadline=deadline, **given)] * n)

    def served_by(self, n: int, deadline: Deadline) -> Counter[str]:
        """Count the releases that serve n requests; a request that fails counts under the empty name."""

        where = self._spec.version_at
        whole = self._spec.adapter is None and where is not None and where.request is None

        def one() -> str:
            if whole:
                return self.transact("ok", deadline=deadline).release or ""
            if not self.pace.wait(deadline):
                raise Undecidable("the time of the gate was over before all requests were sent", "a later deadline")
            return self._carrier.release_of_one(deadline)

        return Counter(at_once([one] * n))

    def release_of_one(self, deadline: Deadline) -> str:
        """Send one cheap request outside the pace, which is the caller's to keep; the release that served it."""
        return self._carrier.release_of_one(deadline)

    def remember(self, marker: str, deadline: Deadline) -> None:
        """Store something of a user under the marker, and see that it is there."""
        error = self._carrier.remember(marker, deadline)
        if error or self._carrier.recall(marker, deadline) is not True:
            raise Undecidable(
                f"what was stored under {marker} cannot be read back{': ' if error else ''}{error}",
                "workload.remember: {write: …, read: …, forget: …}",
            )

    def recall(self, marker: str, deadline: Deadline) -> bool | None:
        """Whether what was stored under the marker is there; None when that could not be asked."""
        return self._carrier.recall(marker, deadline)

    def forget(self, marker: str, deadline: Deadline) -> str:
        """Remove what was stored under the marker; the error, or no text."""
        return self._carrier.forget(marker, deadline)

    def _variant(self, name: str) -> Variant | None:
        found = getattr(self._spec, name, None)
        if isinstance(found, Variant):
            return found
        if self._spec.adapter is None:
            raise Missing(
                f"the workload has no variant {name!r}", f"workload.{name}: {{submit: {{method: POST, url: …}}, …}}"
            )
        return None

    def _headers(self, correlation: str | None, headers: Mapping[str, str] | None) -> dict[str, str]:
        sent = dict(headers or {})
        if correlation is not None and self._spec.correlation is not None:
            sent[self._spec.correlation.request_header] = correlation
        return sent

    def _accepted(
        self, transaction: Transaction, spec: Variant | None, said: Submitted, now: datetime, elapsed_s: float
    ) -> Transaction:
        values = {**transaction.values, "id": said.id or ""}
        accepted = replace(
            transaction,
            accepted=True,
            accepted_at=now,
            id=said.id,
            status_code=said.status_code,
            release=said.release,
            values=values,
        )
        if said.result is None:
            return accepted
        ended = self._ended(accepted, spec, Looked(True, True, said.result, said.release))
        return replace(ended, latency_s=elapsed_s)

    def _ended(self, transaction: Transaction, spec: Variant | None, looked: Looked) -> Transaction:
        now = datetime.now(UTC)
        lacks = wrong(spec, looked.result, transaction.values) if spec is not None and looked.success else []
        return replace(
            transaction,
            outcome="success" if looked.success and not lacks else "failure",
            result=looked.result,
            release=looked.release or transaction.release,
            ended_at=now,
            latency_s=(now - transaction.started_at).total_seconds(),
            error="; ".join(lacks) or looked.error,
        )
