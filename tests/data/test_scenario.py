"""A scenario names its gates; what it names in vain is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from readiness.errors import UsageError
from readiness.loadtests import locustfile_of, plan_of
from readiness.model import Mode, Risk
from readiness.plan import make_plan
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
        ("gates: ['*']\nexperiments: [{fiel: x}]", "did you mean 'file'?"),
        ("gates: ['*']\nloadtests: [x.py]", "allowed: a mapping"),
        ("gates: ['*']\nloadtests: [{rate: 2/s}]", "profile"),
        ("gates: ['*']\nloadtests: [{profile: steady, raet: 2/s}]", "did you mean 'rate'?"),
        ("gates: ['*']\nloadtests: [{profile: steady, rate: 0}]", "0 is not a rate"),
        ("gates: ['*']\nloadtests: [{profile: steady, rate: 0/s}]", "'0/s' is not a rate"),
        ("gates: ['*']\nloadtests: [{profile: steady, duration: 30}]", "30 is not a duration"),
        ("gates: ['*']\nloadtests: [{profile: spike, factor: 1}]", "greater than 1"),
        ("gates: ['*']\nloadtests: [{profile: steady, processes: 0}]", "greater than or equal to 1"),
        ("gates: ['*']\nloadtests: [{profile: steady, thresholds: {p95: '<= 2'}}]", "no unit; allowed: ms, s, m"),
        ("gates: ['*']\nloadtests: [{profile: steady, thresholds: {p96: '<= 2s'}}]", "'p96' is not measured"),
        ("gates: ['*']\nloadtests: [{profile: steady}, {profile: steady}]", "'steady' is given twice"),
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


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{profile: soak}", "profile 'soak' has no Locust file; known: steady, stress, spike,"),
        ("{profile: steady, file: mine/load.py}", "mine/load.py is no file under"),
        ("{profile: stress, thresholds: {befor.p95: '<= 2s'}}", "names no stage of it; known: before, ramp, overload"),
        ("{profile: steady, rate: 1000000/s}", "rate 1e+06; allowed: more than 0 to 100000"),
        ("{profile: steady, duration: 30d}", "duration 2.592e+06; allowed: more than 0 to 604800"),
    ],
)
def test_a_load_that_cannot_be_is_told_before_anything_is_touched(tmp_path: Path, entry: str, told: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\nthreshold: 0.7\ngates: ['*']\nloadtests: [{entry}]\n")
    with pytest.raises(UsageError) as caught:
        make_plan({"scenario": str(path)}, tmp_path)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_a_locust_file_of_ones_own_is_found(tmp_path: Path) -> None:
    (tmp_path / "soak.py").write_text("")
    (tmp_path / "mine.yaml").write_text(
        "name: mine\nthreshold: 0.7\ngates: ['*']\nloadtests: [{profile: steady, file: soak.py, rate: 90/m}]\n"
    )
    plan = make_plan({"scenario": "mine.yaml"}, tmp_path)
    assert locustfile_of("steady", plan.loadtests["steady"], tmp_path) == tmp_path / "soak.py"
    assert plan_of(plan.loadtests["steady"], peak_rate=7).stages[0].rate_from == 1.5


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
