"""The volume that a deployment is filled with on trial: put into the stores in bulk, and taken out again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Column, ColumnElement, Connection, Engine, and_, func, select

from readiness.nexus import deployments, store
from readiness.nexus.knowledge import SearchIndex
from readiness.nexus.releases import release_of
from readiness.nexus.settings import Settings
from readiness.nexus.specimens import (
    DOCUMENT_MARK,
    WORKFLOW_MARK,
    Archivist,
    Library,
    document_id,
    workflow_id,
)
from readiness.nexus.store import documents, effects, tasks, workflows

AT_ONCE = 2000
"""Documents or workflows in one transaction: whoever works meanwhile waits some tenths of a second and not for all."""


def fill(settings: Settings, items: int) -> None:
    """Bring the documents and the workflows that are filled in to this number each, up or down."""
    with _opened(settings.knowledge_engine()) as engine:
        _fill_documents(engine, items)
    with _opened(settings.engine()) as engine:
        _fill_workflows(engine, items)


def counted(settings: Settings) -> dict[str, int]:
    """Count what is filled in."""
    found = {}
    with _opened(settings.knowledge_engine()) as engine, store.reading(engine) as db:
        found["documents"] = _count(db, documents.c.id, DOCUMENT_MARK)
    with _opened(settings.engine()) as engine, store.reading(engine) as db:
        found["workflows"] = _count(db, workflows.c.id, WORKFLOW_MARK)
    return found


def is_filled_in(column: Column[str], mark: str, first: str | None = None) -> ColumnElement[bool]:
    """Return the condition that a row was filled in, with the id `first` or a later one: a range of the key."""
    return and_(column >= (first or mark), column < mark + "~")


def _fill_documents(engine: Engine, items: int) -> None:
    index, library = SearchIndex(), Library()
    with store.reading(engine) as db:
        present = _count(db, documents.c.id, DOCUMENT_MARK)
    if items < present:
        with store.writing(engine) as db:
            db.execute(documents.delete().where(is_filled_in(documents.c.id, DOCUMENT_MARK, document_id(items))))
            index.rebuild(db)
    for first, end in _portions(present, items):
        rows = [library.document(number) for number in range(first, end)]
        with store.writing(engine) as db:
            db.execute(documents.insert(), rows)
            index.add(db, rows)


def _fill_workflows(engine: Engine, items: int) -> None:
    with store.reading(engine) as db:
        present = _count(db, workflows.c.id, WORKFLOW_MARK)
        archivist = Archivist(release_of(deployments.current(db)), time.time())
    if items < present:
        with store.writing(engine) as db:
            for column in (tasks.c.workflow_id, effects.c.workflow_id, workflows.c.id):
                leaving = is_filled_in(column, WORKFLOW_MARK, workflow_id(items))
                db.execute(column.table.delete().where(leaving))
    for first, end in _portions(present, items):
        made = archivist.rows(first, end)
        with store.writing(engine) as db:
            for table, rows in ((workflows, made.workflows), (tasks, made.tasks), (effects, made.effects)):
                db.execute(table.insert(), rows)


def _portions(first: int, end: int) -> Iterator[tuple[int, int]]:
    for start in range(first, end, AT_ONCE):
        yield start, min(start + AT_ONCE, end)


def _count(db: Connection, column: Column[str], mark: str) -> int:
    return int(db.scalar(select(func.count(column)).where(is_filled_in(column, mark))) or 0)


@contextmanager
def _opened(engine: Engine) -> Iterator[Engine]:
    try:
        yield engine
    finally:
        engine.dispose()
