"""SIGINT, SIGTERM and SIGHUP at random moments, second ones during an undo: nothing is left."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_thirty_random_signals_leave_nothing() -> None:
    """All 200: `python -m tests.chaos_safety.signalled`."""
    command = [sys.executable, "-m", "tests.chaos_safety.signalled", "30", "20261"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.endswith("30 runs ended by random signals, 0 left something\n"), done.stdout + done.stderr
