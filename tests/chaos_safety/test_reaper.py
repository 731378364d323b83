"""A run that dies or is halted: its reaper, or whoever halts it, leaves the deployment as it was."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from readiness.errors import Undecidable
from readiness.halting import halt_deployment
from readiness.operations import Fault, Operation
from readiness.reaper import Reaper
from readiness.state import State
from readiness.waiting import Deadline, eventually
from tests.tiny.deployment import Sitting, Tiny, running

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Tiny]:
    with running(tmp_path / "tiny") as tiny:
        yield tiny


@contextmanager
def held(tiny: Tiny, *more: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A run in force and the process that watches it."""
    program = [sys.executable, "-m", "tests.chaos_safety.held_run", str(tiny.home), *more]
    run = subprocess.Popen(program, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert run.stdout is not None
    reaper = 0
    try:
        reaper = int(run.stdout.readline())
        assert tiny.release() == "1.1"
        yield run, reaper
    finally:
        run.stdout.close()
        if run.poll() is None:
            run.kill()
        run.wait()
        assert eventually(lambda: not reaper or gone(reaper), within=120), "a reaper does not outlive its purpose"


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def state_of(tiny: Tiny) -> State:
    return State(tiny.file.resolve(tiny.file.descriptor.state), "tiny")


def test_a_killed_run_is_healed_by_its_reaper(tiny: Tiny) -> None:
    state = state_of(tiny)
    with held(tiny) as (run, reaper):
        run.kill()
        run.wait()
        died_s = time.monotonic()
        eventually(lambda: list(state.folder.glob("healed/*")), within=30, every_s=0.01)
        began_s = time.monotonic() - died_s
        eventually(lambda: gone(reaper), within=120)
    assert began_s < 10, "healing begins within a second; a machine that is slow gets ten"
    assert tiny.release() == "1.0" and state.opened() == []
    log = (state.folder / "reaper.log").read_text()
    assert f"process {run.pid} died" in log and "healed: deploy 1.1" in log
    assert state.holder() is None


def test_signals_of_the_terminal_do_not_reach_the_reaper(tiny: Tiny) -> None:
    with held(tiny) as (run, reaper):
        assert os.getsid(reaper) == reaper != os.getsid(run.pid)
        os.kill(reaper, signal.SIGHUP)
        os.kill(reaper, signal.SIGINT)
        run.kill()
        run.wait()
        eventually(lambda: gone(reaper), within=120)
    assert tiny.release() == "1.0"


def test_a_run_that_ends_in_order_leaves_no_reaper_and_nothing_to_heal(tiny: Tiny) -> None:
    with held(tiny) as (run, reaper):
        run.send_signal(signal.SIGHUP)
        run.wait(120)
        assert gone(reaper)
    assert tiny.release() == "1.0"
    assert not (state_of(tiny).folder / "healed").exists()


def test_halt_ends_the_run_and_says_what_it_did(tiny: Tiny) -> None:
    told: list[str] = []
    with held(tiny) as (run, _):
        assert halt_deployment(tiny.file.path, tell=told.append)
        run.wait(120)
    assert tiny.release() == "1.0"
    assert told[0].startswith(f"ending tester: a held run (pid {run.pid})")
    assert told[-1] == "nothing is open on tiny"


def test_halt_kills_what_does_not_end(tiny: Tiny) -> None:
    told: list[str] = []
    with held(tiny, "deaf") as (run, _):
        assert halt_deployment(tiny.file.path, tell=told.append, end_s=0.5)
        run.wait(120)
    assert run.returncode == -signal.SIGKILL
    assert tiny.release() == "1.0" and state_of(tiny).opened() == []
    assert any("killing it" in line for line in told)


def test_halt_without_a_run_heals_what_is_open(tiny: Tiny) -> None:
    undo = [Operation("procedure", "deploy", {"release": "1.0"})]
    Sitting(tiny).session.executor.begin("deploy 1.1", gate="TST-TIN-001", undo=undo, deadline=Deadline.after(60))
    tiny.ctl("deploy", "1.1")
    told: list[str] = []
    assert halt_deployment(tiny.file.path, tell=told.append)
    assert told == ["nothing runs on tiny", "healed: deploy 1.1 (left by run run-1)"]
    assert tiny.release() == "1.0"


def test_a_holder_on_another_host_is_named(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    state, told = state_of(tiny), list[str]()
    with state.lease("tester", 60.0):
        here = socket.gethostname()
        monkeypatch.setattr("socket.gethostname", lambda: "elsewhere")
        assert halt_deployment(tiny.file.path, tell=told.append)
        assert state.halted()
    assert len(told) == 1 and f"runs on {here}" in told[0]


def test_a_halted_run_breaks_nothing_more(tiny: Tiny) -> None:
    sitting = Sitting(tiny)
    nothing = Operation("procedure", "status")
    fault = Fault("frozen", "freeze front-1", (nothing,), (nothing,), nothing)
    with sitting.state.lease("tester", 60.0) as lease:
        sitting.state.halt(lease.holder.token)
        with pytest.raises(Undecidable, match="readiness halt"):
            sitting.session.executor.inject(fault, gate="TST-TIN-001", deadline=Deadline.after(30))
    with sitting.state.lease("the next run", 60.0):
        assert not sitting.state.halted(), "what halted one run does not halt the next"


def test_a_reaper_that_cannot_start_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Tiny) -> None:
    monkeypatch.setattr("readiness.reaper.COMMAND", (str(tmp_path / "nowhere"),))
    with Reaper(tiny.file.path) as reaper:
        assert "readiness heal" in reaper.failure
    monkeypatch.setattr("readiness.reaper.COMMAND", (sys.executable, "-c", "raise SystemExit(3)"))
    with Reaper(tiny.file.path) as reaper:
        eventually(lambda: reaper.failure, within=60)
    assert "ended with 3" in reaper.failure
