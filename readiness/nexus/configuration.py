"""The configuration in the database: read, set, and its history."""

from __future__ import annotations

import json
import re
from typing import Any

from sqlalchemy import Connection, select

from readiness.nexus import store
from readiness.nexus.clock import now_text
from readiness.nexus.seeds import CONFIGURATION

KEY = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
SCALARS = (str, int, float, bool)


def read(db: Connection) -> dict[str, Any]:
    """Returns every key with its value."""
    table = store.configuration
    rows = db.execute(select(table.c.key, table.c.value).order_by(table.c.key)).all()
    return {row.key: json.loads(row.value) for row in rows}


def number(db: Connection, key: str) -> int:
    """Returns one of the numbers that a fresh deployment has; its default when it was never set."""
    table = store.configuration
    stored = db.scalar(select(table.c.value).where(table.c.key == key))
    return CONFIGURATION[key] if stored is None else int(json.loads(stored))


def refusal(key: str, value: Any) -> str | None:
    """Returns why a value cannot be set, or None."""
    if not KEY.fullmatch(key):
        return f"key {key!r} must be small letters, digits and _.- and begin with a letter"
    if not isinstance(value, SCALARS):
        return f"value of {key} must be a text, a number or a truth value"
    if key in CONFIGURATION and (isinstance(value, bool | str) or not 0 < value < 1_000_000):
        return f"value of {key} must be a number above 0 and below 1000000"
    return None


def put(db: Connection, key: str, value: Any, actor: str) -> None:
    """Sets a value and enters the change in the history."""
    table, new = store.configuration, json.dumps(value)
    old = db.scalar(select(table.c.value).where(table.c.key == key))
    if old is None:
        db.execute(table.insert().values(key=key, value=new))
    else:
        db.execute(table.update().where(table.c.key == key).values(value=new))
    db.execute(store.configuration_history.insert().values(key=key, old=old, new=new, actor=actor, at=now_text()))


def history(db: Connection) -> list[dict[str, Any]]:
    """Returns every change, oldest first."""
    table = store.configuration_history
    rows = db.execute(select(table).order_by(table.c.id)).mappings().all()
    return [
        {"key": row["key"], "actor": row["actor"], "at": row["at"], "new": json.loads(row["new"])}
        | {"old": None if row["old"] is None else json.loads(row["old"])}
        for row in rows
    ]
