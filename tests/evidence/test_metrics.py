from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.descriptor import Signal
from readiness.errors import Undecidable
from readiness.evidence.metrics import Snapshot, increase, parse

DONE = Signal(metric="jobs_total", labels={"outcome": "done"}, services=["front"])


def snapshot(started_s: float = 1.0, **counts: float) -> Snapshot:
    lines = [
        "# TYPE jobs counter",
        *(f'jobs_total{{outcome="{name}",x="1"}} {value}' for name, value in counts.items()),
    ]
    text = "\n".join([*lines, f"process_start_time_seconds {started_s}", ""])
    return Snapshot({"front-1": parse("front", text)}, services={"front-1": "front"})


def test_a_declared_series_without_a_sample_is_zero_and_an_unknown_one_is_not() -> None:
    assert snapshot().sum(DONE) == 0
    with pytest.raises(Undecidable, match="other_total"):
        snapshot().sum(Signal(metric="other_total"))


def test_labels_select() -> None:
    assert snapshot(done=3, failed=4).sum(DONE) == 3
    assert snapshot(done=3, failed=4).sum(Signal(metric="jobs_total")) == 7


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_an_increase_is_the_difference_or_what_came_since_the_reset(before: int, after: int) -> None:
    risen = increase(snapshot(done=before), snapshot(done=after), DONE)
    assert risen == (after - before if after >= before else after)
    assert increase(snapshot(1.0, done=before), snapshot(2.0, done=after), DONE) == after


def test_an_instance_that_is_new_counts_from_zero_and_one_that_is_gone_is_unknown() -> None:
    empty = Snapshot({}, services={})
    assert increase(empty, snapshot(done=5), DONE) == 5
    with pytest.raises(Undecidable, match="front-1"):
        increase(snapshot(done=5), Snapshot({"front-2": snapshot(done=1).exposed["front-1"]}), DONE)


def test_an_instance_that_cannot_be_read_matters_to_its_own_service_only() -> None:
    torn = Snapshot(snapshot(done=2).exposed, unreachable={"store-1": "refused"}, services={"store-1": "store"})
    assert torn.sum(DONE) == 2
    with pytest.raises(Undecidable, match="store-1 cannot be read: refused"):
        torn.sum(Signal(metric="jobs_total"))


@given(st.text(max_size=200))
def test_what_is_no_exposition_is_a_value_error(text: str) -> None:
    try:
        parse("front", text)
    except ValueError:
        return
