"""The record of what was deployed, and the weights by which requests are spread over releases."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select

from readiness.nexus import store
from readiness.nexus.clock import now_text
from readiness.nexus.errors import NexusError

INITIAL = "initial"
DEPLOY = "deploy"
ROLLBACK = "rollback"


def record(db: Connection, release: str, action: str, actor: str) -> None:
    """Write down that a release has become the current one."""
    db.execute(store.deployments.insert().values(release=release, action=action, actor=actor, at=now_text()))


def standing(db: Connection) -> list[str]:
    """Return the releases that a rollback can go back through, oldest first; the last one is current.

    Whoever returns to a release, by rollback or by deploying it again, has left everything that came after it.
    """
    stack: list[str] = []
    for release in db.scalars(select(store.deployments.c.release).order_by(store.deployments.c.id)):
        if release in stack:
            del stack[stack.index(release) :]
        stack.append(release)
    return stack


def current(db: Connection) -> str:
    """Return the release that the history says is current."""
    stack = standing(db)
    if not stack:
        raise NexusError("nothing was ever deployed here; run `up` first")
    return stack[-1]


def previous(db: Connection) -> str:
    """Return the release that a rollback goes back to."""
    stack = standing(db)
    if len(stack) < 2:
        known = stack[-1] if stack else "none"
        raise NexusError(f"no release to roll back to: {known} is the oldest of the history; deploy a release instead")
    return stack[-2]


def set_weights(db: Connection, shares: Mapping[str, int]) -> None:
    """Replace the weights, in percent, in one transaction."""
    db.execute(store.weights.delete())
    rows = [{"release": release, "percent": percent} for release, percent in shares.items() if percent]
    db.execute(store.weights.insert(), rows)


def weights(db: Connection) -> dict[str, int]:
    """Return the weights in percent."""
    return {row.release: row.percent for row in db.execute(select(store.weights).order_by(store.weights.c.release))}
