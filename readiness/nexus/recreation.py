"""Recreating a service: its instances are destroyed with all that is theirs alone, and made anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, make_url, select

from readiness.nexus import store
from readiness.nexus.authority import Operator
from readiness.nexus.rollout import Rollout
from readiness.nexus.settings import Settings

WRITTEN_BACK_EVERY_S = 60.0
Say = Callable[[str], None]


def recreate(rollout: Rollout, operator: Operator, service: str, say: Say) -> None:
    """Stop every instance of a service, forget it, and start new ones; only what lies under data/ outlives them."""
    settings, outward = rollout.settings, rollout.settings.names.component(service)
    operator.act("recreate", service=outward)
    leaving = [instance for instance in rollout.running().values() if instance.service == service]
    rollout.retire(leaving)
    say(f"{', '.join(instance.name for instance in leaving)}: gone")
    if service == "knowledge" and settings.defects.on("knowledge-on-anonymous-volume"):
        _remove_volume(settings)
    if service == "orchestrator" and settings.defects.on("write-cache-on-instance"):
        with store.writing(rollout.engine) as db:
            _forget_since(db, time.time() - WRITTEN_BACK_EVERY_S)
    rollout.start_ready(rollout.current(), [service])
    say(f"{outward}: recreated")


def _remove_volume(settings: Settings) -> None:
    database = Path(make_url(settings.knowledge_url).database or "")
    for part in database.parent.glob(f"{database.name}*"):
        part.unlink()


def _forget_since(db: Connection, moment: float) -> None:
    workflows = store.workflows
    late = select(workflows.c.id).where(workflows.c.created_at > moment)
    for table in (store.effects, store.tasks):
        db.execute(table.delete().where(table.c.workflow_id.in_(late)))
    db.execute(workflows.delete().where(workflows.c.created_at > moment))
    since = datetime.fromtimestamp(moment, UTC).isoformat()
    db.execute(store.preferences.delete().where(store.preferences.c.updated_at > since))
