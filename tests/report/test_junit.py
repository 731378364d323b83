"""The JUnit XML has the elements and attributes that tools know, and nothing else."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from readiness.report import write_format
from tests.report.history import write_history
from tests.report.stories import NOT_READY, hostile

COMMON: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": ({"name", "tests", "failures", "errors", "time"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
        {"properties", "testcase"},
    ),
    "testcase": ({"name", "classname", "time"}, {"properties", "failure", "error", "skipped"}),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "failure": ({"message", "type"}, set()),
    "error": ({"message", "type"}, set()),
    "skipped": ({"message", "type"}, set()),
}
"""Element → its attributes and children: what CI systems read (pytest, Maven Surefire and Jenkins agree on it)."""


@pytest.fixture(params=[NOT_READY, hostile(NOT_READY)], ids=["not ready", "hostile"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> ElementTree.Element:
    write_format(write_history(tmp_path, request.param), "junit")
    return ElementTree.parse(tmp_path / "junit.xml").getroot()


def test_it_keeps_to_the_common_form(root: ElementTree.Element) -> None:
    assert root.tag == "testsuites"
    for element in root.iter():
        attributes, children = COMMON[element.tag]
        assert set(element.attrib) <= attributes
        assert {child.tag for child in element} <= children


def test_the_sums_are_those_of_the_cases(root: ElementTree.Element) -> None:
    for suite in root.iter("testsuite"):
        assert int(suite.attrib["tests"]) == len(list(suite.iter("testcase")))
        assert int(suite.attrib["failures"]) == len(list(suite.iter("failure")))
        assert int(suite.attrib["errors"]) == len(list(suite.iter("error")))
        assert int(suite.attrib["skipped"]) == len(list(suite.iter("skipped")))
    assert int(root.attrib["tests"]) == len(list(root.iter("testcase"))) == 20


def test_a_gate_carries_its_properties(tmp_path: Path) -> None:
    write_format(write_history(tmp_path, NOT_READY), "junit")
    case = ElementTree.parse(tmp_path / "junit.xml").find(".//testcase[@name='OPS-DEP-003 rollback moves all traffic']")
    assert case is not None
    told = {element.attrib["name"]: element.attrib["value"] for element in case.iter("property")}
    assert told.pop("evidence_sha256").isalnum()
    assert float(told.pop("age_s")) > 0
    assert told == {"id": "OPS-DEP-003", "risk": "critical", "blocking": "true", "mode": "drill", "state": "FAIL"}


def test_a_change_that_was_not_undone_is_a_failure_of_its_own(root: ElementTree.Element) -> None:
    undo = [suite for suite in root.iter("testsuite") if suite.attrib["name"] == "The run itself"]
    assert [len(list(suite.iter("failure"))) for suite in undo] == [1]
