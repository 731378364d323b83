"""The reference deployment's own command, called as a stranger would call it: nothing of it is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from readiness.errors import UsageError

DEPLOYMENT = "READINESS_DEPLOYMENT"
COMMAND = (sys.executable, "-m", "readiness.nexus")
_STATUS_WITHIN_S = 30.0
_WRONG_USAGE = 2


def call(command: str, arguments: Sequence[str]) -> int:
    """Run one of its commands on this terminal and return its exit code; wrong usage is 4, as everywhere here."""
    process = subprocess.Popen([*COMMAND, command, *arguments])
    while True:
        try:
            code = process.wait()
        except KeyboardInterrupt:  # it got the same Ctrl-C, and cleans up
            continue
        return 4 if code == _WRONG_USAGE else min(abs(code), 1)


def unlisted(folder: Path) -> dict[str, str]:
    """The variables with which `up` and `down` remember in a folder: a user's `down` goes on meaning the user's own."""
    return {"XDG_STATE_HOME": str(folder)}


def running() -> Path | None:
    """The descriptor of the deployment that was started last and still runs, or None."""
    try:
        done = subprocess.run(
            [*COMMAND, "status"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_STATUS_WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None
    lines = done.stdout.strip().splitlines()
    return Path(lines[-1]) if done.returncode == 0 and lines else None


def deployment_in_use(given: Path | None) -> Path:
    """The descriptor given, else that of the environment, else that of the last `readiness up`; else a UsageError."""
    if given is not None:
        return given
    if named := os.environ.get(DEPLOYMENT):
        return Path(named)
    last = running()
    if last is None:
        raise UsageError(f"no deployment: name its descriptor, set {DEPLOYMENT}, or start one with `readiness up`")
    return last
