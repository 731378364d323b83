"""Transactions become a history through the descriptor alone: its accounts, its variants, its templates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from readiness.chaos.histories import Kind
from readiness.chaos.invariants import (
    BOUNDED,
    CORRELATION_KEPT,
    NO_CROSS_TALK,
    NO_EFFECT_TWICE,
    NONE_LOST,
    NOTHING_MADE_UP,
    check,
)
from readiness.chaos.observed import accounted, history_of
from readiness.descriptor import Descriptor
from readiness.descriptor.chaos import Accounts, Bounds
from readiness.descriptor.workload import Correlation, Golden, Request, ResultAt, Variant, WorkloadSpec
from readiness.workload import Transaction
from tests.chaos.trials import at

VARIANT = Variant(
    submit=Request(method="POST", url="{desk}/orders"),
    result=ResultAt(url="{desk}/orders/{id}", until={"state": ["sent", "failed"]}, success={"state": "sent"}),
    expect={"note.text": "parcel for {marker}"},
    once={"parcels": 1},
    within=timedelta(seconds=30),
)
ACCOUNTS = Accounts(
    effects="parcels", steps="stations.tries", tokens="tokens", answer="note.text", correlation="reference"
)
DESCRIPTOR = Descriptor.model_construct(
    workload=WorkloadSpec(
        ok=VARIANT,
        accounts=ACCOUNTS,
        bounds=Bounds(steps=4, tokens=100),
        correlation=Correlation(request_header="X-Ref"),
    )
)
RESULT: dict[str, Any] = {
    "state": "sent",
    "note": {"text": "parcel for m-1 is on its way"},
    "parcels": 1,
    "stations": [{"tries": 1}, {"tries": 2}],
    "tokens": 90,
    "reference": "r-1",
}
DONE = Transaction(
    "ok",
    "m-1",
    "r-1",
    accepted=True,
    outcome="success",
    result=RESULT,
    started_at=at(0),
    accepted_at=at(1),
    ended_at=at(3),
    values={"marker": "m-1"},
)


def holds(*transactions: Transaction) -> dict[str, bool | None]:
    bounds = DESCRIPTOR.workload.bounds.model_dump()
    return {result.name: result.holds for result in check(history_of(transactions, DESCRIPTOR), bounds)}


def test_a_good_transaction_keeps_every_invariant_that_is_asked() -> None:
    told = history_of([DONE], DESCRIPTOR)
    assert [event.kind for event in told] == [Kind.HANDED_IN, Kind.ACCEPTED, Kind.ENDED]
    assert (told[0].marker, told[0].expected, told[0].within_s) == ("m-1", ("parcel for m-1",), 30)
    assert (told[2].effects, told[2].steps, told[2].tokens, told[2].cost) == (1, 3, 90, None)
    bounds = DESCRIPTOR.workload.bounds.model_dump()
    assert all(result.holds for result in check(told, bounds) if result.asked)


@pytest.mark.parametrize(
    ("name", "result"),
    [
        (NO_EFFECT_TWICE, {**RESULT, "parcels": 2}),
        (BOUNDED["steps"], {**RESULT, "stations": [{"tries": 4}, {"tries": 1}]}),
        (BOUNDED["tokens"], {**RESULT, "tokens": 101}),
        (CORRELATION_KEPT, {**RESULT, "reference": "r-2"}),
        (NO_CROSS_TALK, {**RESULT, "note": {"text": "parcel for m-2 is on its way"}}),
        (NOTHING_MADE_UP, {**RESULT, "note": {"text": "all is well, m-1"}}),
    ],
)
def test_what_the_workload_calls_a_failure_was_reported_as_done(name: str, result: dict[str, Any]) -> None:
    """A success with a wrong answer is what the invariants are there for: it must not pass for an honest failure."""
    other = replace(DONE, marker="m-2", values={"marker": "m-2"}, outcome="error", result=None, accepted=False)
    assert holds(other, replace(DONE, outcome="failure", result=result))[name] is False


def test_an_honest_failure_breaks_nothing() -> None:
    failed = replace(DONE, outcome="failure", result={**RESULT, "state": "failed", "parcels": 0, "note": {}})
    assert False not in holds(failed).values()


def test_pending_is_lost_and_an_error_is_unknown() -> None:
    pending = replace(DONE, outcome="pending", ended_at=None, result={"state": "queued", "parcels": 0})
    assert holds(pending)[NONE_LOST] is False
    error = replace(DONE, outcome="error", accepted=False, result=None)
    assert False not in holds(error, DONE).values()
    assert history_of([error], DESCRIPTOR)[-1].kind is Kind.ERROR
    assert history_of([replace(error, outcome="refused")], DESCRIPTOR)[-1].kind is Kind.REFUSED


def test_an_id_that_no_header_carried_is_not_missed() -> None:
    silent = DESCRIPTOR.model_copy(update={"workload": DESCRIPTOR.workload.model_copy(update={"correlation": None})})
    assert history_of([DONE], silent)[0].correlation is None


def test_the_right_answer_to_a_known_question_is_expected() -> None:
    known = DESCRIPTOR.model_copy(update={"golden": [Golden(question="where is it?", expect="on its way")]})
    asked = replace(DONE, values={"marker": "m-1", "question": "where is it?"})
    assert history_of([asked], known)[0].expected == ("parcel for m-1", "on its way")
    assert history_of([DONE], known)[0].expected == ("parcel for m-1",)


def test_lists_are_summed_and_what_is_no_number_is_none() -> None:
    assert accounted(RESULT, "stations.tries") == 3
    assert accounted({"a": [{"b": [1, 2]}, {"b": 4}, {}]}, "a.b") == 7
    assert accounted([1, 2], "a") is None
    assert (accounted(RESULT, "note.text"), accounted(RESULT, None), accounted(None, "x")) == (None, None, None)
