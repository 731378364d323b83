"""All formats say the same, and say it again byte for byte."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from junitparser import JUnitXml

from readiness.errors import UsageError
from readiness.report import FORMATS, write_all, write_format
from readiness.report.allure import STATUSES
from readiness.report.document import schema
from readiness.schemas import FOLDER
from readiness.score import Scorecard, State
from tests.report.history import write_history
from tests.report.stories import NOT_READY, READY, Story, hostile

STORIES = {
    "ready": READY,
    "not ready": NOT_READY,
    "hostile": hostile(NOT_READY),
    "killed": Story(complete=False, left_out=("OPS-REC-004",)),
}


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def states(card: Scorecard) -> dict[str, str]:
    return {g.gate: g.state.value for p in card.pillars for c in p.capabilities for g in c.gates}


@pytest.fixture(params=list(STORIES.values()), ids=list(STORIES))
def written(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Scorecard]:
    folder = write_history(tmp_path / "run", request.param)
    return folder, write_all(folder)


def test_writing_again_gives_the_same_bytes(written: tuple[Path, Scorecard]) -> None:
    folder, card = written
    before = files(folder)
    assert write_all(folder) == card
    assert files(folder) == before


@pytest.mark.parametrize("format", FORMATS)
def test_one_format_alone_gives_the_same_bytes(format: str, tmp_path: Path) -> None:
    whole, one = write_history(tmp_path / "whole", NOT_READY), write_history(tmp_path / "one", NOT_READY)
    write_all(whole)
    untouched = set(files(one))
    write_format(one, format)
    made = {name: content for name, content in files(one).items() if name not in untouched}
    assert made
    assert made.items() <= files(whole).items()


def test_an_unknown_format_is_a_usage_error_that_names_the_known(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="format 'pdf' is not known; allowed: json, junit, allure, summary, html"):
        write_format(write_history(tmp_path, READY), "pdf")


def test_the_json_is_valid_and_says_what_the_scorecard_says(written: tuple[Path, Scorecard]) -> None:
    folder, card = written
    told = json.loads((folder / "readiness.json").read_text(encoding="utf-8"))
    Draft202012Validator(schema(), format_checker=Draft202012Validator.FORMAT_CHECKER).validate(told)
    assert (told["decision"], told["exit_code"]) == (card.decision, card.decision.exit_code)
    assert (told["proven"], told["possible"]) == (card.proven, card.possible)
    assert {gate["id"]: gate["state"] for gate in told["gates"]} == states(card)
    assert told["reasons"] == list(card.reasons)


def test_the_shipped_schema_is_current() -> None:
    assert json.loads((FOLDER / "readiness.json").read_text(encoding="utf-8")) == schema()


def test_the_junit_xml_says_the_same(written: tuple[Path, Scorecard]) -> None:
    folder, card = written
    xml = JUnitXml.fromfile(str(folder / "junit.xml"))
    told = {}
    for suite in xml:
        for case in suite:
            properties = {p.get("name"): p.get("value") for p in case._elem.iter("property")}
            if "id" in properties:
                told[properties["id"]] = properties["state"]
                kinds = [type(result).__name__.lower() for result in case.result]
                assert kinds == {"PASS": [], "FAIL": ["failure"], "NOT_APPLICABLE": ["skipped"]}.get(
                    properties["state"] or "", ["error"]
                )
    assert told == {gate: state for gate, state in states(card).items() if state != "LEFT_OUT"}
    undone = sum(blocker.state == "UNDO_FAILED" for blocker in card.blockers)
    assert xml.failures == card.counts["FAIL"] + undone
    assert xml.errors == card.counts["UNKNOWN"] + card.counts["STALE"]


def test_the_allure_results_say_the_same(written: tuple[Path, Scorecard]) -> None:
    folder, card = written
    results = [
        json.loads(path.read_text(encoding="utf-8")) for path in (folder / "allure-results").glob("*-result.json")
    ]
    told = {}
    for result in results:
        labels = {label["name"]: label["value"] for label in result["labels"]}
        if "story" in labels:
            told[labels["story"]] = result["status"]
    expected = {gate: STATUSES[State(state)] for gate, state in states(card).items() if state != "LEFT_OUT"}
    assert told == expected


def test_summary_and_page_say_the_same(written: tuple[Path, Scorecard]) -> None:
    folder, card = written
    summary = (folder / "summary.md").read_text(encoding="utf-8")
    page = (folder / "report.html").read_text(encoding="utf-8")
    headline = f"{card.decision.replace('_', ' ')} for {card.scope}"
    assert headline in summary.splitlines()[0].replace("\\", "")
    assert f"<h1>{card.decision.replace('_', ' ')}</h1>" in page
    assert dict(re.findall(r'id="([A-Z]{3}-[A-Z]{2,3}-\d{3})" data-state="(\w+)"', page)) == states(card)
    rows = dict(re.findall(r"^\| ([A-Z]{3}-[A-Z]{2,3}-\d{3}) \|.*?\| \**([A-Z ]+?)\** \|", summary, re.MULTILINE))
    assert {gate: state.replace(" ", "_") for gate, state in rows.items()} == states(card)
