"""Admission: how much work may wait, so that what is taken in is also done while it is still wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from readiness.nexus import configuration
from readiness.nexus.errors import NexusError
from readiness.nexus.queue import Queue
from readiness.nexus.queue_faults import make_room
from readiness.nexus.settings import Settings
from readiness.nexus.steps import Step

RETRY_AFTER_S = 3
"""A quarter of a full queue is done by then."""
AT_HAND = 4
"""One in so many of those that may wait may be on their way into the queue at a time."""


class OverloadedError(NexusError):
    """Too much work waits; nothing of this order was kept."""


class Admission:
    """Takes orders into the queue as long as there is room."""

    def __init__(self, settings: Settings, queue: Queue) -> None:
        self._defects, self._queue = settings.defects, queue
        self._at_hand = 0

    @contextmanager
    def entering(self) -> Iterator[None]:
        """Counts an order as at hand for the length of a `with` block."""
        self._at_hand += 1
        taken_in = False
        try:
            yield
            taken_in = True
        finally:
            if taken_in or not self._defects.on("overload-wedges-queue"):
                self._at_hand -= 1

    def take_in(self, db: Connection, order: dict[str, Any]) -> tuple[Step | None, int]:
        """Queues an order, unless it was taken in before; returns the change and how many tasks waited.

        Raises OverloadedError when the queue, or the way into it, is as full as it may be.
        """
        waiting, limit = self._queue.waiting(db), configuration.number(db, "queue_limit")
        full = waiting >= limit or self._at_hand > max(1, limit // AT_HAND)
        if full and not self._queue.knows(db, order["id"]):
            if not self._defects.on("overload-drops-accepted"):
                raise OverloadedError(f"{waiting} tasks wait, and {self._at_hand} orders are at hand")
            make_room(db)
        return self._queue.accept(db, order), waiting
