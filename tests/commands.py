"""A command run to its end as a user types it: nothing of the test run that is going on reaches it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path


def ended(argv: Sequence[str | Path], cwd: Path, within_s: float, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with these variables beside those of the shell, and give how it ended."""
    ours = ("PYTEST", "PYTHON", "VIRTUAL_ENV")
    shell = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [str(part) for part in argv],
        check=False,
        cwd=cwd,
        env={**shell, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=within_s,
    )
