"""A system that shares nothing with the project is judged right both ways: an order ledger on PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

HERE = Path(__file__).parent
LEDGER = HERE / "ledger"
SCENARIO = HERE / "scenario.yaml"

# Foretold: the gates that must FAIL, and those that may be UNKNOWN since they compare with what is broken then.
FORETOLD: dict[str, tuple[set[str], set[str]]] = {
    "healthy": (set(), set()),
    "never-restarted": ({"ARC-ORC-003"}, set()),
    "logs-as-text": ({"OBS-LOG-002"}, {"OBS-LOG-001"}),
    "increment-empty": ({"OPS-BAK-003"}, {"OPS-BAK-004", "OPS-REC-003", "OPS-REC-004"}),
    "preferences-unlogged": ({"OPS-BAK-004", "OPS-REC-003"}, set()),
    "vault-is-a-link": ({"OPS-BAK-006"}, set()),
    "tests-of-another-build": ({"OPS-DEP-001"}, set()),
    "restore-asks": ({"OPS-REC-002"}, {"OPS-REC-003", "OPS-REC-004"}),
    "restore-stops-early": ({"OPS-REC-003"}, set()),
    "index-not-rebuilt": ({"OPS-REC-004"}, set()),
    "viewer-may-configure": ({"SEC-ACC-001"}, set()),
    "password-in-arguments": ({"SEC-SCR-001"}, set()),
}
# An increment of no bytes cannot be restored from either: the restore fails, and what it backs up is not found.
ALSO_RED = {"increment-empty": {"OPS-REC-002", "OPS-BAK-004"}}

pytestmark = [pytest.mark.needs("postgresql", "bash", "linux"), pytest.mark.slow]


@contextmanager
def ledger(home: Path, *defects: str) -> Iterator[Path]:
    """The ledger with its defects, running; it is stopped by its own command."""
    up = [str(LEDGER), str(home), "up", str(Path(sys.executable).parent), *defects]
    try:
        said = subprocess.run(up, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        yield Path(said.stdout.splitlines()[-1])
    finally:
        subprocess.run([str(LEDGER), str(home), "down"], check=True, stdin=subprocess.DEVNULL, timeout=120)


def judge(descriptor: Path, reports: Path) -> dict[str, str]:
    argv = [sys.executable, "-m", "pytest", "--readiness", "-q", "-p", "no:cacheprovider"]
    argv += ["--readiness-deployment", str(descriptor), "--readiness-scenario", str(SCENARIO)]
    argv += ["--readiness-reports", str(reports)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, env=environment
    )
    written = reports / "latest" / "readiness.json"
    assert written.is_file(), done.stdout + done.stderr
    return {gate["id"]: gate["state"] for gate in json.loads(written.read_text(encoding="utf-8"))["gates"]}


@pytest.mark.parametrize("defect", FORETOLD)
def test_the_ledger_is_judged_as_foretold(defect: str, tmp_path: Path) -> None:
    # a short path outside pytest's own: PostgreSQL runs as another user, and a socket's path has a limit
    home = Path(f"/tmp/rl-{os.getpid()}-{list(FORETOLD).index(defect)}")
    must_fail, may_be_unknown = FORETOLD[defect]
    try:
        with ledger(home, *([] if defect == "healthy" else [defect])) as descriptor:
            states = judge(descriptor, tmp_path / "reports")
    finally:
        subprocess.run(["rm", "-rf", str(home)], check=True)
    red = {gate for gate, state in states.items() if state == "FAIL"}
    unknown = {gate for gate, state in states.items() if state == "UNKNOWN"}
    assert must_fail <= red <= must_fail | ALSO_RED.get(defect, set())
    assert unknown <= may_be_unknown
    assert len(states) == 12
