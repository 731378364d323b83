"""Timestamps are read as they are written, and nothing is taken for granted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.evidence.timestamps import Timestamp, read_timestamp, whole_seconds_only

AT = datetime(2026, 11, 24, 6, 40, 44, 123000, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-11-24T06:40:44.123Z",
        "2026-11-24T07:40:44.123+01:00",
        "2026-11-24T01:10:44,123-0530",
        "2026-11-24 06:40:44.123 UTC",
        "2026-11-24T06:40:44.123000+00:00",
        1795502444.123,
        1795502444123,
        "1795502444.123",
        1795502444123000000,
    ],
)
def test_every_usual_form_is_the_same_instant(value: object) -> None:
    stamp = read_timestamp(value)
    assert stamp is not None and stamp.at is not None
    assert abs((stamp.at - AT).total_seconds()) < 1e-3
    assert stamp.fault == ""


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("2026-11-24T06:40:44Z", "milliseconds"),
        ("2026-11-24T06:40:44.12Z", "milliseconds"),
        ("2026-11-24T06:40:44.123", "a zone"),
        ("2026-11-24 06:40:44", "milliseconds and a zone"),
        (1795502444, "milliseconds"),
    ],
)
def test_what_is_missing_is_named(value: object, fault: str) -> None:
    stamp = read_timestamp(value)
    assert stamp is not None and stamp.fault == fault


@pytest.mark.parametrize(
    "value", [None, "", "now", True, 12, "24/Nov/2026:06:40:44", "2026-13-24T06:40:44.123Z", [], {}]
)
def test_what_is_no_timestamp_is_none(value: object) -> None:
    assert read_timestamp(value) is None


def test_a_zone_that_cannot_be_placed_has_no_instant() -> None:
    stamp = read_timestamp("2026-11-24 06:40:44.123 XYZ")
    assert stamp is not None and stamp.at is None and stamp.fault == ""


@given(st.datetimes(min_value=datetime(2001, 9, 10), max_value=datetime(2200, 1, 1)), st.integers(-1439, 1439))
def test_iso_text_is_read_back(local: datetime, minutes: int) -> None:
    aware = local.replace(microsecond=local.microsecond // 1000 * 1000, tzinfo=timezone(timedelta(minutes=minutes)))
    stamp = read_timestamp(aware.isoformat(timespec="milliseconds"))
    assert stamp is not None and stamp.at == aware and stamp.fault == ""


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert read_timestamp(text) is None or isinstance(read_timestamp(text), Timestamp)


def stamps(*fractions: int) -> list[Timestamp]:
    return [Timestamp(AT + timedelta(seconds=n), True, True, fraction) for n, fraction in enumerate(fractions)]


def test_zeros_in_every_millisecond_are_whole_seconds() -> None:
    assert whole_seconds_only(stamps(0, 0, 0, 0, 0))
    assert not whole_seconds_only(stamps(0, 0, 0, 0))
    assert not whole_seconds_only(stamps(0, 0, 0, 0, 7))
    assert not whole_seconds_only(stamps(0) * 9)
