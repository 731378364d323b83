"""Ends a process of a load run with the one that started it, so that nothing goes on sending for nobody."""

from __future__ import annotations

import os
import signal

import gevent

from readiness.load.runner import PARENT

WATCH_S, ENDS_WITHIN_S = 0.5, 5.0

_FIRST = os.getpid()


def end_with_parent() -> None:
    """Watch whoever started this process: a worker that Locust forked always, else where the environment asks for it.

    Locust itself leaves forked workers alone for a minute when their master ends in its first second (wrong usage).
    The kernel's own signal (PR_SET_PDEATHSIG) is not used: it comes when the *thread* ends that started the process.
    """
    named = os.environ.get(PARENT, "")
    if os.getpid() != _FIRST:
        gevent.spawn_raw(_watch, _FIRST)
    elif named.isdecimal():
        gevent.spawn_raw(_watch, int(named))


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        gevent.sleep(WATCH_S)
    os.kill(os.getpid(), signal.SIGTERM)  # Locust's own end, so that what is in flight is written
    gevent.sleep(ENDS_WITHIN_S)
    os._exit(1)
