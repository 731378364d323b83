"""The gates about logs: each way to break the promise is seen, and what is merely different is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from readiness.gates.logs import (
    error_records_tell_the_cause_and_no_secret,
    every_log_line_is_a_structured_record,
    log_times_are_precise_and_true,
    records_carry_the_id_of_their_request,
)
from readiness.model import Outcome
from tests.gates.stage import TOKEN, LogLine, Small, judge

GATES = [
    log_times_are_precise_and_true,
    every_log_line_is_a_structured_record,
    records_carry_the_id_of_their_request,
    error_records_tell_the_cause_and_no_secret,
]
Write = Callable[[LogLine], "LogLine | str | None"]


def change(where: Callable[[LogLine], bool], **fields: Any) -> Write:
    """Change fields of some records; a value may be a function of the old one, None takes the field out."""

    def write(line: LogLine) -> LogLine:
        if not where(line):
            return line
        new = {**line, **{k: v(line.get(k)) if callable(v) else v for k, v in fields.items()}}
        return {key: value for key, value in new.items() if value is not None}

    return write


def worker(line: LogLine) -> bool:
    return bool(line["part"] == "worker")


def error(line: LogLine) -> bool:
    return bool(line["lvl"] == "ERROR")


def shifted(seconds: float) -> Callable[[str], str]:
    def shift(text: str) -> str:
        return (datetime.fromisoformat(text) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")

    return shift


@pytest.mark.parametrize("gate", GATES)
def test_the_healthy_system_passes(gate: Any, tmp_path: Path) -> None:
    assert judge(gate, tmp_path, Small())[0] is Outcome.PASS


@pytest.mark.parametrize("gate", GATES)
def test_hidden_logs_are_unknown(gate: Any, tmp_path: Path) -> None:
    assert judge(gate, tmp_path, Small(write=lambda _: None))[0] is Outcome.UNKNOWN
    assert judge(gate, tmp_path, Small(), evidence__logs=None)[0] is Outcome.UNKNOWN


@pytest.mark.parametrize("gate", GATES[:3])
def test_the_hidden_log_of_one_component_is_unknown(gate: Any, tmp_path: Path) -> None:
    small = Small(write=lambda line: None if worker(line) else line)
    assert judge(gate, tmp_path, small)[0] is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "write",
    [
        change(worker, at=lambda t: t[:19] + "Z"),
        change(worker, at=lambda t: t[:19] + ".000+00:00"),
        change(error, at=lambda t: t[:22] + "Z"),
        change(worker, at=lambda t: t[:23]),
        change(worker, at=None),
        change(error, at="just now"),
        change(worker, at=shifted(1.2)),
        change(worker, at=shifted(-1.2)),
        change(worker, at=shifted(-3600)),
    ],
)
def test_wrong_times_fail(write: Write, tmp_path: Path) -> None:
    assert judge(log_times_are_precise_and_true, tmp_path, Small(write=write))[0] is Outcome.FAIL


def test_times_in_tenths_of_a_second_fail(tmp_path: Path) -> None:
    small = Small(write=change(worker, at=lambda t: t[:21] + "00" + t[23:]), gap_s=0.11)
    assert judge(log_times_are_precise_and_true, tmp_path, small)[0] is Outcome.FAIL


@pytest.mark.parametrize(
    "write",
    [
        change(worker, at=shifted(0.8)),
        change(worker, at=shifted(-0.8)),
        change(worker, at=lambda t: t.replace("T", " ").replace("+00:00", " UTC")),
        change(worker, at=lambda t: datetime.fromisoformat(t).timestamp()),
        change(worker, at=lambda t: t.replace("+00:00", "000Z")),
    ],
)
def test_other_true_times_pass(write: Write, tmp_path: Path) -> None:
    assert judge(log_times_are_precise_and_true, tmp_path, Small(write=write))[0] is Outcome.PASS


def test_a_wrong_field_of_the_time_is_unknown(tmp_path: Path) -> None:
    outcome, told = judge(log_times_are_precise_and_true, tmp_path, Small(), log_fields__time="when")
    assert outcome is Outcome.UNKNOWN and "log_fields.time" in told


@pytest.mark.parametrize(
    "write",
    [
        lambda line: "Traceback (most recent call last):\n  File x\nValueError: y" if error(line) else line,
        lambda line: json.dumps(line) + "\nplain" if worker(line) else line,
        lambda line: json.dumps(line, indent=1) if error(line) else line,
        lambda line: json.dumps([line]) if worker(line) else line,
        lambda line: '{"at": NaN, ' + json.dumps(line)[1:] if error(line) else line,
        change(error, lvl=None),
        change(worker, part=""),
    ],
)
def test_unstructured_lines_fail(write: Write, tmp_path: Path) -> None:
    assert judge(every_log_line_is_a_structured_record, tmp_path, Small(write=write))[0] is Outcome.FAIL


def test_odd_but_structured_lines_pass(tmp_path: Path) -> None:
    write = change(worker, lvl="NOTICE", msg="ümlaut\n  Traceback", more={"deep": [1, None]})
    assert judge(every_log_line_is_a_structured_record, tmp_path, Small(write=write))[0] is Outcome.PASS


@pytest.mark.parametrize(
    "write",
    [
        change(error, request=None, ref=None),
        change(error, request=None),
        change(error, request="another-id-made-here"),
        change(worker, request=None),
        change(worker, request="another-id-made-here"),
        change(lambda line: line["msg"] == "again", request=None),
        change(lambda line: line["msg"] == "again", request=None, work=None),
        change(lambda line: line["msg"] == "started", request=lambda id: id and id[:8]),
        change(worker, request=None, work=None, ref=None),
        change(lambda line: line["msg"] == "ended", request=None, work=None),
    ],
)
def test_lost_ids_fail(write: Write, tmp_path: Path) -> None:
    assert judge(records_carry_the_id_of_their_request, tmp_path, Small(write=write))[0] is Outcome.FAIL


def test_chatter_without_an_id_passes(tmp_path: Path) -> None:
    chatter: list[LogLine] = [{"part": "worker", "level": "INFO", "message": f"{n} jobs wait"} for n in range(7)]
    assert judge(records_carry_the_id_of_their_request, tmp_path, Small(background=lambda: chatter))[0] is Outcome.PASS


def test_trouble_of_its_own_without_an_id_passes(tmp_path: Path) -> None:
    small = Small(background=lambda: [{"part": "worker", "level": "WARN", "message": "disk is nearly full"}])
    assert judge(records_carry_the_id_of_their_request, tmp_path, small)[0] is Outcome.PASS


@pytest.mark.parametrize("gone", ["workload__retried", "workload__correlation", "log_fields__correlation"])
def test_a_path_that_cannot_be_taken_is_unknown_and_named(gone: str, tmp_path: Path) -> None:
    outcome, told = judge(records_carry_the_id_of_their_request, tmp_path, Small(), **{gone: None})
    assert outcome is Outcome.UNKNOWN and gone.replace("__", ".") in told


def test_a_violation_is_told_even_where_a_path_is_missing(tmp_path: Path) -> None:
    small = Small(write=change(error, request=None))
    assert judge(records_carry_the_id_of_their_request, tmp_path, small, workload__retried=None)[0] is Outcome.FAIL


@pytest.mark.parametrize(
    "write",
    [
        change(error, op=None),
        change(error, ref=""),
        change(error, ref="-"),
        change(error, why="unknown"),
        change(error, headers={"Authorization": f"Bearer {TOKEN}"}),
        change(worker, debug=TOKEN.encode().hex()),
        change(error, why="cannot reach postgresql://app:hunter2hunter@db/x"),
    ],
)
def test_poor_or_telling_errors_fail(write: Write, tmp_path: Path) -> None:
    assert judge(error_records_tell_the_cause_and_no_secret, tmp_path, Small(write=write))[0] is Outcome.FAIL


def test_personal_data_of_the_input_in_an_error_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.gates import stage

    original = stage.Stage._one

    def telling(self: Any, variant: str, marker: str | None = None, **given: Any) -> Any:
        if marker:
            self.log("worker", "ERROR", "failed", request="r", op="job", ref="w", why=f"cannot parse {marker}")
        return original(self, variant, marker=marker, **given)

    monkeypatch.setattr(stage.Stage, "_one", telling)
    outcome, told = judge(error_records_tell_the_cause_and_no_secret, tmp_path, Small())
    assert outcome is Outcome.FAIL and "e-mail" in told and "@" not in told


def test_a_leak_is_told_without_the_secret(tmp_path: Path) -> None:
    small = Small(write=change(error, headers=TOKEN))
    outcome, told = judge(error_records_tell_the_cause_and_no_secret, tmp_path, small)
    assert outcome is Outcome.FAIL and TOKEN not in told and "secrets.canaries.key" in told
    kept = "".join(path.read_text() for path in tmp_path.rglob("*.json"))
    assert TOKEN not in kept


@pytest.mark.parametrize(
    "gone", ["log_fields__cause", "log_fields__operation", "workload__failing", "secrets__canaries"]
)
def test_errors_that_cannot_be_judged_are_unknown(gone: str, tmp_path: Path) -> None:
    assert judge(error_records_tell_the_cause_and_no_secret, tmp_path, Small(), **{gone: None})[0] is Outcome.UNKNOWN


def test_no_error_seen_is_unknown(tmp_path: Path) -> None:
    small = Small(write=change(error, lvl="INFO"))
    assert judge(error_records_tell_the_cause_and_no_secret, tmp_path, small)[0] is Outcome.UNKNOWN
