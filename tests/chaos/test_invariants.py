"""The invariants are about work of any system: here about the orders of a desk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.chaos.histories import Event, Kind, names_in
from readiness.chaos.invariants import (
    BOUNDED,
    CORRELATION_KEPT,
    ENDS_ONCE,
    NO_CROSS_TALK,
    NO_EFFECT_TWICE,
    NONE_LOST,
    NOTHING_MADE_UP,
    REFUSED_IS_UNDONE,
    SUCCESS_IS_DONE,
    InvariantResult,
    check,
    result_of,
)
from tests.chaos.desk import BOUNDS, at, histories, ordered, receipt

ACCEPTED = Event("order-1", Kind.ACCEPTED, at(1))
DONE = [ordered("order-1"), ACCEPTED, receipt("order-1")]


def said(name: str, history: list[Event], bounds: dict[str, float] | None = None) -> InvariantResult:
    found = result_of(check(history, bounds or BOUNDS), name)
    assert found is not None
    return found


@given(histories())
def test_a_legal_history_breaks_nothing(history: list[Event]) -> None:
    assert [result for result in check(history, BOUNDS) if result.holds is False] == []


Mutation = Callable[[Event], list[Event]]
MUTATIONS: dict[str, tuple[str, Mutation]] = {
    "ends a second time": (ENDS_ONCE, lambda end: [end, replace(end, at=at(500))]),
    "is open again": (ENDS_ONCE, lambda end: [end, Event(end.workflow, Kind.OPEN, at(500))]),
    "is read as failed": (ENDS_ONCE, lambda end: [end, replace(end, kind=Kind.READ, success=not end.success)]),
    "is lost": (NONE_LOST, lambda end: [Event(end.workflow, Kind.OPEN, at(900))]),
    "is done twice": (NO_EFFECT_TWICE, lambda end: [replace(end, effects=7)]),
    "is found done twice later": (NO_EFFECT_TWICE, lambda end: [end, replace(end, kind=Kind.READ, effects=7)]),
    "is said done and is not": (SUCCESS_IS_DONE, lambda end: [replace(end, success=True, effects=0)]),
    "takes too many steps": (BOUNDED["steps"], lambda end: [replace(end, steps=6)]),
    "takes too many tokens": (BOUNDED["tokens"], lambda end: [replace(end, tokens=901)]),
    "costs too much": (BOUNDED["cost"], lambda end: [replace(end, cost=2.01)]),
    "answers for another": (
        NO_CROSS_TALK,
        lambda end: [replace(end, success=True, answer=f"parcel for {end.workflow}, and for order-x")],
    ),
    "answers for nobody": (NO_CROSS_TALK, lambda end: [replace(end, success=True, answer="all is well")]),
    "loses its reference": (CORRELATION_KEPT, lambda end: [replace(end, correlation="ref-new")]),
    "makes an answer up": (
        NOTHING_MADE_UP,
        lambda end: [replace(end, success=True, answer=f"{end.workflow} was delivered yesterday")],
    ),
}


@pytest.mark.parametrize("mutation", MUTATIONS)
@given(history=histories(), data=st.data())
def test_every_mutation_is_caught_and_named(mutation: str, history: list[Event], data: st.DataObject) -> None:
    name, mutate = MUTATIONS[mutation]
    good = DONE if not any(e.kind is Kind.ENDED for e in history) else [ordered("order-y"), *_renamed("order-y")]
    told = [*history, ordered("order-x"), *good]
    accepted = {event.workflow for event in told if event.kind is Kind.ACCEPTED}
    read = {event.workflow for event in told if event.kind is Kind.READ}
    ends = [e for e in told if e.kind is Kind.ENDED and e.workflow in accepted - read]
    end = data.draw(st.sampled_from(ends))
    place = told.index(end)
    result = said(name, [*told[:place], *mutate(end), *told[place + 1 :]])
    assert (result.holds, result.offenders) == (False, (end.workflow,))
    assert end.workflow in result.detail


def _renamed(id: str) -> list[Event]:
    return [Event(id, Kind.ACCEPTED, at(1)), receipt(id)]


def test_an_order_that_nobody_handed_in_must_not_end() -> None:
    assert said(ENDS_ONCE, [*DONE, receipt("order-9")]).offenders == ("order-9",)


def test_what_was_refused_must_not_have_been_done() -> None:
    refused = [ordered("order-1"), Event("order-1", Kind.REFUSED, at(1), effects=1)]
    assert said(REFUSED_IS_UNDONE, refused).holds is False
    assert said(ENDS_ONCE, [*refused, receipt("order-1")]).holds is False
    silent = said(REFUSED_IS_UNDONE, [refused[0], replace(refused[1], effects=None)])
    assert (silent.holds, silent.asked) == (None, False)


def test_an_outcome_that_nobody_knows_may_have_happened_or_not() -> None:
    unknown = [ordered("order-2"), Event("order-2", Kind.ERROR, at(1))]
    for more in ([], [receipt("order-2")], [replace(receipt("order-2"), success=False, effects=0)]):
        results = check([*DONE, *unknown, *more], BOUNDS)
        assert all(result.holds is not False for result in results)
        assert said(NONE_LOST, [*DONE, *unknown, *more]).holds is True
    alone = said(NONE_LOST, unknown)
    assert (alone.holds, alone.detail) == (None, "nothing was accepted")


def test_lost_is_only_what_was_looked_at_for_long_enough() -> None:
    looks = [Event("order-1", Kind.OPEN, at(s)) for s in (2, 59.9)]
    assert said(NONE_LOST, [*DONE[:2], *looks]).holds is None
    assert said(NONE_LOST, DONE[:2]).holds is None
    lost = said(NONE_LOST, [*DONE[:2], *looks, Event("order-1", Kind.OPEN, at(60))])
    assert (lost.holds, lost.offenders) == (False, ("order-1",))
    endless = [replace(DONE[0], within_s=None), *DONE[1:2], Event("order-1", Kind.OPEN, at(6000))]
    assert said(NONE_LOST, endless).holds is None


def test_a_reported_failure_is_an_end() -> None:
    failed = [*DONE[:2], receipt("order-1", success=False)]
    assert said(NONE_LOST, failed).holds is True
    assert all(result.holds is not False for result in check(failed, BOUNDS))


@pytest.mark.parametrize(
    ("name", "account", "silent"),
    [
        (NO_EFFECT_TWICE, "effects", replace(DONE[2], effects=None)),
        (SUCCESS_IS_DONE, "effects", replace(DONE[2], effects=None)),
        (BOUNDED["steps"], "steps", replace(DONE[2], steps=None)),
        (NO_CROSS_TALK, "answer", replace(DONE[2], answer=None)),
        (NOTHING_MADE_UP, "answer", replace(DONE[2], answer=None)),
        (CORRELATION_KEPT, "correlation", replace(DONE[2], correlation=None)),
    ],
)
def test_an_account_that_is_not_told_stays_unknown_and_names_its_line(name: str, account: str, silent: Event) -> None:
    result = said(name, [*DONE[:2], silent])
    assert (result.holds, result.asked, result.offenders) == (None, True, ("order-1",))
    assert f"workload.accounts.{account}" in result.detail


def test_one_that_breaks_it_counts_more_than_one_that_is_unknown() -> None:
    silent = [ordered("order-2"), replace(ACCEPTED, workflow="order-2"), replace(receipt("order-2"), effects=None)]
    twice = [*DONE[:2], replace(DONE[2], effects=2)]
    assert said(NO_EFFECT_TWICE, [*silent, *twice]).holds is False
    assert said(NO_EFFECT_TWICE, [*silent, *DONE]).holds is None


def test_what_nothing_was_declared_for_is_not_asked() -> None:
    bare = [replace(DONE[0], marker=None, expected=(), correlation=None), *DONE[1:]]
    results = check(bare, {"steps": None})
    not_asked = {result.name for result in results if not result.asked}
    assert not_asked == {*BOUNDED.values(), NO_CROSS_TALK, CORRELATION_KEPT, NOTHING_MADE_UP, REFUSED_IS_UNDONE}
    assert all(result.holds is None for result in results if not result.asked)


def test_an_effect_may_be_meant_to_happen_more_than_once() -> None:
    three = [replace(DONE[0], effects_meant=3), DONE[1], replace(DONE[2], effects=3)]
    assert said(NO_EFFECT_TWICE, three).holds is True
    assert said(SUCCESS_IS_DONE, [*three[:2], replace(three[2], effects=2)]).holds is False


def test_many_offenders_are_counted_and_few_are_named() -> None:
    ids = [f"order-{n}" for n in range(40)]
    told = [e for id in ids for e in (ordered(id), replace(receipt(id), effects=2))]
    result = said(NO_EFFECT_TWICE, told)
    assert len(result.offenders) == 40
    assert result.detail.startswith("40 of 40: order-0 had its effect 2 times")
    assert result.detail.endswith("and 35 more")


def test_a_name_is_a_whole_word() -> None:
    assert names_in("parcel for order-12, order-3.", ["order-1", "order-12", "order-3", "der-3"]) == {
        "order-12",
        "order-3",
    }


def test_an_empty_history_shows_nothing() -> None:
    assert {result.holds for result in check([], BOUNDS)} == {None}
