"""Transactions as a history: what the workload saw of a deployment, for invariants that know no deployment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from readiness.answers import WITHIN_S, looked
from readiness.chaos.histories import Event, Kind
from readiness.descriptor import Descriptor, Variant
from readiness.descriptor.chaos import Accounts
from readiness.templates import field_of, fill
from readiness.workload import Transaction


def history_of(transactions: Iterable[Transaction], descriptor: Descriptor) -> list[Event]:
    """The history of some transactions, each under its marker.

    What they came to is read from their results by `workload.accounts`; a field inside a list (`tasks.attempts`) is
    summed. An answer is expected to contain what the variant's `expect` says of the field `accounts.answer`, and what
    the right answer to a known question contains.
    """
    return [event for one in transactions for event in _events(one, descriptor)]


def read_again(transactions: Iterable[Transaction], descriptor: Descriptor) -> list[Event]:
    """What the deployment says about transactions when it is asked once more, after everything."""
    events = []
    for one in transactions:
        spec = getattr(descriptor.workload, one.variant, None)
        if one.accepted and one.outcome != "pending":
            looked_at = _looked(one, spec if isinstance(spec, Variant) else None, descriptor.workload.accounts)
            events.append(replace(looked_at, kind=Kind.READ))
    return events


def accounted(result: Any, path: str | None) -> float | None:
    """The number at a dotted path of a result, summed over every list on its way; None where there is none."""
    found = [] if path is None else list(_numbers(result, path.split(".")))
    return sum(found) if found else None


def _numbers(data: Any, path: list[str]) -> Iterator[float]:
    if isinstance(data, list):
        for item in data:
            yield from _numbers(item, path)
    elif path:
        if isinstance(data, dict) and path[0] in data:
            yield from _numbers(data[path[0]], path[1:])
    elif isinstance(data, int | float):
        yield data


def _events(one: Transaction, descriptor: Descriptor) -> Iterator[Event]:
    spec = getattr(descriptor.workload, one.variant, None)
    variant = spec if isinstance(spec, Variant) else None
    ended_at = one.ended_at or one.started_at
    known = {golden.question: golden.expect for golden in descriptor.golden}.get(one.values.get("question", ""))
    yield _handed_in(one, variant, descriptor, known)
    if one.outcome in ("refused", "error"):
        yield Event(one.marker, Kind.REFUSED if one.outcome == "refused" else Kind.ERROR, ended_at)
    elif one.accepted:
        yield Event(one.marker, Kind.ACCEPTED, one.accepted_at or one.started_at)
        yield _looked(one, variant, descriptor.workload.accounts)


def _handed_in(one: Transaction, variant: Variant | None, descriptor: Descriptor, known: str | None) -> Event:
    accounts, header = descriptor.workload.accounts, descriptor.workload.correlation
    template = variant.expect.get(accounts.answer) if variant and accounts.answer else None
    once = variant.once.get(accounts.effects, 1) if variant and accounts.effects else 1
    return Event(
        one.marker,
        Kind.HANDED_IN,
        one.started_at,
        within_s=variant.within.total_seconds() if variant else WITHIN_S,
        marker=one.marker if template is not None and "{marker}" in template else None,
        expected=(*(() if template is None else (fill(template, one.values),)), *((known,) if known else ())),
        effects_meant=once,
        # Without a header for it no id was handed in, whatever the transaction was meant to carry.
        correlation=one.correlation if header else None,
    )


def _looked(one: Transaction, variant: Variant | None, accounts: Accounts) -> Event:
    """The last look at an accepted transaction: its end, or that it had not ended in its time."""
    result = one.result
    effects = accounted(result, accounts.effects)
    answer = field_of(result, accounts.answer) if accounts.answer else None
    correlation = field_of(result, accounts.correlation) if accounts.correlation else None
    open = one.outcome == "pending"
    return Event(
        one.marker,
        Kind.OPEN if open else Kind.ENDED,
        _watched_until(one, variant) if open else one.ended_at or one.started_at,
        success=None if open else _reported_as_done(one, variant),
        answer=None if answer is None else str(answer),
        correlation=None if correlation is None else str(correlation),
        effects=None if effects is None else round(effects),
        steps=accounted(result, accounts.steps),
        tokens=accounted(result, accounts.tokens),
        cost=accounted(result, accounts.cost),
    )


def _reported_as_done(one: Transaction, variant: Variant | None) -> bool:
    """What the deployment itself said: a transaction with a wrong answer is a failure, and was reported as done."""
    if one.outcome == "success" or variant is None or one.result is None:
        return one.outcome == "success"
    if variant.result is None:
        return one.accepted
    return looked(variant, 200, dict(one.result), "").success


def _watched_until(one: Transaction, variant: Variant | None) -> datetime:
    """A pending transaction was awaited for the whole time of its variant: that is when the workload gives up."""
    within_s = variant.within.total_seconds() if variant else WITHIN_S
    return one.ended_at or one.started_at + timedelta(seconds=within_s)
