"""The figures of the SLA dashboard: how many of the callers' workflows came to a good end."""

from __future__ import annotations

import time
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, case, func, not_, select

from readiness.nexus import deployments, store
from readiness.nexus.access import CALLER
from readiness.nexus.audit import ALLOWED, AuditLog
from readiness.nexus.provider import MODELS
from readiness.nexus.settings import Settings
from readiness.nexus.specimens import WORKFLOW_MARK
from readiness.nexus.store import tasks, workflows
from readiness.nexus.volume import is_filled_in

OBJECTIVE = 0.995
"""Of the callers' workflows that end, this share ends well: what the descriptor declares as availability."""
Window = tuple[float, float]


def figures(settings: Settings, since: float, until: float) -> dict[str, float | int | None]:
    """Count what ended in [since, until), in seconds since the epoch; what is still under way counts later.

    Workflows of the operators themselves (a deploy validates with some) and filled-in ones are nobody's traffic.
    """
    engine = settings.engine()
    with store.reading(engine) as db:
        hidden = rollouts(settings, db) if settings.defects.on("dashboard-excludes-deploys") else []
        ended = and_(workflows.c.finished_at >= since, workflows.c.finished_at < until, _outside(hidden))
        tally = _tally_tasks if settings.defects.on("sla-counts-tasks") else _tally
        good, total = tally(db, ended)
        # The provider's test models fail on purpose: what they break is no user's loss.
        left = budget_left(*_tally(db, and_(workflows.c.model == MODELS[0], _outside(hidden))))
    engine.dispose()
    return {"availability": good / total if total else None, "good": good, "total": total, "budget_left": left}


def budget_left(good: int, total: int) -> float:
    """Return the share of the error budget that is left; below 0 more was broken than the objective allows.

    Error budget: (1 - objective) × total, as in Google's Site Reliability Workbook, chapter 2.
    """
    return 1.0 - (total - good) / ((1.0 - OBJECTIVE) * total) if total else 1.0


def rollouts(settings: Settings, db: Connection) -> list[Window]:
    """Return from when until when something was rolled out or back: from its permit to its entry in the history.

    What was never entered was undone, or is under way.
    """
    actions = {deployments.DEPLOY, deployments.ROLLBACK}
    begun = [
        _epoch_s(record["ts"])
        for record in AuditLog.of(settings).read()
        if record["operation"] in actions and record["outcome"] == ALLOWED and "dry_run=True" not in record["detail"]
    ]
    table = store.deployments
    ended = [_epoch_s(at) for at in db.scalars(select(table.c.at).where(table.c.action.in_(actions)))]
    now = time.time()
    return [(begin, min((end for end in ended if end >= begin), default=now)) for begin in begun]


def _tally(db: Connection, condition: ColumnElement[bool]) -> tuple[int, int]:
    good = func.count(case((workflows.c.status == "done", 1)))
    row = db.execute(select(good, func.count()).where(_of_callers(), condition)).one()
    return int(row[0]), int(row[1])


def _tally_tasks(db: Connection, condition: ColumnElement[bool]) -> tuple[int, int]:
    good = func.count(case((tasks.c.status == "done", 1)))
    joined = select(good, func.count()).join(workflows, workflows.c.id == tasks.c.workflow_id)
    row = db.execute(joined.where(_of_callers(), condition)).one()
    return int(row[0]), int(row[1])


def _of_callers() -> ColumnElement[bool]:
    return and_(
        workflows.c.status.in_(("done", "failed")),
        workflows.c.caller == CALLER,
        not_(is_filled_in(workflows.c.id, WORKFLOW_MARK)),
    )


def _outside(windows: list[Window]) -> ColumnElement[bool]:
    return and_(True, *(not_(workflows.c.finished_at.between(begin, end)) for begin, end in windows))


def _epoch_s(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
