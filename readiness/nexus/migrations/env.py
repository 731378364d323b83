"""Runs the migrations on the connection that `schema.migrate` opened."""

from alembic import context

from readiness.nexus import store

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=store.state,
    # SQLite does take part in transactions with schema changes when the driver is told to leave them alone.
    transactional_ddl=True,
)
context.run_migrations()
