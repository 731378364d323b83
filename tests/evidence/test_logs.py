from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.credentials import Credentials
from readiness.descriptor import Descriptor, LogFields
from readiness.errors import Missing, Undecidable
from readiness.evidence.logs import LogRecord, LogsReader, read_time
from readiness.loading import DescriptorFile
from readiness.procedures import Procedures
from readiness.redaction import Redactor
from readiness.waiting import Deadline


def reader(folder: Path, **logs: object) -> LogsReader:
    descriptor = Descriptor.model_validate(
        {
            "readiness": 1,
            "name": "logs",
            "environment": "staging",
            "services": {"one": {"address": "http://127.0.0.1:1"}},
            "log_fields": {"correlation": "ids.request", "component": "component", "levels": {"oops": "ERROR"}},
            "evidence": {"logs": logs} if logs else {},
        }
    )
    file = DescriptorFile(descriptor, folder / "descriptor.yaml")
    redactor = Redactor()
    return LogsReader(file, Procedures(file, Credentials(file, redactor), redactor))


def line(number: int, **more: object) -> str:
    return json.dumps({"n": number, "ts": "2026-11-24T08:00:00.123Z", "level": "info", **more}) + "\n"


def numbers(records: list[LogRecord]) -> list[object]:
    return [None if record.data is None else record.data["n"] for record in records]


SOON = Deadline.after(3600)


def test_only_what_was_written_since_the_mark_is_read(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(line(1) + line(2))
    logs = reader(tmp_path, files=["*.log"])
    mark = logs.mark()
    assert logs.since(mark, SOON) == []
    with log.open("a") as stream:
        stream.write(line(3) + "Traceback (most recent call last):\n")
    (tmp_path / "b.log").write_text(line(4))
    records = logs.since(mark, SOON)
    assert numbers(records) == [3, None, 4]
    assert [(one.source, one.line_number) for one in records] == [("a.log", 3), ("a.log", 4), ("b.log", 1)]


def test_a_line_that_is_being_written_is_read_whole_later(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    whole = line(2)
    log.write_text(line(1) + whole[:10])
    logs = reader(tmp_path, files=["*.log"])
    mark = logs.mark()
    assert logs.since(mark, SOON) == []
    with log.open("a") as stream:
        stream.write(whole[10:] + line(3)[:5])
    assert numbers(logs.since(mark, SOON)) == [2]


def test_a_rotated_file_is_followed_and_a_cut_one_read_anew(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(line(1))
    logs = reader(tmp_path, files=["*.log"])
    mark = logs.mark()
    with log.open("a") as stream:
        stream.write(line(2))
    log.rename(tmp_path / "a.log.1")
    log.write_text(line(3))
    assert numbers(logs.since(mark, SOON)) == [2, 3]
    cut_mark = logs.mark()
    with log.open("w") as stream:
        stream.truncate()
        stream.write("{}\n")
    assert len(logs.since(cut_mark, SOON)) == 1


def test_records_that_are_lost_make_it_undecidable(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(line(1))
    (tmp_path / "b.log").write_text(line(1))
    logs = reader(tmp_path, files=["*.log"])
    mark = logs.mark()
    (tmp_path / "a.log").unlink()
    with pytest.raises(Undecidable, match=r"a\.log"):
        logs.since(mark, SOON)


def test_nothing_to_read_from_says_which_line_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing) as missing:
        reader(tmp_path).mark()
    assert "evidence.logs" in missing.value.remedy
    with pytest.raises(Undecidable, match=r"\*\.log"):
        reader(tmp_path, files=["*.log"]).mark()


def test_a_command_gives_records_too(tmp_path: Path) -> None:
    (tmp_path / "records").write_text(line(1) + "not json\n")
    logs = reader(tmp_path, command=["/bin/sh", "-c", "cat records; echo {since_s} > since"])
    mark = logs.mark()
    assert numbers(logs.since(mark, SOON)) == [1, None]
    assert float((tmp_path / "since").read_text()) == pytest.approx(mark.at.timestamp(), abs=0.01)
    with pytest.raises(Undecidable, match="ended with 3"):
        failing = reader(tmp_path, command=["/bin/sh", "-c", "exit 3"])
        failing.since(failing.mark(), SOON)


def test_fields_are_read_by_their_meaning() -> None:
    fields = LogFields(correlation="ids.request", component="who", levels={"oops": "ERROR"})
    data = {"ts": "2026-11-24T09:00:00.250+01:00", "level": "oops", "ids": {"request": 7}, "who": "store"}
    record = LogRecord("a.log", 1, "", data, fields)
    assert (record.level, record.correlation, record.component) == ("ERROR", "7", "store")
    assert record.time == datetime(2026, 11, 24, 8, 0, 0, 250000, tzinfo=UTC)
    assert LogRecord("a.log", 1, "", {"level": "warning"}, fields).level == "WARN"
    bare = LogRecord("a.log", 1, "text", None, fields)
    assert (bare.level, bare.correlation, bare.time) == (None, None, None)


@given(st.datetimes(datetime(2001, 9, 9, 2), datetime(2200, 1, 1)), st.sampled_from([1, 1e3, 1e6, 1e9]))
def test_numbers_are_read_in_their_unit(at: datetime, unit: float) -> None:
    at = at.replace(tzinfo=UTC)
    found = read_time(at.timestamp() * unit)
    assert found is not None and abs((found - at).total_seconds()) < 0.001


@given(st.one_of(st.text(), st.floats(), st.integers(), st.booleans(), st.none(), st.lists(st.integers())))
def test_no_value_of_a_time_raises(value: object) -> None:
    found = read_time(value)
    assert found is None or found.tzinfo is not None


def test_a_time_without_a_zone_is_none() -> None:
    assert read_time("2026-11-24T08:00:00.123") is None
