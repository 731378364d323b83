"""Waits are short on a system in memory."""

from __future__ import annotations

import pytest

from readiness.gates import log_probes, log_trails, logs, metrics
from tests.gates.loaded import Wall


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_probes, "_QUIET_S", 0.03)
    monkeypatch.setattr(log_trails, "QUIET_S", 0.05)
    monkeypatch.setattr(logs, "_LATE_S", 0.3)
    monkeypatch.setattr(metrics, "_REST_S", 0.05)
    monkeypatch.setattr(metrics, "_LATE_S", {"scrape": 0.3})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Wall:
    return Wall().rule(monkeypatch)
