"""A run of its own process that holds the tiny deployment with a change in force: `held_run.py HOME [deaf]`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from readiness.operations import Operation
from readiness.reaper import Reaper
from readiness.signals import ENDING, Interrupts
from readiness.waiting import Deadline, eventually
from tests.tiny.deployment import Sitting, Tiny, gate_info


def main() -> None:
    tiny, deaf = Tiny(Path(sys.argv[1])), "deaf" in sys.argv
    sitting = Sitting(tiny, "run-held")
    with sitting.state.lease("tester: a held run", 60.0), Reaper(tiny.file.path) as reaper:
        eventually(lambda: reaper.ready, within=60)
        interrupts = Interrupts()
        interrupts.install()
        if deaf:
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)
        deployment = sitting.session.deployment(gate_info(), Deadline.after(300))
        with deployment.change("deploy 1.1", undo=[Operation("procedure", "deploy", {"release": "1.0"})]):
            deployment.run("deploy", release="1.1")
            print(reaper.pid, flush=True)
            eventually(lambda: False, within=300)


if __name__ == "__main__":
    main()
