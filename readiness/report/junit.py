"""`junit.xml`: one test case a gate, one suite a pillar, written from the findings."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from junitparser import Error, Failure, Skipped
from junitparser.xunit2 import JUnitXml, TestCase, TestSuite

from readiness.model import Breach
from readiness.report.entries import Entry, entries
from readiness.report.files import write_text
from readiness.report.record import RunRecord
from readiness.score.model import Scorecard, State
from readiness.wording import RUN_ITSELF, measurement_text

FILE = "junit.xml"

RESULTS: dict[State, type[Failure] | type[Error] | type[Skipped] | None] = {
    State.PASS: None,
    State.FAIL: Failure,
    State.UNKNOWN: Error,
    State.STALE: Error,
    State.NOT_APPLICABLE: Skipped,
}
"""State → what the test case is; a gate that was left out, or left for later, is no test case, since nobody ran it."""


def write(run: RunRecord, card: Scorecard, folder: Path) -> None:
    """Write the JUnit XML of a run into its folder."""
    xml = JUnitXml("readiness")
    listed = [entry for entry in entries(run, card) if entry.state in RESULTS]
    for pillar in dict.fromkeys(entry.gate.pillar for entry in listed):
        xml.add_testsuite(_suite(run, card, pillar, [entry for entry in listed if entry.gate.pillar == pillar]))
    if run.breaches:
        xml.add_testsuite(_breach_suite(run))
    xml.update_statistics()  # type: ignore[no-untyped-call]
    ElementTree.indent(xml._elem)
    text = ElementTree.tostring(xml._elem, encoding="unicode")
    write_text(folder / FILE, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n')


def _suite(run: RunRecord, card: Scorecard, pillar: str, listed: list[Entry]) -> TestSuite:
    suite = TestSuite(pillar)  # type: ignore[no-untyped-call]
    suite.timestamp = f"{run.began_at:%Y-%m-%dT%H:%M:%S}"
    suite.add_property("deployment", run.deployment.name)
    suite.add_property("decision", card.decision.value)
    suite.add_property("scope", str(card.scope))
    for entry in listed:
        suite.add_testcase(_case(entry))
    return suite


def _case(entry: Entry) -> TestCase:
    gate, finding = entry.gate, entry.finding
    case = TestCase(f"{gate.id} {gate.claim}", f"readiness.{gate.module or gate.capability}")
    case.time = round(finding.duration_s, 3) if finding and not finding.carried_from else 0.0
    age = "" if entry.score.age_s is None else f"{entry.score.age_s:.3f}"
    for name, value in (
        ("id", gate.id),
        ("risk", gate.risk.value),
        ("blocking", str(gate.blocking).lower()),
        ("mode", gate.mode.value),
        ("state", entry.state.value),
        ("evidence_sha256", entry.evidence_digest),
        ("age_s", age),
    ):
        case.add_property(name, value)
    result = RESULTS[entry.state]
    if result is not None:
        told = result(entry.reason, entry.state.value)
        told.text = _details(entry)
        case.result = [told]
    return case


def _details(entry: Entry) -> str:
    lines = [entry.reason, *map(measurement_text, entry.broken)]
    if entry.finding and entry.finding.remedy:
        lines.append(f"to do: {entry.finding.remedy}")
    return "\n".join(lines)


def _breach_suite(run: RunRecord) -> TestSuite:
    suite = TestSuite(RUN_ITSELF)  # type: ignore[no-untyped-call]
    suite.timestamp = f"{run.began_at:%Y-%m-%dT%H:%M:%S}"
    for breach in run.breaches:
        suite.add_testcase(_breach_case(breach))
    return suite


def _breach_case(breach: Breach) -> TestCase:
    case = TestCase(breach.what, "readiness.run", 0.0)
    told = Failure(breach.reason, breach.kind.value)
    told.text = f"{breach.reason}\nto do: {breach.remedy}"
    case.result = [told]
    return case
