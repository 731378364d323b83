"""`readiness halt`: ends the run that holds a deployment, from another terminal, and heals what it leaves."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from readiness.errors import Busy
from readiness.healing import heal_deployment
from readiness.loading import load_descriptor
from readiness.state import HALT, Holder, State, runs
from readiness.waiting import NotInTime, eventually

END_S = 60.0
"""How long a run may take to undo what it has broken, in seconds; what it leaves is healed from what is written."""
REAPER_S = 120.0
"""How long whoever heals in its place (its reaper) may take, in seconds."""
KILLED_S = 10.0
_TURNS = 3


def halt_deployment(path: Path, *, tell: Callable[[str], None], end_s: float = END_S) -> bool:
    """End the run that holds the deployment and undo what is open; True when nothing is open any more."""
    file = load_descriptor(path)
    state = State(file.resolve(file.descriptor.state), file.descriptor.name)
    holder = _live_holder(state)
    if holder is None:
        tell(f"nothing runs on {file.descriptor.name}")
        return heal_deployment(path, dry_run=False, tell=tell)
    state.halt(holder.token)
    if holder.host != socket.gethostname():
        tell(
            f"{holder.who} (pid {holder.pid}) runs on {holder.host}: it breaks nothing more, and its reaper ends it; "
            "where it has none, run `readiness halt` there"
        )
        return not state.opened()
    _end(state, holder, tell, end_s)
    whole = _heal(path, state, tell)
    state.remove(HALT)
    return whole


def _end(state: State, holder: Holder, tell: Callable[[str], None], end_s: float) -> None:
    """Ask the holder to end, and end it where it does not; only ever the very process that holds the lease."""

    def over() -> bool:
        return not _holds(state, holder) or not runs(holder.pid, holder.started_s)

    tell(f"ending {holder.who} (pid {holder.pid}); it has {end_s:.0f} s to undo what it has broken")
    _signal(holder, signal.SIGTERM)
    try:
        eventually(over, within=end_s, every_s=0.05)
        tell(
            "it has ended"
            if not runs(holder.pid, holder.started_s)
            else "it has undone its changes and goes on to report"
        )
    except NotInTime:
        tell(f"it did not end within {end_s:.0f} s: killing it, and healing in its place")
        _signal(holder, signal.SIGKILL)
        with suppress(NotInTime):
            eventually(over, within=KILLED_S, every_s=0.05)


def _heal(path: Path, state: State, tell: Callable[[str], None]) -> bool:
    """Undo what is open; the reaper of a run that was killed may have come first, and then it does."""
    for _ in range(_TURNS):
        _await_healer(state, tell)
        with suppress(Busy):
            return heal_deployment(path, dry_run=False, tell=tell)
    return heal_deployment(path, dry_run=False, tell=tell)


def _await_healer(state: State, tell: Callable[[str], None]) -> None:
    """Let the reaper of a run that was killed do its work: it is faster than we, and holds the deployment."""
    current = _live_holder(state)
    if current is None:
        return
    tell(f"{current.who} heals what it left")
    with suppress(NotInTime):
        eventually(lambda: _live_holder(state) is None, within=REAPER_S, every_s=0.1)


def _live_holder(state: State) -> Holder | None:
    current = state.holder()
    return current if current is not None and current.live(datetime.now(UTC)) else None


def _holds(state: State, holder: Holder) -> bool:
    current = state.holder()
    return current is not None and current.token == holder.token


def _signal(holder: Holder, number: signal.Signals) -> None:
    if runs(holder.pid, holder.started_s):
        with suppress(ProcessLookupError):
            os.kill(holder.pid, number)
