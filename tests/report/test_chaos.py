"""Every format tells of the experiments what it can carry: the witness, the recovery, what was lost, the journal."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from readiness.chaos.telling import told as told_of
from readiness.chaos.verdict import verdict
from readiness.errors import UsageError
from readiness.history import KINDS, Event
from readiness.records import to_data
from readiness.report import RunRecord, scorecard, write_all, write_format
from readiness.report.allure import FOLDER, MAX_ATTACHMENT_BYTES
from readiness.report.axis import MOST_COLUMNS
from readiness.report.chaos_plot import ChaosPlot, chaos_plot
from readiness.report.chaos_record import ChaosFault, ChaosSecond, Trial
from readiness.report.chaos_words import headline, losses
from readiness.report.html import page
from tests.chaos.trials import facts
from tests.report.history import events, write_history
from tests.report.stories import BEGAN, NOT_READY, READY, Story, hostile
from tests.report.trials import JOURNAL, LOST, SHOWS_NOTHING, TRIALS, WITHSTOOD

RUN = RunRecord.from_history(events(NOT_READY))


def text(story: Story) -> str:
    run = RunRecord.from_history(events(story))
    return " ".join(re.sub(r"<[^>]*>", " ", page(run, scorecard(run))).split())


def plot(number: int) -> ChaosPlot:
    made = chaos_plot(RUN.trials[number])
    assert made is not None
    return made


def test_an_experiment_is_kept_in_the_record_with_its_seconds() -> None:
    assert "chaos" in KINDS
    assert [trial.experiment for trial in RUN.trials] == [trial["experiment"] for trial in TRIALS]
    first = RUN.trials[0]
    assert (first.outcome, first.lost, len(first.traffic), first.faults[0].verified) == ("PASS", 0, 32, True)
    assert not hasattr(first.summary, "traffic")


def test_a_history_of_before_there_was_chaos_reads_as_ever(tmp_path: Path) -> None:
    folder = write_history(tmp_path, READY)
    write_all(folder)
    assert 'id="chaos"' not in (folder / "report.html").read_text(encoding="utf-8")
    assert "## Chaos" not in (folder / "summary.md").read_text(encoding="utf-8")
    assert json.loads((folder / "readiness.json").read_text(encoding="utf-8"))["trials"] == []


def test_the_page_shows_the_fault_its_witness_and_what_came_of_it() -> None:
    told = text(replace(READY, trials=(WITHSTOOD,)))
    assert "witnessed: planner-1 (pid 4711) is stopped: state T in /proc" in told
    assert "from 8.0 s, for 12.0 s; undone in 83 ms, everything as before" in told
    assert "were the run to die: by the reaper within a second, or by readiness heal" in told
    assert "in time recovered between 0.3 s and 0.9 s" in told
    assert "Nothing lost, nothing done twice." in told
    assert "share as meant, fault less control: -2.8% (-14.2% to +10.1%)" in told
    assert "Not asked: cost is bounded (workload.bounds.cost is not declared)" in told


def test_what_went_wrong_and_what_is_not_known_is_told_in_words() -> None:
    told = text(replace(READY, trials=(LOST, SHOWS_NOTHING)))
    assert "2 lost, an unknown number done twice." in told
    assert "broken everything that was accepted ends 2 of 90: rd-5f-7" in told
    assert "too slow not seen to recover" in told
    assert "and 2 more faults" in told
    assert "nothing showed that it was in force" in told
    assert "still in force when the history ends" in told
    assert "Not known what was lost or done twice." in told


def test_gate_and_experiment_are_linked_and_drawn_once() -> None:
    source = page(RUN, scorecard(RUN))
    assert '<a href="#chaos-1">Experiment agent-frozen</a>' in source
    assert 'id="drill-ARC-ORC-003"' not in source
    assert 'id="drill-OPS-DEP-003"' in source
    assert f'<a href="{JOURNAL}">' in source


def test_a_journal_is_linked_only_inside_the_run() -> None:
    for journal in ("../chaos/x", "chaos/../../x", "javascript:alert(1)", "/chaos/x", "chaos", "", "history.jsonl"):
        assert replace(RUN.trials[0], journal=journal).link == ""
    evil = RunRecord.from_history(events(hostile(NOT_READY)))
    assert "javascript" not in re.sub(r"<code>.*?</code>", "", page(evil, scorecard(evil)))


def test_the_summary_has_one_line_an_experiment(tmp_path: Path) -> None:
    for name, story in {"plain": NOT_READY, "hostile": hostile(NOT_READY)}.items():
        folder = write_history(tmp_path / name, story)
        write_format(folder, "summary")
        lines = (folder / "summary.md").read_text(encoding="utf-8").splitlines()
        section = lines[lines.index("## Chaos") + 2 :]
        told = section[: section.index("")]
        outcomes = [re.sub(r".*\*\* ", "", line).split(":")[0] for line in told]
        assert outcomes == ["PASS", "FAIL", "UNKNOWN", "UNKNOWN"]


def test_the_json_has_the_experiments_without_their_seconds(tmp_path: Path) -> None:
    folder = write_history(tmp_path, NOT_READY)
    write_format(folder, "json")
    first = json.loads((folder / "readiness.json").read_text(encoding="utf-8"))["trials"][0]
    assert first == {name: value for name, value in WITHSTOOD.items() if name != "traffic"}


def test_allure_gets_facts_and_journal_with_the_gate(tmp_path: Path) -> None:
    folder = write_history(tmp_path, NOT_READY)
    write_format(folder, "allure")
    attached = {}
    for file in (folder / FOLDER).glob("*-result.json"):
        result = json.loads(file.read_text(encoding="utf-8"))
        attached[result["name"].split(" ")[0]] = {one["name"]: one for one in result.get("attachments", ())}
    kept = attached["ARC-ORC-003"]
    assert [name for name in kept if name.startswith("chaos")] == [
        "chaos agent-frozen (json)",
        "chaos agent-frozen (journal)",
    ]
    journal = (folder / FOLDER / kept["chaos agent-frozen (journal)"]["source"]).read_bytes()
    assert journal == (folder / JOURNAL).read_bytes()
    assert [name for name in attached["OPS-REC-004"] if "chaos" in name] == ["chaos queue-link-flapping (json)"]
    (folder / JOURNAL).write_bytes(b"x" * (MAX_ATTACHMENT_BYTES + 1))
    write_format(folder, "allure")
    assert all(path.stat().st_size <= MAX_ATTACHMENT_BYTES for path in (folder / FOLDER).iterdir())


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"outcome": "GREAT"}, "outcome"),
        ({"windows": [{"name": "later", "began_at": "2026-01-01T00:00:00Z"}]}, "windows.0.name"),
        ({"faults": [{"what": "x", "opened_at": "2026-01-01T00:00:00"}]}, "faults.0.opened_at"),
        ({"recovery": {"lo_s": -1}}, "recovery.lo_s"),
        ({"traffic": [{"second": "soon"}]}, "traffic.0.second"),
        ({"figures": [{"name": "after", "share_lo": 2}]}, "figures.0.share_lo"),
    ],
)
def test_what_no_trial_can_have_seen_is_refused_in_one_line(broken: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=f"a 'chaos' line cannot be read: {said}") as refused:
        RunRecord.from_history([*events(READY), Event(BEGAN, "chaos", {**WITHSTOOD, **broken})])
    assert "\n" not in str(refused.value)


def test_what_the_harness_tells_is_what_the_report_reads() -> None:
    made = facts()
    event = to_data(told_of(made, verdict(made), gate="ARC-ORC-003", title="x", journal=JOURNAL))
    trial = RunRecord.from_history([*events(READY), Event(BEGAN, "chaos", event)]).trials[0]
    assert set(event) == set(WITHSTOOD)
    assert (trial.outcome, len(trial.traffic), trial.figures[1].good) == ("PASS", 60, 40)
    assert trial.recovery is not None
    assert (trial.recovery.hi_s, trial.recovery.holds) == (0.2, True)
    assert headline(trial).startswith("freeze agent-1: witnessed, and undone; recovered between 0 ms and 200 ms")


def test_everything_lies_inside_the_picture() -> None:
    made = plot(1)
    assert (made.length_s, len(made.columns), len(made.bars), made.lanes) == (40, 40, 6, 1)
    assert [(band.name, band.left, band.width) for band in made.bands] == [
        ("control", 0, 15),
        ("fault", 15, 45),
        ("after", 60, 40),
    ]
    places = [(bar.left, bar.width) for bar, _ in made.bars] + [(one.left, one.width) for one in made.columns]
    assert all(0 <= left <= left + width <= 100.001 for left, width in places)
    assert (made.recovery, made.limit and made.limit.left) == (None, 85)
    assert max(column.failed for column in made.columns) == 100
    assert dict(made.latency_paths)["p50"].count("M") == 7
    assert chaos_plot(RUN.trials[3]) is None


def test_the_recovery_is_drawn_between_its_bounds() -> None:
    made = plot(0)
    assert made.recovery is not None
    assert (made.recovery.left, round(made.recovery.left + made.recovery.width, 1)) == (63.438, 65.3)
    assert made.limit is None


INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


@given(st.lists(INSTANTS, max_size=5), st.lists(st.tuples(INSTANTS, st.none() | INSTANTS), max_size=5))
def test_any_instants_make_a_picture_of_bounded_size(
    seconds: list[datetime], faults: list[tuple[datetime, datetime | None]]
) -> None:
    trial = Trial(
        "x",
        "UNKNOWN",
        faults=tuple(ChaosFault("y", opened, undone_at=undone) for opened, undone in faults),
        traffic=tuple(ChaosSecond(second, 1, 1, 0, 5.0, 9.0) for second in seconds),
    )
    made = chaos_plot(trial)
    if made is not None:
        assert len(made.columns) <= MOST_COLUMNS
        assert all(0 <= one.left <= one.left + one.width <= 100.01 for one in made.columns)
        assert all(0 <= bar.left <= 100 for bar, _ in made.bars)


def test_a_long_trial_shows_the_worst_second_of_each_column() -> None:
    began = RUN.trials[0].traffic[0].second
    traffic = [ChaosSecond(began + timedelta(seconds=n), 2, 2, 0, 10.0, 20.0) for n in range(1000)]
    traffic[501] = ChaosSecond(traffic[501].second, 2, 0, 2, 900.0, 990.0)
    made = chaos_plot(Trial("x", "UNKNOWN", traffic=tuple(traffic)))
    assert made is not None
    assert (made.step_s, made.slowest_ms, made.most_rate) == (5, 990, 2)
    assert [column.failed for column in made.columns if column.failed] == [20]


def test_losses_are_told_only_where_they_are_known() -> None:
    first = RUN.trials[0]
    assert losses(replace(first, lost=0, done_twice=3)) == "0 lost, 3 done twice"
    assert losses(replace(first, lost=None, done_twice=0)) == "an unknown number lost, 0 done twice"
