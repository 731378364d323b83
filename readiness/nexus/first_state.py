"""Plants what a fresh deployment starts from: schema, configuration, weights, history and documents."""

from __future__ import annotations

import json

from readiness.nexus import knowledge, schema, store
from readiness.nexus.clock import now_text
from readiness.nexus.releases import FIRST_RELEASE, release_of
from readiness.nexus.seeds import CONFIGURATION, DOCUMENTS
from readiness.nexus.settings import Settings


def plant(settings: Settings) -> None:
    """Fills a fresh home: live on its initial release, which was deployed over the first one."""
    create_schema(settings, release_of(settings.initial_release).schema)
    engine = settings.engine()
    with store.writing(engine) as db:
        db.execute(store.weights.insert().values(release=settings.initial_release, percent=100))
        for key, value in CONFIGURATION.items():
            db.execute(store.configuration.insert().values(key=key, value=json.dumps(value)))
        history = [("initial", FIRST_RELEASE)]
        if settings.initial_release != FIRST_RELEASE:
            history.append(("deploy", settings.initial_release))
        for action, release in history:
            db.execute(store.deployments.insert().values(release=release, action=action, actor="setup", at=now_text()))
    engine.dispose()
    engine = settings.knowledge_engine()
    with store.writing(engine) as db:
        db.execute(store.documents.insert(), [document._asdict() for document in DOCUMENTS])
        knowledge.SearchIndex().rebuild(db)
    engine.dispose()


def create_schema(settings: Settings, revision: str) -> None:
    """Creates the empty tables of both databases."""
    schema.migrate(settings, revision)
    engine = settings.knowledge_engine()
    knowledge.create(engine)
    engine.dispose()
