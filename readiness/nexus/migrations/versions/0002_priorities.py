"""Release 2.3: workflows have a priority; messages and results are kept in format v2."""

import json

import sqlalchemy as sa
from alembic import context, op

from readiness.nexus import messages, store

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Adds the priority and rewrites what is stored in format v2."""
    op.add_column("workflows", sa.Column("priority", sa.String(16), nullable=False, server_default="normal"))
    _rewrite("v2")


def downgrade() -> None:
    """Rewrites what is stored in format v1, which loses the priorities, and drops their column."""
    op.drop_column("workflows", "priority")
    defects = context.config.attributes["defects"]
    if defects.on("one-way-migration"):
        return
    if defects.on("results-taken-for-cache"):
        op.execute(sa.update(store.workflows).values(result=None))
    _rewrite("v1")


def _rewrite(version: str) -> None:
    connection = op.get_bind()
    for table, column, convert in (
        (store.tasks, "payload", messages.convert_task),
        (store.dead_letters, "payload", messages.convert_task),
        (store.workflows, "result", messages.convert_result),
    ):
        key = next(iter(table.primary_key))
        rows = connection.execute(sa.select(key, table.c[column]).where(table.c[column].is_not(None))).all()
        for identity, text in rows:
            converted = json.dumps(convert(json.loads(text), version))
            connection.execute(sa.update(table).where(key == identity).values({column: converted}))
