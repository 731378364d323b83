"""The model's data survives its JSON form."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.errors import UsageError
from readiness.model import Breach, Finding, Measurement, Outcome, Risk
from readiness.records import breach_from, finding_from, gate_from, instant, to_json
from tests.data.samples import AT, FINDING, GATE


def again(data: object) -> dict[str, object]:
    """The data after a way through a file."""
    result: dict[str, object] = json.loads(json.dumps(data, allow_nan=False))
    return result


def test_records_come_back_as_they_were() -> None:
    failure = Breach("weights", "still 90 : 10", AT, "bin/parcels rollback")
    assert finding_from(again(to_json(FINDING))) == FINDING
    assert gate_from(again(to_json(GATE))) == GATE
    assert breach_from(again(to_json(failure))) == failure


def test_a_record_written_again_is_the_same_text() -> None:
    text = json.dumps(to_json(FINDING))
    assert json.dumps(to_json(finding_from(json.loads(text)))) == text


@given(
    value=st.none() | st.booleans() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    at=st.datetimes(min_value=datetime(2000, 1, 1), timezones=st.just(UTC)),
    outcome=st.sampled_from(Outcome),
)
def test_any_measured_value_keeps_its_type(value: float | str | bool | None, at: datetime, outcome: Outcome) -> None:
    finding = Finding("A", outcome, Risk.LOW, False, "", at, measurements=(Measurement("m", value),))
    read = finding_from(again(to_json(finding)))
    assert read.measurements == finding.measurements
    assert type(read.measurements[0].value) is type(value)
    assert abs(read.observed_at - at) < timedelta(milliseconds=1)
    assert read.outcome is outcome


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_text(value: float) -> None:
    assert again(to_json(Measurement("m", value)))["value"] == str(value)


def test_instants_are_utc_with_milliseconds() -> None:
    east = datetime(2026, 11, 24, 8, 30, 15, 250_999, tzinfo=timezone(timedelta(hours=2)))
    assert instant(east) == "2026-11-24T06:30:15.250Z"
    with pytest.raises(ValueError, match="no zone"):
        instant(datetime(2026, 11, 24))


def test_data_that_is_no_record_is_told() -> None:
    with pytest.raises(UsageError, match=r"stored finding cannot be read: outcome"):
        finding_from({**to_json(FINDING), "outcome": "SKIP"})
