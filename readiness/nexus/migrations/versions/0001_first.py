"""The state of release 2.2: messages and results in format v1, no priorities."""

from alembic import op

from readiness.nexus import store

revision = "0001"
down_revision = None

ADDED_LATER = (("workflows", "priority"),)


def upgrade() -> None:
    """Creates the tables as release 2.2 had them."""
    store.state.create_all(op.get_bind())
    for table, column in ADDED_LATER:
        op.drop_column(table, column)


def downgrade() -> None:
    """Removes everything."""
    store.state.drop_all(op.get_bind())
