"""Replicas that are killed, frozen or asked to stop: by signals, shown by what the kernel says of the process."""

from __future__ import annotations

import os

import psutil

from readiness.drivers.process.victims import Victim
from readiness.target import Final, Lifted, Operation


def cannot_pause() -> str:
    """Say why no process can be frozen here, or nothing."""
    return "" if os.name == "posix" else "freezing a process needs SIGSTOP, which this system does not have"


def kill(process: psutil.Process, *_: object) -> None:
    """End it without warning."""
    process.kill()


def stop(process: psutil.Process, *_: object) -> None:
    """Ask it to end in order."""
    process.terminate()


def freeze(process: psutil.Process, *_: object) -> None:
    """Stop it in its tracks; it keeps all it has."""
    process.suspend()


def resume(victim: Victim, *_: object) -> None:
    """Let it go on; where it has ended there is nothing to resume, and whoever has its number now is left alone.

    It need not be the service's own any more: a replica that was started in its place while it was frozen has
    taken over the pid file, and the frozen one must still be let go.
    """
    process = victim.process()
    if process is not None:
        process.resume()


def gone(victim: Victim, *_: object) -> str:
    """Show that it has ended."""
    return f"{victim} is gone" if victim.process() is None else ""


def stopped(victim: Victim, *_: object) -> str:
    """Show that it is stopped."""
    return f"{victim} is stopped (state T)" if _state(victim) == psutil.STATUS_STOPPED else ""


def running(victim: Victim, *_: object) -> str:
    """Show that it is not stopped: that it goes on, or has ended."""
    state = _state(victim)
    if state is None:
        return f"{victim} ended"
    return "" if state == psutil.STATUS_STOPPED else f"{victim} goes on (state: {state})"


def killing(scheme: str, victim: Victim) -> Final:
    """Plan a crash."""
    arguments = victim.arguments()
    return Final(Operation(scheme, "kill", arguments), Operation(scheme, "gone", arguments))


def stopping(scheme: str, victim: Victim) -> Final:
    """Plan an end in order."""
    arguments = victim.arguments()
    return Final(Operation(scheme, "stop", arguments), Operation(scheme, "gone", arguments))


def freezing(scheme: str, victim: Victim) -> Lifted:
    """Plan a pause."""
    arguments = victim.arguments()
    do, undo, witness, healed = (
        Operation(scheme, name, arguments) for name in ("freeze", "resume", "stopped", "running")
    )
    return Lifted(do, undo, witness, healed)


def _state(victim: Victim) -> str | None:
    process = victim.process()
    try:
        status = process.status() if process is not None else None
    except psutil.NoSuchProcess:
        return None
    return None if status == psutil.STATUS_ZOMBIE else status
