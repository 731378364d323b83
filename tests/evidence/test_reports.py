from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from readiness.errors import Undecidable
from readiness.evidence.reports import read_report

REPORT = """<?xml version="1.0"?>
<testsuites>
  <testsuite name="unit" tests="99" timestamp="2026-11-24T08:00:00">
    <properties><property name="digest" value="sha256:abc"/></properties>
    <testcase name="a"/><testcase name="b"><failure message="no"/></testcase>
    <testcase name="c"><skipped/></testcase><testcase name="d"><error message="oh"/></testcase>
  </testsuite>
  <testsuite name="empty"/>
</testsuites>
"""


def test_the_cases_are_counted_and_not_the_claims(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(REPORT)
    unit, empty = read_report(path).suites
    assert (unit.tests, unit.passed, unit.failures, unit.errors, unit.skipped) == (4, 1, 1, 1, 1)
    assert unit.properties == {"digest": "sha256:abc"}
    assert unit.timestamp == datetime(2026, 11, 24, 8, tzinfo=UTC)
    assert (empty.tests, empty.timestamp) == (0, None)


def test_a_single_suite_is_a_report_too(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text('<testsuite name="only"><testcase name="a"/></testsuite>')
    assert [suite.passed for suite in read_report(path).suites] == [1]


@pytest.mark.parametrize("text", ["", "<html/>", "{}", "<testsuite", '<!DOCTYPE x [<!ENTITY a "b">]><testsuites/>'])
def test_what_is_no_report_is_undecidable(tmp_path: Path, text: str) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(text)
    with pytest.raises(Undecidable, match=r"junit\.xml"):
        read_report(path)
    with pytest.raises(Undecidable, match=r"absent\.xml"):
        read_report(tmp_path / "absent.xml")
