"""The one shape of all profiles: it starts the users that send and sees when all is over; the plan says the rest."""

from __future__ import annotations

import logging
from typing import Any

from locust import LoadTestShape

from readiness.errors import ReadinessError
from readiness.load.child.recording import session
from readiness.load.child.users import ClosedUser, OpenUser


class ProfileShape(LoadTestShape):
    """Asks for one dispatching user a process (open model), or for the plan's users (closed model)."""

    abstract = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._wanted: tuple[int, float, list[type[Any]]] | None = None

    def tick(self) -> tuple[int, float, list[type[Any]]] | None:
        """Say which users the run needs; None when everything has ended."""
        if session.runner.state == "ready":  # a new run: Locust calls before it starts it
            self._wanted = self._chosen()
        return None if self._wanted is None or session.finished() else self._wanted

    def _chosen(self) -> tuple[int, float, list[type[Any]]] | None:
        session.run = None
        try:
            plan = session.ask().plan
        except ReadinessError as error:
            logging.getLogger("readiness").error("%s", error)
            return None
        if plan.users:
            return plan.users, float(min(100, plan.users)), [ClosedUser]
        return session.processes, float(session.processes), [OpenUser]
