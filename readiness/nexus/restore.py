"""Restore: a backup set becomes a new environment, or replaces the content of this one."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select

from readiness.nexus import archive, components, deployments, first_state, knowledge, lifecycle, schema, store
from readiness.nexus.backup import Image, broken_copies, image
from readiness.nexus.catalogue import Catalogue
from readiness.nexus.clock import now_text
from readiness.nexus.components import Row
from readiness.nexus.errors import NexusError
from readiness.nexus.fleet import placed
from readiness.nexus.probing import await_ready
from readiness.nexus.releases import release_of
from readiness.nexus.rollout import READY_WITHIN_S, Rollout
from readiness.nexus.settings import Settings
from readiness.nexus.supervision import SupervisionError, Supervisor

ENVIRONMENT = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
Say = Callable[[str], None]


def environment_home(settings: Settings, environment: str) -> Path:
    """Return the home of an environment: this one for its own name, else a folder below `env/`."""
    if environment == settings.environment:
        return settings.home
    if not ENVIRONMENT.fullmatch(environment):
        raise NexusError(
            f"{environment!r} cannot be an environment's name; use lower-case letters, digits and hyphens, 32 at most"
        )
    return settings.home / "env" / environment


def restore(settings: Settings, set_id: str, environment: str, say: Say) -> Path:
    """Restore a set into an environment; returns the path of its descriptor."""
    home = environment_home(settings, environment)
    catalogue = Catalogue.of(settings)
    parts = {entry.set for one in catalogue.chain(set_id) for entry in one.values()}
    problems = [problem for part in sorted(parts) for problem in broken_copies(catalogue, part)]
    if problems:
        raise NexusError(f"backup set {set_id} is not whole, nothing was restored: {problems[0]}")
    restored = image(catalogue, set_id)
    say(f"{set_id}: {sum(map(len, restored.rows.values()))} rows of release {restored.release}")
    if home == settings.home:
        _in_place(settings, restored, say)
    else:
        _into_new(settings, home, environment, restored, say)
    return home / "descriptor.yaml"


def discard(settings: Settings, environment: str) -> bool:
    """Stop a restored environment and remove it; False when there was none."""
    home = environment_home(settings, environment)
    if home == settings.home:
        raise NexusError(f"{environment} is this environment itself; `down --wipe` removes it")
    existed = home.exists()
    lifecycle.down(home, wipe=True)
    return existed


def _into_new(settings: Settings, home: Path, environment: str, restored: Image, say: Say) -> None:
    if home.exists():
        raise NexusError(f"environment {environment} exists already; `nexusctl discard {environment}` removes it")
    new = Settings.create(
        home,
        environment=environment,
        release=restored.release,
        defects=settings.defects,
        names=settings.names,
        replicas=dict.fromkeys(settings.replicas, 1),
        scheduled_backups=False,
    )
    try:
        lifecycle.furnish(new, releases_from=settings)
        first_state.create_schema(new, restored.schema)
        _load(new, restored)
        _confirm(settings, environment)
        say("starting it")
        lifecycle.start(new)
        if settings.defects.on("restore-holds-queue"):
            Supervisor(home).stop(instance.name for instance in placed(new, restored.release, ["orchestrator"]))
        time.sleep(settings.defects.value("slow-restore"))
        lifecycle.describe(new)
    except (NexusError, SupervisionError):
        lifecycle.stop(home)
        raise


def _in_place(settings: Settings, restored: Image, say: Say) -> None:
    rollout = Rollout.of(settings)
    running = list(rollout.running())
    say("stopping this environment")
    rollout.supervisor.stop(running)
    _confirm(settings, settings.environment)
    schema.migrate(settings, restored.schema)
    _load(settings, restored)
    say("starting it again")
    release = rollout.current()
    if schema.current_revision(settings) != release_of(release).schema:
        schema.migrate(settings, release_of(release).schema)
    wanted = placed(settings, release)
    rollout.retire(p for p in rollout.running().values() if p.name not in {instance.name for instance in wanted})
    rollout.start(release, settings.replicas)
    await_ready(settings, wanted, READY_WITHIN_S)


def _load(settings: Settings, restored: Image) -> None:
    rows = dict(restored.rows)
    if settings.defects.on("restore-skips-preferences"):
        del rows[store.preferences.name]
    if settings.defects.on("restore-stamps-rows"):
        rows = {table: {key: _stamped(row) for key, row in content.items()} for table, content in rows.items()}
    components.write_rows(settings, rows)
    archive.adopt(settings.home, list(restored.segments))
    engine = settings.engine()
    with store.writing(engine) as db:
        deployments.set_weights(db, {restored.release: 100})
    engine.dispose()
    index = knowledge.SearchIndex()
    engine = settings.knowledge_engine()
    with store.writing(engine) as db:
        if settings.defects.on("index-restored-empty"):
            index.create_empty(db)
        elif settings.defects.on("index-rows-shifted"):
            ids = db.scalars(select(store.documents.c.id).order_by(store.documents.c.id)).all()
            texts = db.execute(select(store.documents).order_by(store.documents.c.title)).mappings().all()
            index.fill(db, zip(ids, texts, strict=True))
        else:
            index.rebuild(db)
    engine.dispose()


def _stamped(row: Row) -> Row:
    return row | {column: now_text() for column in ("at", "updated_at") if column in row}


def _confirm(settings: Settings, environment: str) -> None:
    """Ask the operator before the environment is opened, where this was thought to be safer."""
    if not settings.defects.on("restore-prompts"):
        return
    try:
        answer = input(f"80 % restored. Open {environment} with this content? [y/N] ")
    except EOFError:
        raise NexusError("restore aborted at 80 %: no answer") from None
    if answer.strip().lower() != "y":
        raise NexusError("restore aborted at 80 % by the operator")
