"""A history is read into a record of the run, whole or up to the point where the run was killed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.errors import UsageError
from readiness.history import Event
from readiness.report import RunRecord, scorecard
from readiness.report.document import document
from readiness.report.html import page
from readiness.report.record import undo_text
from readiness.score import Decision
from tests.report.catalogue import ROWS
from tests.report.history import events
from tests.report.stories import BEGAN, HOSTILE, NOT_READY, READY, Story, hostile

SMALL = events(
    replace(NOT_READY, left_out=tuple(row[0] for row in ROWS if row[0] not in ("OPS-BAK-003", "OPS-REC-003")))
)


def test_everything_that_the_history_tells_is_in_the_record() -> None:
    run = RunRecord.from_history(events(NOT_READY))
    assert (run.run_id, run.deployment.name, run.scenario.name) == ("2026-11-24T093000Z-ci", "nexus", "ci")
    assert (len(run.gates), len(run.findings), len(run.selected)) == (20, 19, 19)
    assert run.deployment.services["gateway"].replicas == 2
    assert run.policy.limits[0].owner == "platform-lead"
    assert [failure.what for failure in run.breaches] == ["weights of the gateway set to 50/50"]
    change = next(change for change in run.changes if change.id == "OPS-DEP-003-1")
    assert (change.verified, change.healed_by, change.undo) == (True, "undo", "procedure rollback (release=2.2.4)")
    assert change.witnesses == ("gateway-1 answers 2.3.1",)
    assert run.complete
    assert run.scored_at == run.ended_at + timedelta(seconds=0.2)


def test_a_killed_run_is_scored_up_to_its_last_event_and_is_never_ready() -> None:
    whole = events(READY)
    for length in (2, len(whole) // 2, len(whole) - 1):
        run = RunRecord.from_history(whole[:length])
        assert (run.complete, run.scored_at) == (False, whole[length - 1].at)
        assert scorecard(run).decision is Decision.UNPROVEN


def test_an_interrupted_run_is_not_complete_though_it_was_scored() -> None:
    run = RunRecord.from_history(events(replace(READY, interrupted="SIGTERM")))
    assert (run.complete, run.interrupted) == (False, "SIGTERM")
    assert scorecard(run).decision is Decision.UNPROVEN


def test_the_last_finding_of_a_gate_counts() -> None:
    told = events(READY)
    first = next(event for event in told if event.kind == "finding")
    again = Event(first.at, "finding", {**first.data, "outcome": "UNKNOWN", "reason": "the teardown broke"})
    run = RunRecord.from_history([*told[:-1], again, told[-1]])
    assert run.findings["OPS-DEP-001"].reason == "the teardown broke"


def test_characters_that_no_format_can_carry_are_replaced_at_the_door() -> None:
    run = RunRecord.from_history(events(hostile(Story())))
    reason = run.findings["OPS-DEP-001"].reason
    assert reason == HOSTILE.replace("\x1b", "\ufffd").replace("\x00", "\ufffd").replace("\ud800", "\ufffd")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ([], "tells of no run"),
        ([Event(BEGAN, "note", {"text": "x"})], "tells of no run"),
        ([Event(BEGAN, "run", {"run_id": "x"})], "'run' line cannot be read: scenario"),
        ([*events(READY), Event(BEGAN, "step", {"gate": "A", "title": "x", "seconds": "soon"})], "'step' line"),
        ([*events(READY), Event(BEGAN, "finding", {"gate": "A"})], "finding cannot be read"),
    ],
)
def test_a_history_that_is_none_is_a_usage_error_of_one_line(told: list[Event], said: str) -> None:
    with pytest.raises(UsageError, match=said) as refused:
        RunRecord.from_history(told)
    assert "\n" not in str(refused.value)


JUNK = st.sampled_from([None, True, -1, 1e308, "", "x" * 50, "2026-13-45", [], [1], {}, {"a": [None]}, "nan"])


def tampered(told: Any, data: st.DataObject) -> Any:
    """The data with junk somewhere in it, at any depth."""
    if not told or not isinstance(told, Mapping | list) or data.draw(st.integers(0, 4)) == 0:
        return data.draw(JUNK)
    if isinstance(told, Mapping):
        key = data.draw(st.sampled_from(sorted(told)))
        return {**told, key: tampered(told[key], data)}
    place = data.draw(st.integers(0, len(told) - 1))
    return [*told[:place], tampered(told[place], data), *told[place + 1 :]]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_history_that_was_tampered_with_is_read_or_refused_in_one_line(data: st.DataObject) -> None:
    told = data.draw(st.sampled_from([SMALL, [event for event in SMALL if event.kind != "scored"]]))
    place = data.draw(st.integers(0, len(told) - 1))
    event = told[place]
    key = data.draw(st.sampled_from(sorted(event.data)))
    changed = Event(event.at, event.kind, {**event.data, key: tampered(event.data[key], data)})
    try:
        run = RunRecord.from_history([*told[:place], changed, *told[place + 1 :]])
        page(run, scorecard(run))
        document(run, scorecard(run))
    except UsageError as refused:
        assert "\n" not in str(refused)


def test_an_undo_is_told_in_words() -> None:
    kill = {"by": "process", "name": "kill", "arguments": {"service": "planner", "pid": 7}}
    assert undo_text([kill, {"by": "procedure", "name": "deploy"}]) == (
        "process kill (service=planner, pid=7); then procedure deploy"
    )
    assert (undo_text(None), undo_text("by hand")) == ("", "by hand")
