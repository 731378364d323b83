"""A run of its own process that drills the tiny deployment until it is ended: `drill.py HOME`."""

from __future__ import annotations

import sys
from pathlib import Path

from readiness.operations import Operation
from readiness.signals import Interrupts
from readiness.waiting import Deadline, eventually
from tests.tiny.deployment import Sitting, Tiny, gate_info


def main() -> None:
    interrupts = Interrupts()
    interrupts.install()
    deployment = Sitting(Tiny(Path(sys.argv[1])), "run-drill").session.deployment(gate_info(), Deadline.after(300))
    undo = [Operation("procedure", "deploy", {"release": "1.0"})]
    with deployment.traffic(rate_per_s=5), deployment.change("deploy 1.1", undo=undo):
        deployment.run("deploy", release="1.1")
        print("drilling", flush=True)
        eventually(lambda: False, within=300)


if __name__ == "__main__":
    main()
