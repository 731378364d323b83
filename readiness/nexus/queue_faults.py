"""What a badly built queue gets wrong: which reports it takes, and for what. Healthy, it errs in nothing."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select

from readiness.nexus import store
from readiness.nexus.defects import Defects
from readiness.nexus.messages import Task
from readiness.nexus.names import AGENT_ROLES
from readiness.nexus.store import tasks

CLOCKS_DIFFER_S = 0.03
"""Reports of different machines that are sent within so short a time have no order."""
MOST_REMEMBERED = 5_000


class QueueFaults:
    """The seeded defects of the queue that are about reports."""

    def __init__(self, defects: Defects) -> None:
        self._on = defects.on
        self._handed_out: OrderedDict[str, str] = OrderedDict()
        self._newest_at = 0.0

    def handed_out(self, token: str, task_id: str) -> None:
        """Remembers which task a lease was for, where leases are believed for ever."""
        if self._on("stale-lease-accepted"):
            self._handed_out[token] = task_id
            if len(self._handed_out) > MOST_REMEMBERED:
                self._handed_out.popitem(last=False)

    def holder_of(self, token: str) -> ColumnElement[bool]:
        """Returns which task a report belongs to: the one that has this lease."""
        task_id = self._handed_out.get(token)
        holds: ColumnElement[bool] = tasks.c.lease_token == token
        return holds if task_id is None else or_(holds, tasks.c.id == task_id)

    def taken_again(self, row: RowMapping, token: str) -> bool:
        """Tells whether a report is worked off although its task has ended, or is somebody else's."""
        if row["lease_token"] != token:
            return True
        ended = row["status"] == "done" and row["role"] == AGENT_ROLES[-1]
        return bool(ended and self._on("report-repeats-effect"))

    def taken_for_old(self, sent_at: float) -> bool:
        """Tells whether a report is thought to have been overtaken by what followed from it."""
        newest_at, self._newest_at = self._newest_at, max(sent_at, self._newest_at)
        return sent_at < newest_at - CLOCKS_DIFFER_S and self._on("order-assumed")

    def effect_key(self, db: Connection, workflow_id: str) -> dict[str, Any]:
        """Returns what tells an effect from others of its workflow: nothing, unless there may be several."""
        if not (self._on("stale-lease-accepted") or self._on("report-repeats-effect")):
            return {}
        count = select(func.count()).where(store.effects.c.workflow_id == workflow_id)
        return {"number": int(db.scalar(count) or 0)}


def strike_off_from(db: Connection, task: Task) -> None:
    """Takes out the tasks of a workflow from this one's step on: they are done once more."""
    steps = AGENT_ROLES[AGENT_ROLES.index(task.role) :]
    db.execute(tasks.delete().where(tasks.c.workflow_id == task.workflow_id, tasks.c.role.in_(steps)))


def make_room(db: Connection) -> None:
    """Takes the task out that waits longest."""
    oldest = select(tasks.c.id).where(tasks.c.status == "queued").order_by(tasks.c.created_at).limit(1)
    db.execute(tasks.delete().where(tasks.c.id.in_(oldest)))
