"""The Allure results are laid out for its views, trend from run to run, and stay small."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from readiness.model import Measurement
from readiness.report import write_format
from readiness.report.allure import FOLDER, MAX_ATTACHMENT_BYTES
from tests.report.history import write_history
from tests.report.stories import NOT_READY, Story, Told


def results(folder: Path, story: Story) -> dict[str, dict[str, Any]]:
    write_format(write_history(folder, story), "allure")
    read = (json.loads(path.read_text(encoding="utf-8")) for path in (folder / FOLDER).glob("*-result.json"))
    return {result["name"].split(" ")[0]: result for result in read}


@pytest.fixture
def rollback(tmp_path: Path) -> dict[str, Any]:
    return results(tmp_path, NOT_READY)["OPS-DEP-003"]


def test_the_labels_place_a_gate_in_every_view(rollback: dict[str, Any]) -> None:
    labels = [(label["name"], label["value"]) for label in rollback["labels"]]
    for expected in (
        ("epic", "Operational Procedures"),
        ("feature", "Deployment procedure"),
        ("story", "OPS-DEP-003"),
        ("severity", "blocker"),
        ("tag", "blocking"),
        ("tag", "drill"),
    ):
        assert expected in labels


def test_steps_tell_what_was_done_and_how_the_changes_ended(rollback: dict[str, Any]) -> None:
    names = [step["name"] for step in rollback["steps"]]
    assert "look at it first" in names
    assert "change: a replica of planner is killed: undone by drill" in names
    assert all(rollback["start"] <= step["start"] <= step["stop"] <= rollback["stop"] for step in rollback["steps"])


def test_measured_values_are_no_part_of_the_identity(tmp_path: Path) -> None:
    first = results(tmp_path / "a", NOT_READY)
    slower = replace(NOT_READY.told["OPS-DEP-003"], measurements=(Measurement("rollback_s", 99.0, "s"),))
    second = results(tmp_path / "b", replace(NOT_READY, told={**NOT_READY.told, "OPS-DEP-003": slower}))
    assert {k: r["historyId"] for k, r in first.items()} == {k: r["historyId"] for k, r in second.items()}
    assert len({result["historyId"] for result in first.values()}) == len(first)
    measured = [p for p in first["OPS-DEP-003"]["parameters"] if p["name"] != "deployment"]
    assert measured
    assert all(parameter["excluded"] is True for parameter in measured)


def test_evidence_is_attached_unless_it_is_large_missing_or_outside(tmp_path: Path) -> None:
    folder = write_history(tmp_path, NOT_READY)
    (folder / "evidence/OPS-DEP-003/observations.json").write_bytes(b"x" * (MAX_ATTACHMENT_BYTES + 1))
    (folder / "evidence/OPS-DEP-004/observations.json").unlink()
    history = folder / "history.jsonl"
    text = history.read_text(encoding="utf-8")
    history.write_text(text.replace("evidence/OPS-DEP-001/observations.json", "../../etc/hostname"), encoding="utf-8")
    write_format(folder, "allure")
    attached = {}
    for path in (folder / FOLDER).glob("*-result.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        attached[result["name"].split(" ")[0]] = [a["name"] for a in result.get("attachments", ())]
    assert attached["OPS-BAK-003"] == ["finding", "observations"]
    assert attached["OPS-DEP-003"] == ["finding", "load spike (csv)", "load spike (json)"]
    assert attached["OPS-DEP-004"] == attached["OPS-DEP-001"] == ["finding"]
    assert all(path.stat().st_size <= MAX_ATTACHMENT_BYTES for path in (folder / FOLDER).iterdir())


def test_environment_executor_categories_and_the_scorecard_are_there(tmp_path: Path) -> None:
    results(tmp_path, NOT_READY)
    lines = (tmp_path / FOLDER / "environment.properties").read_text(encoding="utf-8").splitlines()
    assert "decision = NOT_READY" in lines
    assert "release.candidate = 2.3.1" in lines
    executor = json.loads((tmp_path / FOLDER / "executor.json").read_text(encoding="utf-8"))
    assert executor["buildName"] == "2026-11-24T093000Z-ci"
    categories = json.loads((tmp_path / FOLDER / "categories.json").read_text(encoding="utf-8"))
    assert {status for category in categories for status in category["matchedStatuses"]} == {
        "failed",
        "broken",
        "skipped",
    }
    (globals_file,) = (tmp_path / FOLDER).glob("*-globals.json")
    (attachment,) = json.loads(globals_file.read_text(encoding="utf-8"))["attachments"]
    card = json.loads((tmp_path / FOLDER / attachment["source"]).read_text(encoding="utf-8"))
    assert card["decision"] == "NOT_READY"


def test_an_environment_value_stays_on_its_line(tmp_path: Path) -> None:
    folder = write_history(tmp_path, Story({"OPS-DEP-001": Told()}))
    history = folder / "history.jsonl"
    text = history.read_text(encoding="utf-8")
    history.write_text(text.replace('"name": "nexus"', '"name": "ne\\nxus = 1\\\\"', 1), encoding="utf-8")
    write_format(folder, "allure")
    lines = (folder / FOLDER / "environment.properties").read_text(encoding="utf-8").splitlines()
    assert "deployment = ne\\nxus = 1\\\\" in lines


def test_what_an_earlier_writing_left_is_gone(tmp_path: Path) -> None:
    folder = write_history(tmp_path, NOT_READY)
    write_format(folder, "allure")
    (folder / FOLDER / "old-result.json").write_text("{}", encoding="utf-8")
    write_format(folder, "allure")
    assert not (folder / FOLDER / "old-result.json").exists()
