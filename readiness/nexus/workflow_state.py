"""The state of workflows as callers and operators see it."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, func, select

from readiness.nexus import messages, store
from readiness.nexus.releases import Release
from readiness.nexus.store import tasks, workflows

OPEN = ("queued", "running")


def read(db: Connection, release: Release, workflow_id: str, *, with_history: bool = False) -> dict[str, Any] | None:
    """Returns what a release can tell about a workflow, or None when there is none; the caller's others if wished."""
    has_priority = release.schema >= "0002"
    columns = [column for column in workflows.columns if has_priority or column.name != "priority"]
    row = db.execute(select(*columns).where(workflows.c.id == workflow_id)).mappings().first()
    if row is None:
        return None
    stored = row["result"]
    result = messages.decode_result(json.loads(stored), release.message_format) if stored else None
    steps = db.execute(select(tasks).where(tasks.c.workflow_id == workflow_id).order_by(tasks.c.position))
    # An order that arrived twice and was done twice has two effects: the second one's id is made from the first's.
    key = store.effects.c.workflow_id
    effects = select(func.count()).select_from(store.effects).where(key >= workflow_id, key < f"{workflow_id}/")
    shown = [
        "id",
        "status",
        "plan",
        "model",
        "release",
        "error",
        "correlation_id",
        *(["priority"] if has_priority else []),
    ]
    return {name: row[name] for name in shown} | {
        "answer": result.answer if result else None,
        "citations": list(result.citations) if result else [],
        "effects": db.scalar(effects),
        "tasks": [
            {name: task[name] for name in ("role", "attempts", "tokens", "release")}
            | {"outcome": task["status"], "steps": task["attempts"] + task["calls"]}
            for task in steps.mappings()
        ],
        **({"history": _ordered_by(db, row["caller"])} if with_history else {}),
    }


def open_workflows(db: Connection, release: str) -> int:
    """Counts the workflows of a release that have not ended."""
    count = select(func.count()).where(workflows.c.release == release, workflows.c.status.in_(OPEN))
    return int(db.scalar(count) or 0)


def reassign(db: Connection, release: str, successor: str) -> int:
    """Gives the unfinished work of a release that is going away to another; returns the number of workflows."""
    unfinished = select(workflows.c.id).where(workflows.c.release == release, workflows.c.status.in_(OPEN))
    db.execute(
        tasks.update()
        .where(tasks.c.workflow_id.in_(unfinished), tasks.c.status.in_(("queued", "leased")))
        .values(status="queued", release=successor, lease_token=None, lease_until=None)
    )
    moved = db.execute(
        workflows.update().where(workflows.c.release == release, workflows.c.status.in_(OPEN)).values(release=successor)
    )
    return int(moved.rowcount)


def _ordered_by(db: Connection, caller: str) -> dict[str, str]:
    """Returns id -> state of all that a caller ever ordered, oldest first."""
    ordered = select(workflows.c.id, workflows.c.status).where(workflows.c.caller == caller)
    return dict(db.execute(ordered.order_by(workflows.c.created_at)).tuples().all())
