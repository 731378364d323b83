"""A service that shares nothing with the project, and answers at once, is judged right under load both ways."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

QUOTES = Path(__file__).parent / "quotes"
STRESS, SPIKE, TRUST = "PRF-LOD-001", "PRF-LOD-003", "PRF-LOD-006"
DESCRIPTOR = """readiness: 1
name: quotes
environment: staging
state: readiness-state
services:
  quotes: {{address: "http://127.0.0.1:{port}", owner: team-quotes, live: /up}}
workload:
  max_rate_per_s: 20
  ok:
    submit: {{method: POST, url: "{{quotes}}/quotes", json: {{for: "{{marker}}"}}}}
    expect: {{for: "{{marker}}", quote: "{{marker}}"}}
    within: 2s
objectives:
  peak_rate: 10/s
  limits: {{PRF-LOD-001: {{recovery_s: 10}}, PRF-LOD-003: {{recovery_s: 10}}}}
"""
# 200/s is twice what four seats of 40 ms serve; 110/s for 1 s is a burst that waits and fits into the room.
SCENARIO = """name: quotes
about: what can be judged of a service that answers at once
gates: [{gates}]
threshold: 0.75
pillar_floor: 0.6
time_budget: 5m
loadtests:
  - {{profile: steady, duration: 6s, thresholds: {{p95: "<= 1s", errors: "<= 1%"}}}}
  - {{profile: stress, duration: 15s, factor: 20, thresholds: {{before.errors: "<= 1%"}}}}
  - {{profile: spike, duration: 10s, factor: 11, thresholds: {{before.errors: "<= 1%"}}}}
"""


class Foretold(NamedTuple):
    """What is judged of a fault, and what is written down of it before."""

    gates: tuple[str, ...]
    red: frozenset[str]
    told: str = ""
    """What the reason of the first red gate must say."""


FORETOLD = {
    "": Foretold((STRESS, SPIKE, TRUST), frozenset()),
    # It is full for ever: nothing of the spike is served either. The load runs themselves are sound.
    "permit-kept": Foretold((STRESS, SPIKE, TRUST), frozenset({STRESS, SPIKE}), "recovery s was not there"),
    "no-bound": Foretold((STRESS,), frozenset({STRESS}), "no answer in time"),
    "cool-down": Foretold((SPIKE, TRUST), frozenset({SPIKE}), "recovery s was not there"),
    "hangs": Foretold((STRESS,), frozenset({STRESS}), "no answer in time"),
}

pytestmark = [pytest.mark.needs("linux"), pytest.mark.slow]


@contextmanager
def quotes(fault: str) -> Iterator[int]:
    """The service with a fault, at a free port."""
    argv = [sys.executable, str(QUOTES), "0", *([fault] if fault else [])]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as service:
        try:
            assert service.stdout is not None
            yield int(service.stdout.readline())
        finally:
            service.kill()


def judge(home: Path, port: int, gates: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    descriptor, scenario, reports = home / "readiness.yaml", home / "quotes.yaml", home / "reports"
    descriptor.write_text(DESCRIPTOR.format(port=port), encoding="utf-8")
    scenario.write_text(SCENARIO.format(gates=", ".join(gates)), encoding="utf-8")
    argv = [sys.executable, "-m", "pytest", "--readiness", "-q", "-p", "no:cacheprovider"]
    argv += ["--readiness-deployment", str(descriptor), "--readiness-scenario", str(scenario)]
    argv += ["--readiness-reports", str(reports)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, env=environment
    )
    written = reports / "latest" / "readiness.json"
    assert written.is_file(), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return {gate["id"]: gate for gate in json.loads(written.read_text(encoding="utf-8"))["gates"]}


@pytest.mark.parametrize("fault", FORETOLD, ids=lambda fault: fault or "healthy")
def test_the_quotes_are_judged_as_foretold(fault: str, tmp_path: Path) -> None:
    foretold = FORETOLD[fault]
    with quotes(fault) as port:
        found = judge(tmp_path, port, foretold.gates)
    states = {gate: found[gate]["state"] for gate in found}
    reasons = {gate: found[gate]["reason"] for gate in found}
    assert states == {gate: "FAIL" if gate in foretold.red else "PASS" for gate in foretold.gates}, reasons
    assert foretold.told in found[foretold.gates[0]]["reason"]
    if fault == "hangs":  # whatever was left open is counted
        assert found[STRESS]["trials"] == 1005
        assert found[STRESS]["successes"] < 1005 / 2


def test_a_service_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        found = judge(tmp_path, taken.getsockname()[1], (SPIKE,))
    assert found[SPIKE]["state"] == "FAIL", found[SPIKE]["reason"]
    assert "connection refused" in found[SPIKE]["reason"]
