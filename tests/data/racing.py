"""A process that takes the lease of a state folder again and again, and notes when it has it.

`python -m tests.data.racing STATE LOG TIMES`: each line of LOG says `in` or `out` and the process; two `in` without
an `out` between them are two holders at once. With TIMES 0 it takes the lease, says so and waits to be killed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from readiness.errors import Busy
from readiness.state import State


def note(log: int, text: str) -> None:
    """Append one line; a single write to an appending file is not torn by another."""
    os.write(log, f"{text} {os.getpid()}\n".encode())


def main(folder: str, log_path: str, times: str) -> None:
    """Take the lease so many times, or hold it for ever."""
    log = os.open(log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    state = State(Path(folder))
    if times == "0":
        with state.lease("the one that dies", 600):
            print("held", flush=True)
            sys.stdin.read()
    taken = 0
    while taken < int(times):
        try:
            with state.lease("a racer", 60):
                note(log, "in")
                taken += 1
                note(log, "out")
        except Busy:
            continue


if __name__ == "__main__":
    main(*sys.argv[1:])
