"""The experiments that come with the product: sound, documented, foretold, and safe in the hands of the stock tool."""

from __future__ import annotations

from pathlib import Path

import pytest

from readiness.chaos.check import check
from readiness.chaos.experiment import read_experiment
from readiness.chaos.faults import FAULTS
from readiness.errors import UsageError
from readiness.experiment_gates import experiment_gate
from readiness.prove import load_expected
from readiness.scenario import Scenario, find_experiments, known_experiments
from tests.chaos.stock import run

ROOT = Path(__file__).parents[2]
UNBROKEN = {"IMP-CHA-AGENT-STARVED", "IMP-CHA-QUEUE-LINK-SILENT"}
"""What no seeded defect was seen to break yet: they pass on a healthy deployment, and are UNKNOWN without a fault."""
FILES = sorted((ROOT / "experiments").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_passes_the_strict_check_as_a_gate(path: Path) -> None:
    assert check(path, gate=True) == []


def test_every_fault_stands_in_the_documentation() -> None:
    page = (ROOT / "docs" / "chaos.md").read_text(encoding="utf-8")
    assert [name for name in FAULTS if f"`{name}`" not in page] == []


def test_for_each_a_defect_is_foretold_and_so_is_the_missing_fault() -> None:
    cases = load_expected(ROOT / "tests/prove/expected.yaml").cases
    hollow = next(case for case in cases if case.name == "experiments-hollow")
    ids = {f"IMP-CHA-{path.stem.upper()}" for path in FILES}
    assert set(hollow.must_be_unknown) == ids
    red = {gate for case in cases for gate in case.must_fail}
    without = {id for id in ids if id not in red}
    assert without <= UNBROKEN, "an experiment that no seeded defect breaks"


def test_an_experiment_is_a_gate_whose_evidence_is_bound_to_its_file() -> None:
    gate = experiment_gate(read_experiment(ROOT / "experiments/provider-hangs.yaml"))
    assert gate.info.id == "IMP-CHA-PROVIDER-HANGS"
    assert gate.info.capability == "Chaos engineering"
    assert "hanging" in gate.info.measures
    assert "during p50 <= 5s" in gate.info.red
    other = experiment_gate(read_experiment(ROOT / "experiments/provider-cut-short.yaml"))
    assert gate.info.version != other.info.version
    assert gate.within_s > 15


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("provider-hang", "did you mean 'provider-hangs'?"),
        ("mine/nothing.yaml", "no such file"),
        ("x-*", "is none of experiments/"),
    ],
)
def test_an_experiment_that_is_not_there_is_told(tmp_path: Path, entry: str, told: str) -> None:
    scenario = Scenario.model_validate({"name": "mine", "gates": ["*"], "experiments": [entry], "threshold": 0.5})
    with pytest.raises(UsageError) as caught:
        find_experiments(scenario, tmp_path)
    assert told in str(caught.value)


def test_a_scenario_names_experiments_by_glob_and_path(tmp_path: Path) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text((ROOT / "experiments/agent-killed.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    given = ["agent-*", {"file": "mine.yaml", "rehearse": True}]
    scenario = Scenario.model_validate({"name": "mine", "gates": ["*"], "experiments": given, "threshold": 0.5})
    found = find_experiments(scenario, tmp_path)
    assert [path.stem for path in found] == ["agent-frozen", "agent-killed", "agent-squeezed", "agent-starved", "mine"]
    assert [entry.rehearse for entry in found.values()] == [False] * 4 + [True]


def test_the_users_own_come_before_the_packages(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    own = tmp_path / "experiments" / "agent-killed.yaml"
    own.write_text("{}", encoding="utf-8")
    assert known_experiments(tmp_path)["agent-killed"] == own
    assert known_experiments(tmp_path)["agent-frozen"] != own


@pytest.mark.slow
@pytest.mark.needs("linux")
def test_the_stock_tool_runs_them_and_leaves_nothing() -> None:
    assert run(["agent-frozen", "knowledge-refused", "provider-rate-limited"]) == []
