"""Moves the operational state between schema revisions, in both directions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from readiness.nexus import store
from readiness.nexus.settings import Settings

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(settings: Settings, revision: str) -> None:
    """Brings the schema to a revision, up or down, in one transaction; whoever is killed on the way changed nothing."""
    from alembic import command

    engine = settings.engine()
    with store.writing(engine) as connection:
        config = _config()
        config.attributes.update(connection=connection, defects=settings.defects)
        if (_revision(connection) or "") > revision:
            command.downgrade(config, revision)
        else:
            command.upgrade(config, revision)
    engine.dispose()


def current_revision(settings: Settings) -> str | None:
    """Returns the revision that the operational state is at, or None for an empty database."""
    engine = settings.engine()
    with store.reading(engine) as connection:
        revision = _revision(connection)
    engine.dispose()
    return revision


def revisions() -> list[str]:
    """Returns all revisions, oldest first."""
    from alembic.script import ScriptDirectory

    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]


def _revision(connection: Connection) -> str | None:
    # Read here and not by Alembic, whose import costs whoever only asks (each start, each status) a quarter second.
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
