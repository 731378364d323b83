"""A home from its making to its removal: created, started, described, stopped, wiped."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
from pathlib import Path

from readiness.nexus import build, descriptor_writer, links, proxy_servers
from readiness.nexus.errors import NexusError
from readiness.nexus.fleet import caretaker, placed, programs
from readiness.nexus.probing import await_ready
from readiness.nexus.processes import clean_environment, kill_all, processes_of
from readiness.nexus.settings import Settings, write_private
from readiness.nexus.supervision import Supervisor

READY_WITHIN_S = 60.0
_COMMAND = """#!/bin/sh
# The operators' command of this deployment.
{environment}exec {python} -m readiness.nexus.ctl --home {home} "$@"
"""


def furnish(settings: Settings, *, releases_from: Settings | None = None) -> None:
    """Put the operators' command into a fresh home, and the releases that were built elsewhere."""
    path = clean_environment().get("PYTHONPATH")
    command = settings.home / "bin" / "nexusctl"
    write_private(
        command,
        _COMMAND.format(
            environment=f"PYTHONPATH={shlex.quote(path)} " if path else "",
            python=shlex.quote(sys.executable),
            home=shlex.quote(str(settings.home)),
        ),
    )
    command.chmod(0o700)
    if releases_from is not None:
        shutil.copytree(releases_from.home / "releases", settings.home / "releases", dirs_exist_ok=True)


def start(settings: Settings, *, build_releases: bool = False) -> None:
    """Start all processes of a home and wait until they are ready; the releases are built while they start."""
    from readiness.nexus import deployments, store

    engine, on = settings.engine(), settings.defects.on
    with store.reading(engine) as db:
        release = deployments.current(db)
    engine.dispose()
    marker(settings.home).unlink(missing_ok=True)
    wanted = placed(settings, release)
    supervisor = Supervisor(settings.home)
    beside = proxy_servers.programs(settings.proxied) if settings.proxied else []
    supervisor.configure([*beside, *programs(settings, wanted), caretaker(settings)])
    handed_down = {"PROVIDER_API_KEY": settings.secret("provider.key")} if on("key-in-environment") else {}
    supervisor.launch(environment=handed_down)
    if build_releases:
        build.build_all(settings)
    await_ready(settings, wanted, READY_WITHIN_S)


def describe(settings: Settings) -> Path:
    """Write the descriptor of a running home."""
    path = settings.home / "descriptor.yaml"
    write_private(path, descriptor_writer.as_yaml(settings))
    return path


def stop(home: Path) -> None:
    """Stop every process of a home, whatever state it is in; nothing is started again."""
    if not home.exists():
        return
    (home / "run").mkdir(exist_ok=True)
    marker(home).touch()
    supervisor = Supervisor(home)
    supervisor.shutdown()
    # Whoever was killed in between may have left children, and the caretaker may just have started a supervisord.
    supervisor.shutdown()
    kill_all(processes_of(home))
    supervisor.forget_socket()
    with contextlib.suppress(NexusError):
        links.forsake(home)
    for left in ("links.json", "*.pid", "*.hold", "*.sock*", "*.lock", "targets/*.json", "targets/*.lock"):
        for path in (home / "run").glob(left):
            path.unlink(missing_ok=True)


def down(home: Path, *, wipe: bool) -> None:
    """Stop a home and the environments that were restored below it; remove it if that is wished."""
    for environment in sorted((home / "env").glob("*")):
        stop(environment)
    stop(home)
    if wipe:
        shutil.rmtree(home, ignore_errors=True)


def marker(home: Path) -> Path:
    """Return the file that tells the caretaker to let everything be."""
    return home / "run" / "stopping"


def is_up(home: Path) -> bool:
    """Say whether a home's supervisord lives."""
    return Supervisor(home).process() is not None
