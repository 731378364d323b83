"""The nightly job that packs old logs, two processes a core, and how the caretaker starts it."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import zlib
from pathlib import Path

from readiness.nexus import parentage
from readiness.nexus.processes import clean_environment

EVERY_S, TAKES_S = 18.0, 8.0
PROCESSES_PER_CORE = 2
READ_BYTES = 1_000_000


class Nightly:
    """Starts the job whenever its schedule says so."""

    def __init__(self, home: Path) -> None:
        self._home, self._due_at = home, time.monotonic() + EVERY_S / 2
        self._running: list[subprocess.Popen[bytes]] = []

    def start_when_due(self) -> None:
        """Starts the processes when it is time; the last ones have ended by then."""
        if time.monotonic() < self._due_at:
            return
        self._due_at += EVERY_S
        for process in self._running:
            process.wait()
        command = [sys.executable, "-m", "readiness.nexus.nightly", "--home", str(self._home)]
        environment = {**clean_environment(), parentage.SUPERVISED: "1"}
        processes = PROCESSES_PER_CORE * (os.cpu_count() or 1)
        self._running = [subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL) for _ in range(processes)]


def main() -> int:
    """Pack the logs, one after the other, until the time that the job is given is over."""
    options = argparse.ArgumentParser(prog="nightly")
    options.add_argument("--home", type=Path, required=True)
    home: Path = options.parse_args().home
    parentage.end_with_parent()
    until = time.monotonic() + TAKES_S
    while time.monotonic() < until:
        for log in sorted((home / "log").glob("*.log")):
            with log.open("rb") as stream:
                zlib.compress(stream.read(READ_BYTES), 9)
    return 0


if __name__ == "__main__":
    sys.exit(main())
