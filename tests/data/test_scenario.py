"""A scenario names its gates; what it names in vain is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from readiness.errors import UsageError
from readiness.model import Mode, Risk
from readiness.scenario import Scenario, find_scenario
from tests.data.samples import GATE

GATES = (
    GATE,
    replace(GATE, id="OPS-BAK-003", capability="Backup", risk=Risk.HIGH, mode=Mode.OBSERVE),
    replace(GATE, id="OBS-LOG-001", pillar="Monitoring", blocking=False, risk=Risk.MEDIUM, mode=Mode.PROBE),
)


def chosen(*selectors: str) -> list[str]:
    scenario = Scenario(name="x", gates=list(selectors), threshold=0.5)
    return [gate.id for gate in scenario.choose(GATES)]


@pytest.mark.parametrize(
    ("selectors", "ids"),
    [
        (["*"], ["OPS-DEP-003", "OPS-BAK-003", "OBS-LOG-001"]),
        (["OBS-LOG-001", "OPS-DEP-003"], ["OPS-DEP-003", "OBS-LOG-001"]),
        (["OPS-*"], ["OPS-DEP-003", "OPS-BAK-003"]),
        (["ops-*-00[34]"], ["OPS-DEP-003", "OPS-BAK-003"]),
        (["Monitoring"], ["OBS-LOG-001"]),
        (["backup"], ["OPS-BAK-003"]),
        (["blocking"], ["OPS-DEP-003", "OPS-BAK-003"]),
        (["scored"], ["OBS-LOG-001"]),
        (["risk:critical", "mode:probe"], ["OPS-DEP-003", "OBS-LOG-001"]),
        (["!mode:drill", "*"], ["OPS-BAK-003", "OBS-LOG-001"]),
        (["*", "!OPS-*"], ["OBS-LOG-001"]),
        (["*", "mode:attest"], ["OPS-DEP-003", "OPS-BAK-003", "OBS-LOG-001"]),
    ],
)
def test_selectors(selectors: list[str], ids: list[str]) -> None:
    assert chosen(*selectors) == ids


@pytest.mark.parametrize("selector", ["OPS-DEPP-003", "!OPS-DEPP-003", "OPS-DEPP-*", "Bakcup"])
def test_a_selector_that_names_nothing_is_told(selector: str) -> None:
    with pytest.raises(UsageError, match="matches no gate"):
        chosen("*", selector)


def test_nothing_selected_is_told() -> None:
    with pytest.raises(UsageError, match="nothing is selected by mode:attest"):
        chosen("mode:attest")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("gates: [risk:criticl]", "did you mean 'risk:critical'?"),
        ("gates: [mode:drill, level:high]", "'level:high' is no selector"),
        ("gates: ['!blocking']", "every selector takes out"),
        ("gates: ['!']", "selects nothing"),
        ("gates: []", "one or more items"),
        ("gates: blocking", "allowed: a list"),
        ("gates: ['*']\nloadtests: [x.py]", "this version runs gates alone"),
        ("gates: ['*']\ntime_budget: 30", "30 is not a duration"),
        ("gates: ['*']\npillar_floor: 60", "60 is not a share"),
        ("gates: ['*']\ntreshold: 1", "did you mean 'threshold'?"),
    ],
)
def test_a_mistake_is_told_in_the_file(tmp_path: Path, line: str, told: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\nthreshold: 0.7\n{line}\n")
    with pytest.raises(UsageError) as caught:
        find_scenario(str(path), tmp_path)
    assert told in str(caught.value) and str(caught.value).startswith(f"{path}:")


@pytest.mark.parametrize(
    ("name", "threshold", "modes"),
    [
        ("smoke", 0.75, {Mode.OBSERVE}),
        ("ci", 0.75, {Mode.OBSERVE, Mode.PROBE, Mode.DRILL}),
        ("gameday", 0.8, {Mode.DRILL}),
        ("preprod", 0.85, {Mode.OBSERVE, Mode.PROBE, Mode.DRILL}),
    ],
)
def test_the_scenarios_that_come_along(tmp_path: Path, name: str, threshold: float, modes: set[Mode]) -> None:
    scenario = find_scenario(name, tmp_path)
    assert (scenario.name, scenario.threshold, scenario.pillar_floor) == (name, threshold, 0.6)
    assert {gate.mode for gate in scenario.choose(GATES)} == modes


def test_the_users_own_come_first(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "ci.yaml").write_text("name: ci\nabout: mine\ngates: [blocking]\nthreshold: 90%\n")
    assert find_scenario("ci", tmp_path).about == "mine"
    assert find_scenario("scenarios/ci.yaml", tmp_path).threshold == 0.9
    assert find_scenario("smoke", tmp_path).name == "smoke"


def test_an_unknown_name_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"'prepord' not found in scenarios/; did you mean 'preprod'\? known: ci, gameday"
    ):
        find_scenario("prepord", tmp_path)
