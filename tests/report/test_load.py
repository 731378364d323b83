"""Every format tells of the load runs what it can carry, and none says of a system what an invalid run cannot."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from readiness.errors import UsageError
from readiness.history import KINDS, Event
from readiness.report import RunRecord, scorecard, write_all, write_format
from readiness.report.allure import FOLDER, MAX_ATTACHMENT_BYTES
from readiness.report.html import page
from readiness.report.load_words import CLOSED, SAYS_NOTHING, latency_text, rate_text, times_text
from tests.report.history import events, write_history
from tests.report.loads import CLOSED as CLOSED_RUN
from tests.report.loads import INVALID, SPIKE
from tests.report.stories import BEGAN, NOT_READY, READY, Story, hostile

ORDER = ["steady", "spike", "volume", "stress"]
"""As they ran: by their gates, and last the one whose gate is not in the catalogue."""


def text(story: Story) -> str:
    run = RunRecord.from_history(events(story))
    return " ".join(re.sub(r"<[^>]*>", " ", page(run, scorecard(run))).split())


def test_a_load_run_is_kept_in_the_record_with_its_seconds() -> None:
    assert "load" in KINDS
    run = RunRecord.from_history(events(NOT_READY))
    assert [load.profile for load in run.loads] == ORDER
    spike = run.loads[1]
    assert (spike.outcome, len(spike.stages), len(spike.seconds)) == ("FAIL", 3, 30)
    assert spike.seconds[3].p99_ms is None
    assert run.loads[2].total.p99_ms is None


def test_a_history_of_before_there_was_load_reads_as_ever(tmp_path: Path) -> None:
    folder = write_history(tmp_path, READY)
    write_all(folder)
    assert 'id="load"' not in (folder / "report.html").read_text(encoding="utf-8")
    assert "## Load" not in (folder / "summary.md").read_text(encoding="utf-8")
    assert json.loads((folder / "readiness.json").read_text(encoding="utf-8"))["loads"] == []


def test_the_page_shows_what_was_asked_achieved_and_waited_for() -> None:
    told = text(replace(NOT_READY, loads=(SPIKE,)))
    assert "after.p95 was 4.1 s, limit at most 2 s" in told
    assert re.search(r"spike 7\.0 s 200/s 131/s 1363 of 1363 919 248 196 1\.3 s .* 37 ms 88 ms 141 ms", told)
    assert "Omission factor 41 : the p99 from the intended start is 41 × that of the service time" in told
    assert "Criteria written 2026-11-24 09:29:58 UTC, before the run" in told
    assert "p99.9 at most 9 s stage before nothing not judged" in told
    assert "HTTP 503: no planner is free 161" in told
    assert "its queue was full from second 9 on" in told


def test_an_invalid_run_says_so_and_a_closed_one_too() -> None:
    invalid, closed = text(replace(READY, loads=(INVALID,))), text(replace(READY, loads=(CLOSED_RUN,)))
    assert f"Invalid: {SAYS_NOTHING}." in invalid
    assert CLOSED not in invalid
    assert CLOSED in closed
    assert SAYS_NOTHING not in closed
    assert "Omission factor" not in closed
    assert "Latency from the actual start" in closed
    assert "intended" not in closed
    assert "Corrected p99 2.3 s" in closed


def test_seconds_that_the_history_has_not_are_told_to_be_elsewhere() -> None:
    cut = {**SPIKE, "stages": [{**SPIKE["stages"][0], "duration_s": 7200}]}
    assert "The seconds after 30.0 s are not in the history" in text(replace(READY, loads=(cut,)))
    assert "are not in the history" not in text(replace(READY, loads=(SPIKE,)))


def test_a_request_that_was_a_hair_early_is_no_broken_history() -> None:
    early = {**SPIKE, "generator": {"late_p99_ms": -0.02}}
    assert RunRecord.from_history(events(replace(READY, loads=(early,)))).loads[0].generator.late_p99_ms == -0.02


def test_gate_and_load_run_are_linked_and_raw_files_only_inside_the_run() -> None:
    run = RunRecord.from_history(events(NOT_READY))
    source = page(run, scorecard(run))
    assert '<a href="#load-2">Load run spike</a>' in source
    assert '<a href="load/spike/">' in source
    for folder in ("../load/x", "load/../../x", "javascript:alert(1)", "//elsewhere/load", "/load", "", "."):
        assert replace(run.loads[1], folder=folder).link == ""
    evil = RunRecord.from_history(events(hostile(NOT_READY)))
    assert "javascript" not in re.sub(r"<code>.*?</code>", "", page(evil, scorecard(evil)))


def test_the_summary_has_one_line_a_profile(tmp_path: Path) -> None:
    for name, story in {"plain": NOT_READY, "hostile": hostile(NOT_READY)}.items():
        folder = write_history(tmp_path / name, story)
        write_format(folder, "summary")
        lines = (folder / "summary.md").read_text(encoding="utf-8").splitlines()
        section = lines[lines.index("## Load") + 2 :]
        told = section[: section.index("")]
        assert [re.sub(r".*\*\* ", "", line).split(":")[0] for line in told] == ["PASS", "FAIL", "INVALID", "INVALID"]
        assert CLOSED in told[0]
        assert "60.7/s asked, 45.3/s achieved" in told[1]
        assert all(SAYS_NOTHING in line for line in told[2:])


def test_the_json_has_the_runs_without_their_seconds(tmp_path: Path) -> None:
    folder = write_history(tmp_path, NOT_READY)
    write_format(folder, "json")
    told = json.loads((folder / "readiness.json").read_text(encoding="utf-8"))["loads"]
    assert [load["profile"] for load in told] == ORDER
    spike = told[1]
    assert "seconds" not in spike
    expected = {name: value for name, value in SPIKE.items() if name not in ("seconds", "folder")}
    assert {name: spike[name] for name in expected} == expected


def test_allure_gets_the_figures_with_the_gate_that_ran_them(tmp_path: Path) -> None:
    large = {**CLOSED_RUN, "errors": {f"{'x' * 1000}{n}": 1 for n in range(1100)}}
    folder = write_history(tmp_path, replace(NOT_READY, loads=(SPIKE, large)))
    write_format(folder, "allure")
    attached = {}
    for file in (folder / FOLDER).glob("*-result.json"):
        result = json.loads(file.read_text(encoding="utf-8"))
        attached[result["name"].split(" ")[0]] = {one["name"]: one for one in result.get("attachments", ())}
    table = attached["OPS-DEP-003"]["load spike (csv)"]
    with (folder / FOLDER / table["source"]).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["name"] for row in rows] == ["before", "spike", "after", "total"]
    assert (rows[1]["planned"], rows[1]["p99_ms"]) == ("1363", str(SPIKE["stages"][1]["p99_ms"]))
    data = json.loads((folder / FOLDER / attached["OPS-DEP-003"]["load spike (json)"]["source"]).read_text("utf-8"))
    assert data["reasons"] == SPIKE["reasons"]
    assert [name for name in attached["OBS-MET-002"] if name.startswith("load")] == ["load steady (csv)"]
    assert sum("load" in name for names in attached.values() for name in names) == 3
    sources = [one["source"] for gate in attached.values() for one in gate.values()]
    assert all((folder / FOLDER / source).stat().st_size <= MAX_ATTACHMENT_BYTES for source in sources)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"outcome": "GREAT"}, "outcome"),
        ({"total": {"p99_ms": float("nan")}}, "total.p99_ms"),
        ({"stages": [{"duration_s": -1}]}, "stages.0.duration_s"),
        ({"seconds": [{"second": 10**12}]}, "seconds.0.second"),
        ({"began_at": "2026-11-24T09:30:00"}, "began_at"),
    ],
)
def test_what_no_run_can_have_measured_is_refused_in_one_line(broken: dict[str, object], said: str) -> None:
    told = [*events(READY), Event(BEGAN, "load", {**SPIKE, **broken})]
    with pytest.raises(UsageError, match=f"a 'load' line cannot be read: {said}") as refused:
        RunRecord.from_history(told)
    assert "\n" not in str(refused.value)


def test_figures_are_written_as_people_read_them() -> None:
    assert [latency_text(ms) for ms in (None, 0, 3.25, 37.4, 2800)] == ["–", "0 ms", "3.2 ms", "37 ms", "2.8 s"]
    assert [rate_text(rate) for rate in (None, 0, 0.5, 19.83, 20, 1250)] == [
        "–",
        "0/s",
        "0.5/s",
        "19.8/s",
        "20/s",
        "1,250/s",
    ]
    assert [times_text(factor) for factor in (1, 1.23, 182.4)] == ["1", "1.2", "182"]
