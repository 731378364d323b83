"""Probes for the hypotheses of Chaos Toolkit experiments: each gives True or False in bounded time.

Each gives False where the deployment is down. What the descriptor lacks makes the activity fail, with the line that
would give it.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable

from readiness.answers import text_of
from readiness.chaos.acting import Acting
from readiness.chaos.field import HTTP_FAULTS, Stream
from readiness.chaos.holding import in_one_line, this_process
from readiness.chaos.servers import servers_of
from readiness.descriptor import Golden, Meaning
from readiness.errors import Missing, Undecidable
from readiness.evidence.metrics import Snapshot
from readiness.httpfaults.client import HttpFaultsDoer
from readiness.templates import field_of
from readiness.together import at_once
from readiness.waiting import Deadline, NotInTime, eventually
from readiness.workload import Transaction

__all__ = ["answers_rightly", "requests_per_transaction", "services_ready", "work_ends", "work_ends_or_is_refused"]

_SUBMITTED = "workflows_submitted_total"
_METRICS_S = 5.0


def work_ends(variant: str = "ok", n: int = 3, within_s: float = 15.0, share: float = 1.0) -> bool:
    """Whether at least that share of n new transactions end as they are meant to, in that time."""
    return _asked(lambda acting: _share(_sent(acting, variant, n, within_s), lambda one: one.as_meant) >= share)


def work_ends_or_is_refused(variant: str = "ok", n: int = 3, within_s: float = 15.0, share: float = 1.0) -> bool:
    """Whether at least that share of n new transactions come to some end: done, reported as failed, or refused.

    A refusal is an answer with a status; a connection that cannot be had is none.
    """

    def known(one: Transaction) -> bool:
        told = not one.accepted and one.status_code is not None
        return told or one.outcome in {"success", "failure"}

    return _asked(lambda acting: _share(_sent(acting, variant, n, within_s), known) >= share)


def services_ready(part: str = "", within_s: float = 10.0) -> bool:
    """Whether every service (of that part of the system) has its declared replicas, all ready, within that time."""

    def look(acting: Acting) -> bool:
        services = acting.field.services(part) if part else list(acting.file.descriptor.services)
        deadline = Deadline.after(0.0 if acting.orders.down else within_s)
        try:
            return eventually(
                lambda: all(acting.reach.all_ready(name, deadline) for name in services), within=deadline, every_s=0.2
            )
        except NotInTime:
            return False

    return _asked(look)


def answers_rightly(share: float = 1.0, within_s: float = 15.0) -> bool:
    """Whether at least that share of the descriptor's golden questions are answered rightly."""

    def look(acting: Acting) -> bool:
        known = [one for one in acting.file.descriptor.golden if one.expect not in one.question]
        if not known:
            raise Missing("no question with its answer is declared", "golden: [{question: …, expect: …}]")
        right = at_once([lambda one=one: _is_right(acting, one, within_s) for one in known])  # type: ignore[misc]
        return sum(right) >= share * len(known)

    return _asked(look)


def requests_per_transaction(
    at_most: float,
    message: Meaning = "ask",
    link: dict[str, str] | str | None = None,
    variant: str = "ok",
    n: int = 3,
    within_s: float = 15.0,
) -> bool:
    """Whether n transactions end well with at most so many requests of that meaning for each, whoever repeats them.

    The requests are counted by the fault proxies of HTTP on the link. Where a signal counts submitted transactions
    (`workflows_submitted_total`), those of others are taken into account.
    """

    def look(acting: Acting) -> bool:
        ends = (link["from"], link["to"]) if isinstance(link, dict) else ("", "")
        stream = acting.field.stream(message, link if isinstance(link, str) else "", *ends)
        http = servers_of(acting.file.descriptor)[0][HTTP_FAULTS]
        assert isinstance(http, HttpFaultsDoer)
        before, submitted = _requests(http, stream), _counted(acting)
        done = _sent(acting, variant, n, within_s)
        if not all(one.as_meant for one in done):
            return False
        requests = _requests(http, stream) - before
        return 0 < requests <= at_most * max(float(n), _increase(acting, submitted))

    return _asked(look)


def _asked(look: Callable[[Acting], bool]) -> bool:
    """Look through this process's hold on the deployment; what cannot be reached or does not end in time is False."""
    with in_one_line():
        acting = this_process()
        acting.may_probe()
        try:
            return bool(look(acting))
        except Missing:
            raise
        except Undecidable:
            return False


def _sent(acting: Acting, variant: str, n: int, within_s: float) -> list[Transaction]:
    return acting.reach.workload.transact_many(variant, n, deadline=Deadline.after(within_s))


def _share(done: list[Transaction], good: Callable[[Transaction], bool]) -> float:
    return sum(map(good, done)) / len(done) if done else 0.0


def _is_right(acting: Acting, known: Golden, within_s: float) -> bool:
    deadline = Deadline.after(within_s)
    try:
        answered = acting.reach.workload.transact("ask", question=known.question, deadline=deadline)
    except Missing:
        raise
    except Undecidable:
        return False
    spec = acting.file.descriptor.workload.ask
    found = field_of(answered.result, (spec.answer if spec is not None else None) or "answer")
    return known.expect.casefold() in str(text_of(found)).casefold()


def _requests(http: HttpFaultsDoer, stream: Stream) -> int:
    """How many requests of that stream passed its proxies since they are there."""
    return sum(
        count
        for name, traffic in http.traffic().items()
        if any(fnmatch.fnmatchcase(name, glob) for glob in stream.proxies)
        for request, count in traffic.by_path.items()
        if fnmatch.fnmatchcase(request, f"{stream.method} {stream.path}")
    )


def _counted(acting: Acting) -> Snapshot | None:
    """The metrics now; None where they cannot be read, or do not count transactions."""
    if _SUBMITTED not in acting.file.descriptor.signals:
        return None
    try:
        return acting.reach.metrics.read(Deadline.after(_METRICS_S))
    except Undecidable:
        return None


def _increase(acting: Acting, before: Snapshot | None) -> float:
    after = _counted(acting) if before is not None else None
    if before is None or after is None:
        return 0.0
    try:
        return after.increase(before, acting.file.descriptor.signals[_SUBMITTED])
    except Undecidable:
        return 0.0
