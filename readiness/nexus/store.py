"""The tables of the operational state and of the knowledge base, and how a transaction is opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    create_engine,
    event,
)

state = MetaData()
"""Operational state at the newest revision; the migrations create it."""
knowledge = MetaData()

workflows = Table(
    "workflows",
    state,
    Column("id", String(64), primary_key=True),
    Column("caller", String(64), nullable=False),
    Column("plan", String(32), nullable=False),
    Column("input", Text, nullable=False),
    Column("model", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("error", Text),
    Column("release", String(32), nullable=False),
    Column("correlation_id", String(128), nullable=False),
    Column("traceparent", String(64), nullable=False),
    Column("result", Text),
    Column("created_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("priority", String(16), nullable=False, server_default="normal"),  # since revision 0002
    Index("workflows_by_status", "status", "release"),
    Index("workflows_by_end", "finished_at"),
)
tasks = Table(
    "tasks",
    state,
    Column("id", String(64), primary_key=True),
    Column("workflow_id", String(64), ForeignKey("workflows.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("role", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("release", String(32), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("tokens", Integer, nullable=False, server_default="0"),
    Column("calls", Integer, nullable=False, server_default="0"),
    Column("available_at", Float, nullable=False),
    Column("lease_token", Text),
    Column("lease_until", Float),
    Column("instance", String(64)),
    Column("payload", Text, nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("workflow_id", "position", name="one_task_per_step"),
    Index("tasks_by_status", "status", "role", "release"),
    Index("tasks_by_lease", "lease_token"),
)
effects = Table(
    "effects",
    state,
    Column("workflow_id", String(64), ForeignKey("workflows.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False, server_default="0"),
    Column("content", Text, nullable=False),
    Column("created_at", Float, nullable=False),
)
dead_letters = Table(
    "dead_letters",
    state,
    Column("task_id", String(64), primary_key=True),
    Column("workflow_id", String(64), nullable=False),
    Column("role", String(32), nullable=False),
    Column("payload", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("created_at", Float, nullable=False),
)
preferences = Table(
    "preferences",
    state,
    Column("user", String(128), primary_key=True),
    Column("body", Text, nullable=False),
    Column("updated_at", String(32), nullable=False),
)
configuration = Table(
    "configuration",
    state,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
configuration_history = Table(
    "configuration_history",
    state,
    Column("id", Integer, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("old", Text),
    Column("new", Text, nullable=False),
    Column("actor", String(32), nullable=False),
    Column("at", String(32), nullable=False),
)
weights = Table(
    "weights",
    state,
    Column("release", String(32), primary_key=True),
    Column("percent", Integer, nullable=False),
)
deployments = Table(
    "deployments",
    state,
    Column("id", Integer, primary_key=True),
    Column("release", String(32), nullable=False),
    Column("action", String(16), nullable=False),  # initial, deploy, rollback
    Column("actor", String(32), nullable=False),
    Column("at", String(32), nullable=False),
)
permits = Table(
    "permits",
    state,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the permit, never the permit
    Column("operation", String(32), nullable=False),
    Column("level", String(32), nullable=False),
    Column("correlation_id", String(128), nullable=False),
    Column("issued_at", Float, nullable=False),
    Column("used_at", Float),
)
documents = Table(
    "documents",
    knowledge,
    Column("id", String(64), primary_key=True),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
)


def open_engine(url: str) -> Engine:
    """Opens a database by URL; the only place that knows how SQLite is told to be durable and shared."""
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transaction control would begin late and leave schema changes outside.
    connection.isolation_level = None
    for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: Connection) -> None:
    if connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return
    if connection.get_execution_options().get("snapshot"):
        connection.exec_driver_sql("BEGIN")
        return
    # A transaction that reads first and writes later would fail when another process writes in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Opens a transaction that is committed at the end, or leaves nothing behind."""
    with engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Opens a connection for single reads, which never waits for a writer."""
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        yield connection


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Opens a transaction of reads alone, all at one instant, which never waits for a writer nor lets one wait."""
    with engine.connect().execution_options(snapshot=True) as connection, connection.begin():
        yield connection
