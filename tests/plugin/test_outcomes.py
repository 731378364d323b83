"""One gate, one finding: how a gate ends decides its outcome, everywhere the same."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from readiness.reachability import unreachable
from tests.plugin.conftest import Judge

EXPECTED = {
    "OBS-MET-901": "PASS",
    "OBS-LOG-901": "FAIL",
    "OBS-LOG-902": "UNKNOWN",
    "OPS-DEP-901": "FAIL",
    "OPS-DEP-902": "UNKNOWN",
    "OPS-REC-901": "PASS",
    "OPS-BAK-901": "UNKNOWN",
    "PAT-SL-901": "NOT_APPLICABLE",
}
Card = Callable[[], dict[str, Any]]


def findings(folder: Path) -> dict[str, dict[str, Any]]:
    events = [json.loads(line) for line in (folder / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    return {event["data"]["gate"]: event["data"] for event in events if event["kind"] == "finding"}


def test_every_end_of_a_gate_makes_its_outcome_in_every_report(judge: Judge, card: Card, tmp_path: Path) -> None:
    result = judge(f"--junitxml={tmp_path}/pytest.xml", f"--alluredir={tmp_path}/allure")
    assert result.ret == 10
    assert {gate["id"]: gate["state"] for gate in card()["gates"]} == EXPECTED
    result.assert_outcomes(passed=2, failed=2, skipped=0)
    cases = {case.get("name"): case for case in ElementTree.parse(tmp_path / "pytest.xml").iter("testcase")}
    told = {name: {p.get("name"): p.get("value") for p in case.iter("property")} for name, case in cases.items()}
    assert {name: properties["state"] for name, properties in told.items()} == EXPECTED
    failed = {name for name, case in cases.items() if case.find("failure") is not None}
    assert failed == {name for name, state in EXPECTED.items() if state in ("FAIL", "UNKNOWN")}
    results = [json.loads(path.read_text(encoding="utf-8")) for path in (tmp_path / "allure").glob("*-result.json")]
    assert len(results) == len(EXPECTED)
    passed = {result["status"] for result in results if "OBS-MET-901" in json.dumps(result["labels"])}
    assert passed == {"passed"}


def test_reasons_say_what_was_measured_and_what_is_missing(judge: Judge, pytester: pytest.Pytester) -> None:
    result = judge()
    found = findings(pytester.path / "reports/latest")
    assert "limit at most 5 s" in found["OBS-LOG-901"]["reason"]
    assert found["OBS-LOG-901"]["remedy"] == "mend it"
    assert "assert 2 == 3" in found["OPS-DEP-901"]["reason"]
    assert found["OPS-DEP-902"]["reason"].startswith("AssertionError: inside a library")
    assert found["OPS-BAK-901"]["remedy"].startswith("procedures.list_backups: {run:")
    result.stdout.fnmatch_lines(["*NOT READY*for tiny*", "*FAIL  OPS-DEP-901 *", "*report: reports*report.html"])


def test_no_secret_reaches_terminal_or_reports(judge: Judge, pytester: pytest.Pytester) -> None:
    result = judge("-v", "-rA")
    assert "ConnectionError: no route with token [secret:" in result.stdout.str()
    secret = b"tiny-fake-canary-secret"
    assert secret.decode() not in result.stdout.str() + result.stderr.str()
    files = [path for path in (pytester.path / "reports").rglob("*") if path.is_file()]
    assert len(files) > 5
    assert [path for path in files if secret in path.read_bytes()] == []


def test_marks_of_others_do_not_turn_a_finding(judge: Judge, card: Card, pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        "import pytest\n"
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n"
        "        item.add_marker(pytest.mark.xfail if item.name.startswith('OPS') else pytest.mark.skip)\n"
    )
    result = judge()
    assert result.ret == 10
    states = {gate["id"]: gate["state"] for gate in card()["gates"]}
    assert states["OPS-DEP-901"] == "FAIL"
    assert states["OBS-MET-901"] == "UNKNOWN"
    assert "skipped" not in result.stdout.lines[-1]


def test_a_change_that_cannot_be_undone_blocks_by_itself(
    judge: Judge, card: Card, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"VERIFY_S": 0.5, "_ROUNDS": 1, "_TRIES": 1}.items():
        monkeypatch.setattr(f"readiness.undoing.{name}", value)
    scenario = pytester.path / "scenarios/tiny.yaml"
    scenario.write_text(scenario.read_text().replace('"*", "!OPS-REC-902"', "OPS-REC-902"), encoding="utf-8")
    result = judge()
    assert result.ret == 10
    assert {gate["id"]: gate["state"] for gate in card()["gates"]} == {"OPS-REC-902": "PASS"}
    result.stdout.fnmatch_lines(["*NOT UNDONE*break the switch*"])
    again = judge()
    assert again.ret == 4
    again.stderr.fnmatch_lines(["*break the switch*readiness heal*"])


def test_a_weakened_limit_is_conditional(judge: Judge, tiny: Path, pytester: pytest.Pytester) -> None:
    scenario = pytester.path / "scenarios/tiny.yaml"
    scenario.write_text(scenario.read_text().replace('"*", "!OPS-REC-902"', "OBS-LOG-901"), encoding="utf-8")
    with (tiny / "readiness.yaml").open("a", encoding="utf-8") as descriptor:
        descriptor.write("objectives: {limits: {OBS-LOG-901: {lag_s: 20}}}\n")
    result = judge()
    assert result.ret == 12
    result.stdout.fnmatch_lines(["*CONDITIONAL*", "*changed limit: OBS-LOG-901 lag: 9.0 s*limit*20*default 5.0 s*"])
    assert judge("--readiness-allow-conditional").ret == 0


@pytest.mark.parametrize("without", ["no:terminal", "no:cacheprovider", "no:junitxml", "no:logging"])
def test_without_other_plugins(judge: Judge, without: str) -> None:
    assert judge("-p", without, "-k", "OBS-MET-901").ret == 13


def test_a_declared_service_that_cannot_be_reached_is_not_ready(
    judge: Judge, card: Card, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("readiness.run.unreachable", lambda descriptor: unreachable(descriptor, 0.2))
    descriptor = tiny / "readiness.yaml"
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = f"http://127.0.0.1:{server.getsockname()[1]}"
    text = descriptor.read_text(encoding="utf-8").replace("{web: {}}", f"{{web: {{address: '{closed}'}}}}")
    descriptor.write_text(text, encoding="utf-8")
    result = judge("-k", "OBS-LOG-901")
    assert result.ret == 10
    result.stdout.fnmatch_lines(["*CANNOT BE REACHED*the service web*", "*refused*", "*services.web.address*"])
    told = card()
    assert told["decision"] == "NOT_READY"
    assert [breach["kind"] for breach in told["breaches"]] == ["UNREACHABLE"]
