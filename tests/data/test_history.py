"""What a run wrote can be read, whenever it was killed."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.errors import UsageError
from readiness.history import FILE, History
from readiness.records import finding_from
from readiness.redaction import Redactor
from tests.data.samples import AT, FINDING


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History.create(tmp_path / "run", Redactor())


def test_events_come_back_in_order(history: History) -> None:
    history.append("gate_started", gate="A")
    history.append("finding", FINDING)
    history.append("scored", at=AT)
    events = History.read(history.folder)
    assert [event.kind for event in events] == ["gate_started", "finding", "scored"]
    assert finding_from(events[1].data) == FINDING
    assert events[2].data == {"at": "2026-11-24T06:30:15.250Z"}
    assert events[0].at <= events[1].at <= events[2].at


def test_what_append_returns_is_what_is_read(history: History) -> None:
    event = history.append(
        "change_opened", id="1", gate="A", what="kill", undo=[{"by": "process", "arguments": {"n": 1}}]
    )
    (read,) = History.read(history.folder)
    assert read.data == event.data


def test_no_secret_is_written(tmp_path: Path) -> None:
    redactor = Redactor()
    redactor.add("hunter\n2\\hunter")
    history = History.create(tmp_path, redactor)
    history.append("note", text="it says hunter\n2\\hunter", details={"hunter\n2\\hunter": ["hunter\n2\\hunter"]})
    assert "hunter" not in (tmp_path / FILE).read_text()


def test_it_is_its_owners_and_begins_once(history: History) -> None:
    assert stat.S_IMODE((history.folder / FILE).stat().st_mode) == 0o600
    with pytest.raises(UsageError, match="a new folder"):
        History.create(history.folder, Redactor())


def test_an_unknown_kind_is_refused(history: History) -> None:
    with pytest.raises(ValueError, match="unknown kind"):
        history.append("notes", text="x")


def test_threads_do_not_tear_each_others_lines(history: History) -> None:
    def write(name: int) -> None:
        for n in range(50):
            history.append("note", text=f"{name} {n} " + "x" * 2000)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(History.read(history.folder)) == 200


WRITTEN = b"".join(
    json.dumps({"at": "2026-11-24T06:30:15.250Z", "kind": "note", "data": {"text": f"café {n}"}}).encode() + b"\n"
    for n in range(4)
)


@given(length=st.integers(0, len(WRITTEN)))
def test_a_run_killed_at_any_byte_is_read_up_to_there(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    folder = tmp_path_factory.mktemp("run")
    (folder / FILE).write_bytes(WRITTEN[:length])
    whole = WRITTEN[:length].count(b"\n")
    assert len(History.read(folder)) in (whole, whole + 1)


@pytest.mark.parametrize(
    "line", ["{", "[]", "5", '{"at": "x", "kind": "note", "data": {}}', '{"kind": "note"}', "\x00\x00"]
)
def test_a_broken_line_in_the_middle_is_told_and_at_the_end_ignored(tmp_path: Path, line: str) -> None:
    path = tmp_path / FILE
    path.write_bytes(WRITTEN + line.encode())
    assert len(History.read(tmp_path)) == 4
    path.write_bytes(line.encode() + b"\n" + WRITTEN)
    with pytest.raises(UsageError, match=r"history\.jsonl:1: not an event"):
        History.read(tmp_path)


def test_no_history_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="give the folder of a run"):
        History.read(tmp_path)
