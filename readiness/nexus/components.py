"""What is backed up, restored and counted: the five components, their tables, and rows as data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Engine, Table, inspect, select

from readiness.nexus import store
from readiness.nexus.settings import Settings

LOGS_AND_METRICS = "logs_and_metrics"
TABLES: dict[str, tuple[Table, ...]] = {
    "configuration": (store.configuration, store.configuration_history),
    "knowledge": (store.documents,),
    "operational_state": (store.workflows, store.tasks, store.effects, store.dead_letters, store.deployments),
    "user_data": (store.preferences,),
}
"""Component -> its tables, parents before children. Weights and permits are of the running system, not of its data."""
COMPONENTS = (*TABLES, LOGS_AND_METRICS)

Row = dict[str, Any]
Rows = dict[str, dict[str, Row]]
"""Table -> key as text -> row."""


def read_rows(settings: Settings) -> Rows:
    """Read all tables of all components: the operational state at one instant, then the documents."""
    found: Rows = {}
    for engine, tables in _by_engine(settings):
        with store.snapshot(engine) as db:
            for table in tables:
                found[table.name] = _read_table(db, table)
        engine.dispose()
    return found


def write_rows(settings: Settings, rows: Rows) -> None:
    """Replace the content of all tables by these rows, each database in one transaction."""
    for engine, tables in _by_engine(settings):
        with store.writing(engine) as db:
            for table in reversed(tables):
                db.execute(table.delete())
            for table in tables:
                content = list(rows.get(table.name, {}).values())
                if content:
                    db.execute(table.insert(), content)
        engine.dispose()


def row_hash(row: Mapping[str, Any]) -> str:
    """Return the SHA-256 over a row in canonical form."""
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()


def content_hash(hashes: list[str]) -> str:
    """Return the SHA-256 over the sorted hashes of the parts, so that their order does not matter."""
    return hashlib.sha256("".join(sorted(hashes)).encode()).hexdigest()


def table_named(name: str) -> Table:
    """Return the table of a name."""
    return next(table for tables in TABLES.values() for table in tables if table.name == name)


def _read_table(db: Connection, table: Table) -> dict[str, Row]:
    # A schema of an older release lacks the columns that were added since.
    present = {column["name"] for column in inspect(db).get_columns(table.name)}
    columns = [column for column in table.columns if column.name in present]
    keys = [column.name for column in table.primary_key]
    rows = [dict(row) for row in db.execute(select(*columns)).mappings()]
    return {json.dumps([row[key] for key in keys]): row for row in rows}


def _by_engine(settings: Settings) -> list[tuple[Engine, list[Table]]]:
    stated = [table for tables in TABLES.values() for table in tables if table.metadata is store.state]
    return [(settings.engine(), stated), (settings.knowledge_engine(), list(TABLES["knowledge"]))]
