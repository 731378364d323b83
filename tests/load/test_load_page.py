"""What docs/load.md says holds: its commands run, its tables are those of the code, its examples are read."""

from __future__ import annotations

import os
import re
import shlex
import socket
import struct
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from readiness.baselines import read_baseline
from readiness.load.profiles import PROFILES
from readiness.load.results import read
from readiness.load.samples import STRUCT
from readiness.load.validity import LIMITS
from readiness.scenario import LoadTest
from tests.commands import ended
from tests.load.system import TinySystem, tiny_system

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "load.md").read_text(encoding="utf-8")
HOST = "http://127.0.0.1:8000"
PATIENCE_S = 300.0


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def at_home(system: TinySystem, folder: Path) -> dict[str, str]:
    """A checkout's files in a folder, and the variables that keep a run to it and to ports of its own."""
    (folder / "loadtests").symlink_to(ROOT / "loadtests")
    system.descriptor(folder).rename(folder / "readiness.yaml")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    ports = dict.fromkeys(("LOCUST_MASTER_BIND_PORT", "LOCUST_MASTER_NODE_PORT"), port)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**ports, "PATH": path, "XDG_STATE_HOME": str(folder / "state"), "READINESS_DEPLOYMENT": ""}


@pytest.mark.slow
def test_the_commands_do_what_the_page_says(tmp_path: Path) -> None:
    with tiny_system() as system:
        variables = at_home(system, tmp_path)
        for line in "".join(blocks("sh")).splitlines():
            done = ended(shlex.split(line.replace(HOST, system.url)), tmp_path, PATIENCE_S, **variables)
            said = done.stdout + done.stderr
            # A machine that is busy makes a run INVALID, as the page says; a run like that is not compared.
            unsure = "INVALID" in said
            assert done.returncode in ((0, 1, 4) if unsure else (0,)), f"{line}\n{said}"
            assert "Traceback" not in said
        assert read(tmp_path / "runs" / "a").total.started == 180
        assert read(tmp_path / "runs" / "spike").plan.profile == "spike"


@pytest.mark.slow
@pytest.mark.needs("bash")
def test_a_master_and_its_workers_do_what_the_page_says(tmp_path: Path) -> None:
    (script,) = blocks("bash")
    with tiny_system() as system:
        done = ended(["bash", "-c", script], tmp_path, PATIENCE_S, **at_home(system, tmp_path))
        assert done.returncode == 0, done.stderr
    result = read(tmp_path / "runs" / "both")
    assert (result.total.ok, result.workers_ended, result.plan.workers) == (30, 2, 2)


def test_the_profiles_are_those_of_the_code() -> None:
    for name, profile in PROFILES.items():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
        stages = profile.stages(profile.rate, profile.duration_s)
        assert re.findall(r"`([\w-]+)`", row)[1:] == [stage.name for stage in stages]
        assert f"| {profile.rate:g}/s, {profile.duration_s:g} s |" in row
        assert [text.strip() for text in row.split("|")[4].split(",")] == [
            f"{metric} {bound}" for metric, bound in profile.criteria.items()
        ]
        if profile.factor != 1:
            assert f"({profile.factor:g} times)" in row


def test_the_limits_are_those_of_the_code() -> None:
    said = [
        f"less than {LIMITS.achieved_percent:g} %",
        f"over {LIMITS.late_ms:g} ms and over {LIMITS.late_share:.0%}".replace("%", " %"),
        f"over {LIMITS.lag_ms:g} ms and over {LIMITS.lag_share:.0%}".replace("%", " %"),
        f"{100 * LIMITS.cpu:g} % of a core in any {LIMITS.cpu_window_s:g} s",
        f"over {LIMITS.clock_jump_s:g} s apart",
        f"{struct.calcsize(STRUCT)} bytes a transaction",
    ]
    assert [text for text in said if text not in PAGE] == []


def test_the_scenario_and_the_baseline_of_the_page_are_read(tmp_path: Path) -> None:
    (scenario,) = blocks("yaml")
    (test,) = [LoadTest.model_validate(found) for found in YAML(typ="safe").load(scenario)["loadtests"]]
    assert (test.profile, test.processes, len(test.thresholds or {})) == ("endurance", 2, 4)
    (baseline,) = blocks("json")
    (tmp_path / "steady.json").write_text(baseline, encoding="utf-8")
    found = read_baseline(tmp_path / "steady.json")
    assert found.spread("agent_response_s") is not None
    assert len(found.lacks()) == 4


def test_what_the_page_points_to_is_there() -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", PAGE)
    tests = re.findall(r"`(tests/[\w/]+\.py)`", PAGE)
    assert len(links) + len(tests) >= 6
    assert [name for name in links if not (ROOT / "docs" / name).exists()] == []
    assert [name for name in tests if not (ROOT / name).exists()] == []
