"""Synthetic work in the background of a drill, and what became of it."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

from readiness.errors import ReadinessError, Undecidable
from readiness.history import History
from readiness.records import instant
from readiness.waiting import Deadline, Pace
from readiness.workload import Transaction, Workload

_MAX_THREADS = 12
"""Most transactions in flight: a deployment that is slow is not made slower by those who wait for it."""
_MAX_SENT = 20_000


@dataclass(frozen=True, slots=True)
class TrafficSummary:
    """Counts of a stretch of traffic; latencies in milliseconds, None where nothing succeeded."""

    sent: int
    accepted: int
    succeeded: int
    failed: int
    """Accepted, and ended otherwise than meant or with a wrong result."""
    refused: int
    errors: int
    """Not accepted: the caller was told, or could not connect."""
    pending: int
    """Accepted, and not ended in the time of its variant: lost as far as a caller can tell."""
    p50_ms: float | None
    p95_ms: float | None
    releases: tuple[str, ...] = ()


class Traffic:
    """Transactions of one variant at a bounded rate, in threads; a context manager.

    Its end stops sending and awaits all that were accepted, so that each has an outcome. `questions` are asked in turn
    where the variant asks one.
    """

    def __init__(
        self,
        workload: Workload,
        variant: str,
        rate_per_s: float,
        deadline: Deadline,
        history: History,
        gate: str,
        questions: Sequence[str] = (),
    ) -> None:
        self._workload = workload
        self._questions = itertools.cycle(questions) if questions else itertools.repeat(None)
        self._variant = variant
        self._rate_per_s = min(rate_per_s, workload.max_rate_per_s)
        self._deadline = deadline
        self._history = history
        self._gate = gate
        self._stop = threading.Event()
        self._abandoned = threading.Event()
        self._sent: list[Future[Transaction]] = []
        self._threads = ThreadPoolExecutor(_MAX_THREADS, thread_name_prefix="traffic")
        self._pacing = threading.Thread(target=self._send, name="traffic", daemon=True)

    def __enter__(self) -> Traffic:
        self._pacing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception) or error is None:
            self.finish()
            if error is None:
                self._raise_ours()
        else:  # interrupted: send nothing more, await nothing
            self._stop.set()
            self._abandoned.set()
            self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def transactions(self) -> list[Transaction]:
        """All transactions that have an outcome by now, in the order of submission."""
        ended = [future for future in list(self._sent) if future.done() and not future.cancelled()]
        return [future.result() for future in ended if future.exception() is None]

    def finish(self) -> list[Transaction]:
        """Stop sending (what waits for its turn is not sent), await what was accepted, and give all that were sent."""
        if not self._stop.is_set():
            self._stop.set()
            self._pacing.join()
            self._threads.shutdown(wait=True, cancel_futures=True)
            for second in by_second(self.transactions):
                self._history.append("traffic", gate=self._gate, **second)
        return self.transactions

    def summary(self, transactions: Sequence[Transaction] | None = None) -> TrafficSummary:
        """Count the transactions (all so far, unless given)."""
        seen = self.transactions if transactions is None else list(transactions)
        good = [transaction for transaction in seen if transaction.as_meant]
        latencies_ms = sorted(transaction.latency_s * 1000 for transaction in good if transaction.latency_s is not None)
        outcomes = [transaction.outcome for transaction in seen]
        return TrafficSummary(
            sent=len(seen),
            accepted=sum(transaction.accepted for transaction in seen),
            succeeded=len(good),
            failed=sum(
                not transaction.as_meant and transaction.outcome in {"success", "failure"} for transaction in seen
            ),
            refused=outcomes.count("refused"),
            errors=outcomes.count("error"),
            pending=outcomes.count("pending"),
            p50_ms=_quantile(latencies_ms, 50),
            p95_ms=_quantile(latencies_ms, 95),
            releases=tuple(sorted({transaction.release for transaction in seen if transaction.release})),
        )

    def _send(self) -> None:
        pace = Pace(self._rate_per_s)
        while len(self._sent) < _MAX_SENT and pace.wait(self._deadline, self._stop):
            self._sent.append(self._threads.submit(self._one, next(self._questions)))

    def _one(self, question: str | None) -> Transaction:
        marker = self._workload.marker()
        submitted = self._workload.submit(
            self._variant, marker=marker, correlation=marker, question=question, deadline=self._deadline
        )
        return self._workload.finish(submitted, self._deadline, self._abandoned)

    def _raise_ours(self) -> None:
        """What kept a transaction from being judged makes the gate UNKNOWN, not green."""
        for future in self._sent:
            problem = None if future.cancelled() else future.exception()
            if isinstance(problem, ReadinessError):
                raise problem
            if problem is not None:
                raise Undecidable(f"a transaction could not be judged: {type(problem).__name__}: {problem}")


def by_second(transactions: Sequence[Transaction]) -> list[dict[str, object]]:
    """Count the transactions by the second of their submission; latencies in milliseconds, of those as meant."""
    seconds: dict[str, list[Transaction]] = defaultdict(list)
    for transaction in transactions:
        seconds[instant(transaction.started_at.replace(microsecond=0))].append(transaction)
    rows: list[dict[str, object]] = []
    for second, sent in sorted(seconds.items()):
        good = [transaction for transaction in sent if transaction.as_meant]
        latencies_ms = sorted(transaction.latency_s * 1000 for transaction in good if transaction.latency_s is not None)
        rows.append(
            {
                "second": second,
                "sent": len(sent),
                "ok": len(good),
                "failed": len(sent) - len(good),
                "p50_ms": _quantile(latencies_ms, 50),
                "p95_ms": _quantile(latencies_ms, 95),
            }
        )
    return rows


def _quantile(ordered: Sequence[float], percent: int) -> float | None:
    """The nearest-rank percentile: the smallest value that at least `percent` of all do not exceed."""
    if not ordered:
        return None
    return round(ordered[max(0, -(-len(ordered) * percent // 100) - 1)], 1)
