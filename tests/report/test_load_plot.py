"""The picture of a load run: everything inside, no percentile averaged, and only the faults of its time."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from readiness.report import RunRecord
from readiness.report.axis import MOST_COLUMNS, path
from readiness.report.load_plot import LoadPlot, load_plot
from readiness.report.load_record import Load, LoadSecond
from tests.report.history import events
from tests.report.stories import NOT_READY

RUN = RunRecord.from_history(events(NOT_READY))


def load(profile: str) -> Load:
    return next(load for load in RUN.loads if load.profile == profile)


def plot(one: Load) -> LoadPlot:
    made = load_plot(one, RUN.changes)
    assert made is not None
    return made


def points(line: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"([\d.]+) ([\d.]+)", line)]


def test_everything_lies_inside_the_picture() -> None:
    made = plot(load("spike"))
    assert (made.length_s, made.step_s, len(made.columns)) == (30, 1, 30)
    assert [(band.name, round(band.left)) for band in made.bands] == [("before", 0), ("spike", 27), ("after", 50)]
    places = [(band.left, band.width) for band in made.bands] + [(bar.left, bar.width) for bar in made.bars]
    places += [(column.left, column.width) for column in made.columns]
    assert all(0 <= left <= left + width <= 100.001 for left, width in places)
    assert all(0 <= x <= 1000 and 0 <= y <= 100 for _, line in made.latency_paths for x, y in points(line))
    assert all(column.ok + column.shed <= 100.01 and column.started <= 100 for column in made.columns)
    assert max(column.broken for column in made.columns) == 100


def test_only_the_faults_of_its_time_are_drawn_and_they_are_cut_at_its_ends() -> None:
    one = load("spike")
    made = plot(one)
    assert {bar.change.gate for bar in made.bars} == {"OPS-DEP-003"}
    assert [bar.number for bar in made.bars] == [1, 2]
    assert one.began_at is not None
    change = replace(made.bars[0].change, opened_at=one.began_at - timedelta(seconds=9))
    for closed_after_s, width in ((0, None), (15, 50.0), (300, 100.0)):
        closed = replace(change, closed_at=one.began_at + timedelta(seconds=closed_after_s))
        drawn = load_plot(one, [closed])
        assert drawn is not None
        assert [bar.width for bar in drawn.bars] == ([] if width is None else [width])
    still = load_plot(one, [replace(change, closed_at=None)])
    assert still is not None
    assert (still.bars[0].left, still.bars[0].width) == (0, 100)


def test_a_run_whose_beginning_is_not_known_has_no_faults() -> None:
    assert plot(replace(load("spike"), began_at=None)).bars == ()


def test_a_long_run_shows_the_worst_second_of_each_column_and_its_mean_rate() -> None:
    calm = LoadSecond(0, planned=10, started=10, ok=10, p50_ms=20.0, p95_ms=30.0, p99_ms=40.0)
    seconds = tuple(replace(calm, second=n) for n in range(7200))
    stalled = replace(seconds[3601], started=4, ok=4, p99_ms=4000.0)
    one = replace(load("spike"), seconds=(*seconds[:3601], stalled, *seconds[3602:]), stages=(), began_at=None)
    made = plot(one)
    assert (made.step_s, len(made.columns), len(made.columns) <= MOST_COLUMNS) == (30, 240, True)
    assert made.slowest_ms == 4000
    p99 = points(dict(made.latency_paths)["p99"])
    assert min(p99, key=lambda point: point[1]) == p99[120]
    assert made.columns[120].started == 98
    assert made.most_rate == 10


def test_a_second_without_an_answer_is_a_gap_and_a_lonely_one_a_dot() -> None:
    assert dict(plot(load("spike")).latency_paths)["p95"].count("M") == 2
    assert path([(0, 10), (1, None), (2, 20), (3, 30), (4, None)]) == "M0.0 90.0h0 M20.0 80.0 L30.0 70.0"


def test_a_closed_model_has_no_planned_rate_and_no_second_makes_no_picture() -> None:
    assert plot(load("spike")).planned_path
    assert plot(load("steady")).planned_path == ""
    assert load_plot(load("volume"), RUN.changes) is None


def test_a_run_that_measured_nothing_still_has_its_rate() -> None:
    one = replace(load("steady"), seconds=(LoadSecond(4, planned=2),), stages=())
    made = plot(one)
    assert (made.length_s, made.slowest_ms, made.ticks, made.most_rate) == (5, None, (), 0)


@given(st.lists(st.none() | st.floats(0, 1e12), min_size=1, max_size=20))
def test_slower_is_never_drawn_lower(latencies: list[float | None]) -> None:
    seconds = tuple(LoadSecond(n, p99_ms=ms) for n, ms in enumerate(latencies))
    made = plot(replace(load("spike"), seconds=seconds, stages=()))
    known = [ms for ms in latencies if ms is not None]
    assert made.slowest_ms == max(known, default=None)
    drawn = [y for _, y in points(dict(made.latency_paths)["p99"])]
    assert len(drawn) == len(known)
    assert all(0 <= y <= 100 for y in drawn)
    ordered = [y for _, y in sorted(zip(known, drawn, strict=True), key=lambda pair: pair[0])]
    assert ordered == sorted(ordered, reverse=True)
    assert all(0 <= tick.height <= 100 for tick in made.ticks)
