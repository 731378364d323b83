"""Counts and content hashes of the five components, by which two environments are compared."""

from __future__ import annotations

from typing import Any

from readiness.nexus import archive, components
from readiness.nexus.components import LOGS_AND_METRICS, TABLES
from readiness.nexus.settings import Settings


def of(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return component -> count of its rows, and the hash over the sorted hashes of its rows."""
    rows = components.read_rows(settings)
    hashes = {
        component: [
            components.row_hash({"table": table.name, **row}) for table in tables for row in rows[table.name].values()
        ]
        for component, tables in TABLES.items()
    }
    hashes[LOGS_AND_METRICS] = archive.segment_hashes(settings.home)
    return {name: {"count": len(parts), "hash": components.content_hash(parts)} for name, parts in hashes.items()}
