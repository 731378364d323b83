"""Ends a process of a load run with the one that started it, so that nothing goes on sending for nobody."""

from __future__ import annotations

import os

import gevent

PARENT = "READINESS_LOAD_PARENT"
"""Set by whoever starts a load run and wants it to end with it: the pid."""
WATCH_S = 0.5

_FIRST = os.getpid()


def end_with_parent() -> None:
    """Watch the parent where the environment asks for it; a process that Locust forked watches the one it came from.

    The kernel's own signal (PR_SET_PDEATHSIG) is not used: it comes when the *thread* ends that started the process.
    """
    named = os.environ.get(PARENT, "")
    if not named.isdecimal():
        return
    gevent.spawn_raw(_watch, int(named) if os.getpid() == _FIRST else _FIRST)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        gevent.sleep(WATCH_S)
    os._exit(1)
