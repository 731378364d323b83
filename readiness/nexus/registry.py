"""Where the live instances are: Prometheus `file_sd` target files and pid files under run/."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from readiness.nexus.settings import LOOPBACK, Settings, write_private


@dataclass(frozen=True, slots=True)
class Instance:
    """One announced instance; it may have died since without saying so."""

    name: str
    release: str
    address: str

    @property
    def url(self) -> str:
        """The base address of the instance's own port."""
        return f"http://{self.address}"

    @property
    def port(self) -> int:
        """The instance's own port."""
        return int(self.address.rpartition(":")[2])


def instance_name(settings: Settings, service: str, number: int, release: str) -> str:
    """Returns `<service>-<n>-r<release>`, without a release for the provider, which has none."""
    name = f"{settings.names.component(service)}-{number}"
    return name if service == "provider" else f"{name}-r{release}"


def targets_file(settings: Settings, service: str) -> Path:
    """Returns the target file of a service."""
    return settings.run / "targets" / f"{settings.names.component(service)}.json"


def pid_file(settings: Settings, instance: str) -> Path:
    """Returns the pid file of an instance."""
    return settings.run / f"{instance}.pid"


def hold_file(settings: Settings, instance: str) -> Path:
    """Returns the file that holds an instance back from work while it exists."""
    return settings.run / f"{instance}.hold"


def lookup(settings: Settings, service: str, release: str | None = None) -> list[Instance]:
    """Reads the announced instances of a service, optionally of one release."""
    try:
        groups = json.loads(targets_file(settings, service).read_text("utf-8"))
    except FileNotFoundError:
        return []
    found = [
        Instance(group["labels"]["instance"], group["labels"].get("release", ""), group["targets"][0])
        for group in groups
    ]
    return [instance for instance in found if release in (None, instance.release)]


def announce(settings: Settings, service: str, instance: Instance) -> None:
    """Enters an instance, replacing an older entry of the same name, and writes its pid file."""
    write_private(pid_file(settings, instance.name), f"{os.getpid()}\n")
    _rewrite(settings, service, lambda entries: [e for e in entries if e.name != instance.name] + [instance])


def withdraw(settings: Settings, service: str, instance: Instance) -> None:
    """Removes an instance and its pid file, unless a successor has taken the name over."""
    _rewrite(settings, service, lambda entries: [e for e in entries if e != instance])
    path = pid_file(settings, instance.name)
    try:
        if path.read_text("ascii").strip() == str(os.getpid()):
            path.unlink()
    except FileNotFoundError:
        pass


def forget(settings: Settings, service: str, name: str) -> None:
    """Removes what an instance that was killed for good left behind."""
    _rewrite(settings, service, lambda entries: [e for e in entries if e.name != name])
    pid_file(settings, name).unlink(missing_ok=True)


def previous_port(settings: Settings, service: str, name: str) -> int:
    """Returns the port that an instance of this name had before, or 0 for any."""
    return next((entry.port for entry in lookup(settings, service) if entry.name == name), 0)


def _rewrite(settings: Settings, service: str, change: Callable[[list[Instance]], list[Instance]]) -> None:
    path = targets_file(settings, service)
    with FileLock(path.with_suffix(".lock"), mode=0o600):
        entries = sorted(change(lookup(settings, service)), key=lambda entry: entry.name)
        write_private(path, json.dumps([_group(settings, service, entry) for entry in entries], indent=1) + "\n")


def _group(settings: Settings, service: str, entry: Instance) -> dict[str, object]:
    labels = {"instance": entry.name, "service": settings.names.component(service)}
    if entry.release:
        labels["release"] = entry.release
    return {"targets": [entry.address], "labels": labels}


def own_instance(name: str, release: str, port: int) -> Instance:
    """Describes an instance that listens on a port of this machine."""
    return Instance(name, release, f"{LOOPBACK}:{port}")
