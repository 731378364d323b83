"""What a run shows while it goes on."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from rich.console import Console

from readiness.history import Event
from readiness.model import Finding, GateInfo, Mode, Outcome, Risk
from readiness.progress import Progress

GATE = GateInfo(
    "OPS-DEP-003", "rollback moves all traffic", "", "Ops", "Deploy", Risk.HIGH, True, Mode.DRILL, 1, typical_s=40.0
)
Shown = Callable[[], str]


def make(*, terminal: bool, quiet: bool = False, width: int = 200) -> tuple[Progress, Console, Shown]:
    file = io.StringIO()
    # rich takes the width of a dumb terminal to be 80, whatever it is told
    own = {"TERM": "xterm"}
    console = Console(file=file, force_terminal=terminal, width=width, color_system=None, _environ=own)
    return Progress(console, quiet=quiet, verbose=False), console, file.getvalue


def begin(progress: Progress) -> None:
    progress.begin([GATE, GATE])
    progress.gate_started(GATE)
    progress.step(GATE.id, "rolling back")
    progress.seen(Event(datetime.now(UTC), "change_opened", {"id": "1", "what": "release 2.3.1"}))


def test_the_moving_line_tells_all_at_a_glance() -> None:
    progress, console, shown = make(terminal=True)
    begin(progress)
    console.print(progress)
    for part in ("1/2", "OPS-DEP-003", "broken now: release 2.3.1", "rolling back", "about 1:", " left"):
        assert part in shown()
    progress.seen(Event(datetime.now(UTC), "change_closed", {"id": "1"}))
    console.print(progress)
    assert "broken now" not in shown().rstrip().splitlines()[-1]


def test_a_narrow_terminal_shows_what_is_broken_rather_than_the_claim() -> None:
    progress, console, shown = make(terminal=True, width=80)
    begin(progress)
    console.print(progress)
    line = shown().rstrip().splitlines()[-1]
    assert "OPS-DEP-003" in line
    assert "broken now: release 2.3.1" in line
    assert GATE.claim not in line


def test_without_a_terminal_there_are_plain_lines() -> None:
    progress, _, shown = make(terminal=False)
    progress.open()
    begin(progress)
    found = Finding(GATE.id, Outcome.FAIL, GATE.risk, True, "10 % left", datetime.now(UTC), 61.0)
    progress.gate_ended(found)
    progress.close()
    lines = shown().splitlines()
    assert lines[0].strip() == "breaking: release 2.3.1"
    assert lines[1].split() == ["[", "1/2]", "FAIL", *GATE.id.split(), *GATE.claim.split(), "1", "min", "1", "s"]
    assert lines[2].strip() == "10 % left"


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_is_silent(terminal: bool) -> None:
    progress, _, shown = make(terminal=terminal, quiet=True)
    progress.open()
    begin(progress)
    progress.tell("starting")
    progress.gate_ended(Finding(GATE.id, Outcome.PASS, GATE.risk, True, "", datetime.now(UTC)))
    progress.close()
    assert shown() == ""
