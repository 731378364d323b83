"""Who sends: one dispatcher a process for the open model, or users that wait for each answer for the closed one."""

from __future__ import annotations

import gevent
from locust import User, constant, task

from readiness.load.child.recording import session

session.ours = True
IDLE_S = 86400.0
"""What a user does that has sent everything: Locust ends one that waits at once."""


class OpenUser(User):
    """Sends every arrival of this process at its time, whether or not earlier ones have been answered."""

    abstract = False
    wait_time = constant(IDLE_S)

    @task
    def send(self) -> None:
        """Start this process's share of the plan, once; a second such user in a process has nothing to do.

        What is sent does not end with this user: Locust moves users about when a worker was not heard of for a while.
        """
        run = session.run
        if run is not None and run.claim():
            gevent.spawn(run.send_all)


class ClosedUser(User):
    """Sends one transaction after the other, each when the one before has ended."""

    abstract = False
    wait_time = constant(IDLE_S)

    @task
    def send(self) -> None:
        """Send until the plan's time is over; the first of them in a process sees to its end."""
        run = session.run
        if run is not None:
            if run.claim():
                gevent.spawn(run.drain)
            run.send_closed()
