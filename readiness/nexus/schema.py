"""Moves the operational state between schema revisions, in both directions."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from readiness.nexus import store
from readiness.nexus.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(settings: Settings, revision: str) -> None:
    """Brings the schema to a revision, up or down, in one transaction; whoever is killed on the way changed nothing."""
    engine = settings.engine()
    with store.writing(engine) as connection:
        config = _config()
        config.attributes.update(connection=connection, defects=settings.defects)
        context = MigrationContext.configure(connection)
        if (context.get_current_revision() or "") > revision:
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)
    engine.dispose()


def current_revision(settings: Settings) -> str | None:
    """Returns the revision that the operational state is at, or None for an empty database."""
    engine = settings.engine()
    with store.reading(engine) as connection:
        revision = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    return revision


def revisions() -> list[str]:
    """Returns all revisions, oldest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
