"""Which processes a deployment consists of, as programs of its supervisor."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

from readiness.nexus.names import AGENT_ROLES
from readiness.nexus.proxy_servers import PROGRAMS as PROXIES
from readiness.nexus.registry import instance_name, pid_file
from readiness.nexus.releases import RELEASES, RETIRED
from readiness.nexus.settings import Settings
from readiness.nexus.supervision import Program, as_command

SINGLE = ("orchestrator",)
"""Services of which two releases must not run at a time."""
UNRELEASED = ("provider",)
"""Services that a deploy does not replace: the stand-in for a vendor."""
MOST_REPLICAS = 8
CARETAKER = "caretaker"
BESIDE = PROXIES | {CARETAKER}
"""Programs that are no instance of a service."""
_NEVER_RESTARTED = "writer"
_PINNED = ("reviewer", 2)
_START_SLOWLY = """#!/bin/sh
# An instance that died may still hold its port: give the system time to notice. PIDFILE SECONDS COMMAND…
[ -e "$1" ] && sleep "$2"
shift 2
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Placed:
    """One instance that is meant to run: a numbered replica of a service in a release."""

    service: str
    number: int
    release: str
    name: str


def placed(settings: Settings, release: str, services: Iterable[str] | None = None) -> list[Placed]:
    """List the instances that a release consists of, or those of some services."""
    chosen = settings.replicas if services is None else {name: settings.replicas[name] for name in services}
    instances = []
    for service, replicas in chosen.items():
        for number in range(1, replicas + 1):
            instances.append(Placed(service, number, release, instance_name(settings, service, number, release)))
    return instances


def known_names(settings: Settings) -> dict[str, Placed]:
    """Map every name that an instance of any release can have to what it is."""
    found: dict[str, Placed] = {}
    for release in RELEASES:
        for service in settings.replicas:
            for number in range(1, MOST_REPLICAS + 1):
                name = instance_name(settings, service, number, release)
                found[name] = Placed(service, number, release, name)
    return found


def program(settings: Settings, instance: Placed) -> Program:
    """Describe how one instance is started."""
    options = {
        "home": str(settings.home),
        "service": instance.service,
        "instance": instance.name,
        # What no deploy replaces must look the same to every deploy, or it would be started anew.
        "release": settings.initial_release if instance.service in UNRELEASED else instance.release,
    }
    if settings.defects.on("stale-agent") and (instance.service, instance.number) == _PINNED:
        options["release"] = next(iter(RETIRED))
    command = (sys.executable, "-m", "readiness.nexus.service", *as_command(options))
    delay_s = settings.defects.value("slow-restart")
    if delay_s:
        script = settings.home / "bin" / "start-instance"
        script.write_text(_START_SLOWLY)
        script.chmod(0o700)
        command = (str(script), str(pid_file(settings, instance.name)), str(delay_s), *command)
    forgotten = settings.defects.on("no-restart") and instance.service == _NEVER_RESTARTED
    return Program(instance.name, command, autorestart=not forgotten)


def programs(settings: Settings, instances: Iterable[Placed]) -> list[Program]:
    """Describe how several instances are started."""
    return [program(settings, instance) for instance in instances]


def caretaker(settings: Settings) -> Program:
    """Describe how the caretaker is started."""
    command = [sys.executable, "-m", "readiness.nexus.caretaker", *as_command({"home": str(settings.home)})]
    paused = any(settings.defects.on(name) for name in ("backup-age", "full-backup-age"))
    if paused or not settings.scheduled_backups:
        command.append("--no-schedule")
    if settings.defects.on("token-on-command-line"):
        level = settings.names.level("operator")
        command += ["--token", settings.secret(f"{level}.token")]
    return Program(CARETAKER, tuple(command))


def agents_and_all(settings: Settings) -> tuple[list[str], list[str]]:
    """Split the replaceable services: the agents, and those that serve them."""
    released = [service for service in settings.replicas if service not in UNRELEASED]
    agents = [service for service in released if service in AGENT_ROLES]
    return agents, [service for service in released if service not in agents]
