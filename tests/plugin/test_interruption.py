"""Ctrl-C, SIGTERM and kill -9 in the middle of a drill: the deployment is as it was, and the run is never READY."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from readiness.healing import heal_deployment
from readiness.signals import Interrupts, shielded
from readiness.waiting import eventually
from tests.plugin.conftest import FAKES, Judge

Card = Callable[[], dict[str, Any]]
GATES = f"import readiness.gates\nreadiness.gates.__path__[:] = [{str(FAKES)!r}]\n"


def run_apart(pytester: pytest.Pytester, tiny: Path, *more: str) -> pytest.RunResult:
    """A run in a process of its own, since it is going to be killed."""
    pytester.makeconftest(GATES)
    options = ("--readiness", "--readiness-scenario=tiny", f"--readiness-deployment={tiny}/readiness.yaml")
    return pytester.runpytest_subprocess(*options, *more)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_during_a_drill_undoes_it(
    pytester: pytest.Pytester, tiny: Path, card: Card, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("FAKE_SIGNAL", name)
    result = run_apart(pytester, tiny)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert json.loads((tiny / "switch.json").read_text(encoding="utf-8")) == {"switch": "on"}
    assert not list((tiny / "var/readiness/undos").glob("*.json"))
    assert not (tiny / "var/readiness/lease.json").exists()
    states = {gate["id"]: gate["state"] for gate in card()["gates"]}
    assert (states["OBS-MET-901"], states["OPS-REC-901"]) == ("PASS", "UNKNOWN")
    assert card()["decision"] != "READY"


def test_after_kill_9_the_next_run_heals_first(
    pytester: pytest.Pytester, tiny: Path, judge: Judge, card: Card, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_SIGNAL", "SIGKILL")
    assert run_apart(pytester, tiny, "-k", "OPS-REC-901").ret == -signal.SIGKILL
    assert json.loads((tiny / "switch.json").read_text(encoding="utf-8")) == {"switch": "off"}
    monkeypatch.delenv("FAKE_SIGNAL")
    told: list[str] = []
    assert not heal_deployment(tiny / "readiness.yaml", dry_run=True, tell=told.append)
    assert told[0].startswith("open: turn the switch off (gate OPS-REC-901")
    result = judge("-k", "OBS-MET-901")
    result.stdout.fnmatch_lines(["*healing what run * left: turn the switch off*"])
    assert json.loads((tiny / "switch.json").read_text(encoding="utf-8")) == {"switch": "on"}
    assert {gate["id"]: gate["state"] for gate in card()["gates"]}["OBS-MET-901"] == "PASS"


def test_heal_undoes_what_is_open(pytester: pytest.Pytester, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_SIGNAL", "SIGKILL")
    run_apart(pytester, tiny, "-k", "OPS-REC-901")
    told: list[str] = []
    assert heal_deployment(tiny / "readiness.yaml", dry_run=False, tell=told.append)
    assert told[0].startswith("healed: turn the switch off")
    assert json.loads((tiny / "switch.json").read_text(encoding="utf-8")) == {"switch": "on"}
    assert heal_deployment(tiny / "readiness.yaml", dry_run=True, tell=told.append)
    assert told[-1] == "nothing is open on tiny"


@pytest.fixture
def noted() -> Iterator[list[int]]:
    """Signals that reach the process outside any shield."""
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    yield seen
    signal.signal(signal.SIGTERM, before)


def test_a_shield_delivers_one_signal_when_it_ends(noted: list[int]) -> None:
    with shielded():
        with shielded():
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
        assert noted == []
    assert noted == [signal.SIGTERM]


def test_only_the_first_signal_ends_the_run(noted: list[int]) -> None:
    interrupts = Interrupts()
    interrupts.install()
    try:
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    finally:
        interrupts.restore()
    assert interrupts.received == ["SIGTERM", "SIGINT"]
    signal.raise_signal(signal.SIGTERM)
    assert noted == [signal.SIGTERM]


class Careless:
    """Something whose destructor is just running when the signal comes: what is raised there is lost."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_a_signal_whose_exception_was_lost_is_raised_again(noted: list[int]) -> None:
    interrupts = Interrupts()
    interrupts.install()
    try:
        with pytest.raises(KeyboardInterrupt, match="SIGTERM"):
            Careless()
            eventually(lambda: False, within=60)
    finally:
        interrupts.restore()
    assert interrupts.received == ["SIGTERM"] and noted == []
