"""The timeline of a drill: places in percent, lanes that do not overlap, gaps where nobody answered."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from readiness.report import RunRecord, scorecard
from readiness.report.entries import Entry, entries
from readiness.report.timeline import timeline
from tests.report.history import events
from tests.report.stories import BEGAN, NOT_READY


def entry(gate: str) -> Entry:
    run = RunRecord.from_history(events(NOT_READY))
    return next(one for one in entries(run, scorecard(run)) if one.gate.id == gate)


def test_a_gate_that_changed_nothing_has_no_timeline() -> None:
    assert timeline(entry("OPS-DEP-001")) is None


def test_everything_lies_inside_the_picture() -> None:
    line = timeline(entry("OPS-DEP-003"))
    assert line is not None
    assert line.length_s == 34
    places = [bar.left for bar in line.bars] + [bar.left + bar.width for bar in line.bars]
    places += [column.left + column.width for column in line.columns] + [mark.left for mark in line.marks]
    assert all(0 <= place <= 100.001 for place in places)
    assert [mark.seconds for mark in line.marks] == [0, 5, 10, 15, 20, 25, 30]
    assert (line.sent, line.ok + line.failed) == (272, 272)


def test_changes_share_a_lane_only_one_after_the_other() -> None:
    one = entry("OPS-DEP-003")
    third = replace(
        one.changes[1],
        id="x",
        opened_at=one.changes[0].opened_at + timedelta(seconds=18),
        closed_at=one.changes[0].opened_at + timedelta(seconds=19),
    )
    line = timeline(replace(one, changes=(*one.changes, third)))
    assert line is not None
    assert [bar.lane for bar in line.bars] == [0, 1, 0]
    assert line.lanes == 2


def test_a_change_still_in_force_reaches_the_end() -> None:
    one = entry("OPS-DEP-003")
    still = replace(one.changes[0], closed_at=None, verified=None)
    line = timeline(replace(one, changes=(still,)))
    assert line is not None
    (bar,) = line.bars
    assert bar.lasted_s is None
    assert abs(bar.left + bar.width - 100) < 0.01
    assert line.undone == 0


def test_a_second_without_an_answer_is_a_gap() -> None:
    line = timeline(entry("OPS-DEP-003"))
    assert line is not None
    assert line.latency_path.count("M") == 2


def test_traffic_alone_makes_a_picture_too() -> None:
    one = entry("OPS-DEP-003")
    line = timeline(replace(one, changes=(), began_at=BEGAN, traffic=one.traffic[:1]))
    assert line is not None
    assert (line.lanes, len(line.columns)) == (0, 1)
