"""A part of the gates: what pytest's own options choose, and what counts for the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.plugin.conftest import Judge

Card = Callable[[], dict[str, Any]]
ORDER = [
    "PAT-SL-901",
    "OBS-MET-901",
    "OBS-LOG-901",
    "OBS-LOG-902",
    "OPS-BAK-901",
    "OPS-DEP-901",
    "OPS-DEP-902",
    "OPS-REC-901",
]


def collected(result: pytest.RunResult) -> list[str]:
    return [line.rpartition("::")[2] for line in result.stdout.lines if line.startswith("readiness::samples::")]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], ORDER),
        (["-k", "OBS-LOG"], ["OBS-LOG-901", "OBS-LOG-902"]),
        (["-k", "switch"], ["OPS-REC-901"]),
        (["-m", "blocking and not drill"], ["OBS-MET-901", "OPS-DEP-901", "OPS-DEP-902"]),
        (["-m", "critical"], ["OPS-REC-901"]),
        (["-m", "OPS-BAK-901"], ["OPS-BAK-901"]),
        (["readiness::samples::OPS-BAK-901"], ["OPS-BAK-901"]),
        (["readiness::samples"], ORDER),
        (["--deselect", "readiness::samples::OPS", "--deselect", "readiness::samples::PAT"], ORDER[1:4]),
    ],
)
def test_what_is_selected(judge: Judge, more: list[str], expected: list[str]) -> None:
    result = judge("--collect-only", "-q", *more)
    assert collected(result) == expected
    assert result.ret == 0
    assert not Path("reports").exists()
    assert not Path("tiny/var").exists()


def test_the_users_own_tests_are_not_collected(judge: Judge, pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_mine="def test_mine():\n    assert False\n")
    assert "test_mine" not in judge("--collect-only", "-q").stdout.str()


def test_a_part_is_partial_until_evidence_covers_the_rest(judge: Judge, card: Card, pytester: pytest.Pytester) -> None:
    scenario = pytester.path / "scenarios/tiny.yaml"
    text = scenario.read_text(encoding="utf-8").replace('"*", "!OPS-REC-902"', "OBS-MET-901, OPS-REC-901")
    scenario.write_text(text, encoding="utf-8")
    first = judge("-k", "OBS-MET-901")
    assert first.ret == 13
    states = {gate["id"]: gate["state"] for gate in card()["gates"]}
    assert states == {"OBS-MET-901": "PASS", "OPS-REC-901": "LEFT_OUT"}
    second = judge("-k", "OPS-REC-901")
    assert second.ret == 0
    assert {gate["id"]: gate["state"] for gate in card()["gates"]} == dict.fromkeys(states, "PASS")


def test_last_failed_and_first_failure(judge: Judge, card: Card) -> None:
    stopped = judge("-x")
    assert stopped.ret == 11
    states = {gate["id"]: gate["state"] for gate in card()["gates"]}
    assert states["OBS-LOG-901"] == "FAIL"
    assert states["OPS-REC-901"] == "LEFT_OUT"
    assert collected(judge("--lf", "--co", "-q")) == ["OBS-LOG-901"]
    assert collected(judge("--ff", "--co", "-q"))[0] == "OBS-LOG-901"
    assert len(collected(judge("--ff", "--co", "-q"))) == len(ORDER)


@pytest.mark.usefixtures("tiny")
def test_options_in_an_ini_file(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nreadiness_deployment = tiny/readiness.yaml\nreadiness_scenario = tiny\n")
    result = pytester.runpytest_inprocess("--readiness", "-k", "OBS-MET-901", "-q")
    assert result.ret == 13
    assert "PARTIAL for tiny" in result.stdout.str()


def test_quiet_is_one_line(judge: Judge) -> None:
    lines = [line for line in judge("-q", "-k", "OBS-LOG-901").stdout.lines if line and "deselected" not in line]
    assert len(lines) == 1
    assert lines[0].startswith("UNPROVEN for tiny") or lines[0].startswith("PARTIAL for tiny")


def test_production_runs_only_what_observes(judge: Judge, card: Card, tiny: Path) -> None:
    descriptor = tiny / "readiness.yaml"
    text = descriptor.read_text(encoding="utf-8").replace("staging", "production")
    descriptor.write_text(text, encoding="utf-8")
    judge()
    reasons = {gate["id"]: gate["reason"] for gate in card()["gates"]}
    for gate in ("OPS-DEP-901", "OPS-DEP-902", "OPS-REC-901"):
        assert "refused: environment is production" in reasons[gate]
    assert "limit at most" in reasons["OBS-LOG-901"]
    judge("--readiness-arm=tiny", "-k", "OPS-REC-901")
    assert {gate["id"]: gate["state"] for gate in card()["gates"]}["OPS-REC-901"] == "PASS"
    descriptor.write_text(text + "allow_probes: true\n", encoding="utf-8")
    judge()
    reasons = {gate["id"]: gate["reason"] for gate in card()["gates"]}
    assert "assert 2 == 3" in reasons["OPS-DEP-901"]
    assert "refused" in reasons["OPS-REC-901"]


def test_a_spent_time_budget_is_unknown(judge: Judge, card: Card, pytester: pytest.Pytester) -> None:
    scenario = pytester.path / "scenarios/tiny.yaml"
    scenario.write_text(scenario.read_text(encoding="utf-8") + "time_budget: 1ms\n", encoding="utf-8")
    assert judge().ret in (11, 10)
    reasons = {gate["id"]: gate["reason"] for gate in card()["gates"]}
    assert "visited 0 of 8" in reasons["OBS-MET-901"]


def test_what_there_is_no_time_for_keeps_its_fresh_evidence(
    judge: Judge, card: Card, pytester: pytest.Pytester
) -> None:
    judge("-k", "OBS-MET-902 or OBS-LOG-901")
    scenario = pytester.path / "scenarios/tiny.yaml"
    scenario.write_text(scenario.read_text(encoding="utf-8") + "time_budget: 1ms\n", encoding="utf-8")
    result = judge("--collect-only", "-q")
    collected = [line.rpartition("::")[2] for line in result.outlines if line.startswith("readiness::")]
    judge()
    gates = {gate["id"]: gate for gate in card()["gates"]}
    assert gates["OBS-MET-901"]["state"] == "UNKNOWN"
    carried = {id for id, gate in gates.items() if gate["carried_from"]}
    assert carried and carried <= {"OBS-MET-902", "OBS-LOG-901"}
    modes = {gate: gates[gate]["mode"] for gate in carried}
    for gate, mode in modes.items():  # the oldest evidence last among its mode: the others have none
        same = [other for other in collected if gates[other]["mode"] == mode]
        assert set(same[-len(carried & set(same)) :]) <= carried, (gate, same)


def test_what_is_not_adopted_does_not_run(judge: Judge, card: Card, pytester: pytest.Pytester, tmp_path: Path) -> None:
    policy = tmp_path / "signed-off" / "policy.yaml"
    policy.parent.mkdir()
    entry = '{gate: OBS-LOG-901, owner: ops, until: "2999-01-01T00:00:00Z", reason: next quarter}'
    policy.write_text(f"readiness_policy: 1\nnot_yet: [{entry}]\n", encoding="utf-8")
    result = judge(f"--readiness-policy={policy}")
    result.stdout.fnmatch_lines(["*8 gates, 1 of them not adopted yet*", "*not yet adopted: OBS-LOG-901*"])
    gates = {gate["id"]: gate for gate in card()["gates"]}
    assert gates["OBS-LOG-901"]["state"] == "NOT_YET"
    assert "next quarter (ops" in gates["OBS-LOG-901"]["reason"]
    scenario = pytester.path / "scenarios/tiny.yaml"
    scenario.write_text(scenario.read_text(encoding="utf-8") + "all_adopted: true\n", encoding="utf-8")
    result = judge(f"--readiness-policy={policy}")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*takes no gate that is not adopted yet*OBS-LOG-901*"])
