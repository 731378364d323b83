"""A drill that is ended from outside, by signals or without warning, in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.tiny.deployment import Sitting, Tiny

REPOSITORY = Path(__file__).parents[2]


@contextmanager
def drilling(tiny: Tiny) -> Iterator[subprocess.Popen[str]]:
    program = [sys.executable, "-m", "tests.tiny.drill", str(tiny.home)]
    run = subprocess.Popen(program, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert run.stdout is not None
        assert run.stdout.readline() == "drilling\n"
        assert tiny.release() == "1.1"
        yield run
    finally:
        if run.stdout is not None:
            run.stdout.close()
        if run.poll() is None:
            run.kill()
            run.wait()


def test_two_signals_leave_the_deployment_as_it_was(tiny: Tiny) -> None:
    with drilling(tiny) as run:
        os.kill(run.pid, signal.SIGTERM)
        os.kill(run.pid, signal.SIGINT)
        run.wait(120)
    assert tiny.release() == "1.0"
    assert Sitting(tiny, "run-2").state.opened() == []


def test_what_a_killed_run_left_is_healed_by_the_next(tiny: Tiny) -> None:
    with drilling(tiny) as run:
        run.kill()
        run.wait()
    assert tiny.release() == "1.1"
    sitting = Sitting(tiny, "run-2")
    healed = sitting.session.heal()
    assert [(one.what, one.run_id) for one in healed.closed] == [("deploy 1.1", "run-drill")]
    assert tiny.release() == "1.0" and sitting.state.opened() == []
