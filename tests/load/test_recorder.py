"""The recorder's files: raw up to the cap, counts beyond it, readable after a kill at any byte, flat in memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from readiness.load.plan import Plan, Stage, to_data
from readiness.load.recorder import CAP_VARIABLE, CHUNK, MAX_KINDS, MAX_ROWS, Recorder
from readiness.load.results import read
from readiness.load.samples import DTYPE, Outcome

PLAN = Plan("steady", (Stage("measure", 100.0, 10.0, 10.0),))


def recorder_in(folder: Path, cap: int | None = None) -> Recorder:
    folder.mkdir(exist_ok=True)
    (folder / "plan.json").write_text(json.dumps(to_data(PLAN)))
    return Recorder(folder, 0, cap)


def fill(recorder: Recorder, n: int, first: int = 0) -> None:
    for number in range(first, first + n):
        at_s = number / 10
        recorder.add(at_s, at_s + 0.001, at_s + 0.001 * (1 + number % 100), 0, Outcome.OK, 200, 0)


def test_samples_are_read_as_they_were_recorded(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    kind = recorder.kind("HTTP 500")
    recorder.add(1.0, 1.25, 1.5, 0, Outcome.OK, 200, 0)
    recorder.add(2.0, 2.25, 2.5, 0, Outcome.ERROR, 500, kind)
    recorder.end((0, 1), 2, "complete")
    samples = read(tmp_path).samples()
    assert samples.tolist() == [(1.0, 1.25, 1.5, 0, 0, 200, 0), (2.0, 2.25, 2.5, 0, 4, 500, 1)]
    assert dict(read(tmp_path).errors) == {"HTTP 500": 1}


def test_beyond_the_cap_only_counts_are_kept_and_nothing_is_lost(tmp_path: Path) -> None:
    whole, capped = recorder_in(tmp_path / "whole"), recorder_in(tmp_path / "capped", cap=300)
    for recorder in (whole, capped):
        fill(recorder, 1000)
        recorder.end((0, 1), 1000, "complete")
    exact, counted = read(tmp_path / "whole"), read(tmp_path / "capped")
    assert (exact.raw, counted.raw) == (True, False)
    assert counted.total.started == 1000
    assert [row.started for row in counted.seconds] == [row.started for row in exact.seconds]
    for q in (0.5, 0.95, 0.99, 1.0):
        assert counted.quantile_s(q) == pytest.approx(exact.quantile_s(q), rel=0.008)
    assert (tmp_path / "capped" / "worker-0.samples").stat().st_size == 300 * np.dtype(DTYPE).itemsize


def test_the_cap_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CAP_VARIABLE, "5")
    recorder = recorder_in(tmp_path)
    fill(recorder, 7)
    recorder.end((0, 1), 7, "complete")
    assert (tmp_path / "worker-0.samples").stat().st_size == 5 * np.dtype(DTYPE).itemsize


def test_memory_is_flat_however_many_samples_come(tmp_path: Path) -> None:
    """Counted, not timed: what the recorder holds back is bounded by chunk and rows, whatever came before."""
    recorder = recorder_in(tmp_path, cap=CHUNK * 3)
    for number in range(20_000):
        at_s = number * 7.3  # nearly every sample in a second of its own
        recorder.add(at_s, at_s, at_s + 0.01, 0, Outcome.OK, 200, 0)
        assert len(recorder._chunk) <= CHUNK * 31
        assert len(recorder._rows) <= MAX_ROWS
    recorder.end((0, 1), 20_000, "complete")
    rows = json.loads((tmp_path / "worker-0.rollup.json").read_text())["rows"]
    assert sum(row[3] for row in rows) == 20_000 - CHUNK * 3


def test_error_kinds_are_numbered_once_and_bounded(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    assert [recorder.kind("a"), recorder.kind("b"), recorder.kind("a")] == [1, 2, 1]
    numbers = {recorder.kind(f"error {number}") for number in range(2 * MAX_KINDS)}
    recorder.end((0, 1), 0, "complete")
    assert max(numbers) == MAX_KINDS + 1
    lines = [json.loads(line) for line in (tmp_path / "worker-0.beats.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == list(range(1, MAX_KINDS + 2))


@pytest.mark.parametrize("torn", [1, 17, 30])
def test_a_worker_killed_within_a_write_loses_that_record_alone(tmp_path: Path, torn: int) -> None:
    recorder = recorder_in(tmp_path)
    fill(recorder, 50)
    recorder.beat({"at_s": 0.5})
    recorder.flush()
    recorder.close()
    samples, beats = tmp_path / "worker-0.samples", tmp_path / "worker-0.beats.jsonl"
    samples.write_bytes(samples.read_bytes()[:-torn])
    beats.write_bytes(beats.read_bytes()[:-3])
    result = read(tmp_path)
    assert result.total.started == 49
    assert (result.workers_ended, result.workers_expected) == (0, 1)


def test_counts_of_a_killed_worker_are_read_as_far_as_they_were_written(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path, cap=0)
    fill(recorder, 10 * (MAX_ROWS + 10))
    recorder.close()
    result = read(tmp_path)
    assert result.total.started == 10 * MAX_ROWS
    lines = tmp_path / "worker-0.rollup.jsonl"
    lines.write_bytes(lines.read_bytes()[:-5])
    assert read(tmp_path).total.started == 10 * (MAX_ROWS - 1)


def test_what_was_left_unfinished_is_named(tmp_path: Path) -> None:
    recorder = recorder_in(tmp_path)
    recorder.unfinished("rd-1", "job-7", "LATE")
    recorder.end((0, 1), 1, "complete")
    assert read(tmp_path).unfinished == ({"marker": "rd-1", "id": "job-7", "outcome": "LATE"},)
