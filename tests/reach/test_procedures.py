from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from readiness.deployment import Deployment
from readiness.errors import Missing, ProcedureFailed, Undecidable
from readiness.model import Mode
from readiness.procedures import effect_of
from readiness.waiting import Deadline, eventually
from tests.tiny.deployment import TOKEN, Sitting, Tiny


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_command_gets_no_input_few_variables_and_its_folder(
    deployment: Deployment, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_OWN_SECRET", "must-not-travel")
    ran = deployment.run("environment")
    said = ran.json()
    assert said["stdin"] == "" and Path(said["folder"]) == tiny.home
    assert said["variables"]["DECLARED"] == "1.0"
    assert "OUR_OWN_SECRET" not in said["variables"]


def test_a_secret_reaches_the_command_and_not_its_record(deployment: Deployment, tiny: Tiny) -> None:
    ran = deployment.run("environment")
    assert "[secret:" in ran.json()["variables"]["TOKEN"]
    assert TOKEN not in ran.stdout
    tiny.fault("deploy")
    failed = deployment.run("deploy", release="1.1")
    assert failed.exit_code == 1 and not failed.timed_out
    assert "no permit" in failed.told() and TOKEN not in failed.told()


def test_a_command_that_hangs_is_ended_with_its_children(deployment: Deployment, tiny: Tiny) -> None:
    ran = deployment.run("hang")
    assert ran.timed_out and ran.exit_code is None and ran.stdout == "begun\n"
    assert "did not end within" in ran.told()
    child = int((tiny.home / "child.pid").read_text())
    eventually(lambda: gone(child), within=20)


def test_much_output_is_cut(deployment: Deployment) -> None:
    ran = deployment.run("flood")
    assert ran.ok and len(ran.stdout) < (8 << 20) + 100 and "cut at 8 MiB" in ran.stdout


def test_what_a_command_leaves_running_is_left_running(deployment: Deployment, tiny: Tiny) -> None:
    os.kill(tiny.pid("store-1"), 9)
    assert deployment.run("start", service="store").ok
    assert deployment.all_ready("store")


def test_what_is_not_declared_cannot_start_or_prints_no_json_says_so(deployment: Deployment) -> None:
    with pytest.raises(Missing) as missing:
        deployment.run("rotate")
    assert "procedures.rotate" in missing.value.remedy
    with pytest.raises(Undecidable, match="no/such/program"):
        deployment.run("absent")
    with pytest.raises(ProcedureFailed, match="no JSON"):
        deployment.run("flood").json()
    with pytest.raises(Undecidable, match="service"):
        deployment.run("start")


def test_no_time_left_is_undecidable(sitting: Sitting) -> None:
    with pytest.raises(Undecidable, match="no time"):
        sitting.session.reach.procedures.run("status", deadline=Deadline.after(0))


@pytest.mark.parametrize(
    ("name", "mode"),
    [("status", Mode.OBSERVE), ("list_backups", Mode.OBSERVE), ("backup", Mode.PROBE), ("restore", Mode.DRILL)],
)
def test_procedures_need_the_mode_of_what_they_do(name: str, mode: Mode) -> None:
    assert effect_of(name) is mode
