"""The commands of the README do what it says, one after the other, in an empty folder."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import pytest

from tests.commands import ended
from tests.test_docs import lines

EXIT_CODES = {"-k OPS-DEP-003": 10}
"""Part of a line → the exit code that the README promises for it; all others end with 0."""


@pytest.mark.slow
@pytest.mark.needs("linux")
def test_the_commands_of_the_readme_do_what_it_says(tmp_path: Path) -> None:
    scripts = Path(sys.executable).parent
    own = {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "XDG_STATE_HOME": str(tmp_path / "state")}
    shown = [line for line in lines("sh") if not line.startswith("python3")]
    assert len(shown) == 11
    said = {}
    try:
        for line in shown:
            done = ended(shlex.split(line), tmp_path, 900, **own)
            said[line] = done.stdout + done.stderr
            wanted = next((code for part, code in EXIT_CODES.items() if part in line), 0)
            assert done.returncode == wanted, said[line]
    finally:
        down = [sys.executable, "-m", "readiness.nexus", "down", "--dir", str(tmp_path / "demo"), "--wipe"]
        ended(down, tmp_path, 120, **own)
    judged = next(text for line, text in said.items() if "-k OPS-DEP-003" in line)
    assert "NOT READY" in judged or "NOT_READY" in judged
    assert "rollback moves all traffic" in judged
    assert not (tmp_path / "demo").exists()
