"""Starting, showing and stopping a whole reference deployment."""

from __future__ import annotations

import argparse
import json
import signal
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

import platformdirs

from readiness.nexus import backup, baseline, first_state, lifecycle, proxy_servers
from readiness.nexus.defects import Defects
from readiness.nexus.errors import NexusError, WrongUsageError
from readiness.nexus.names import Names
from readiness.nexus.settings import Settings, write_private
from readiness.nexus.supervision import Supervisor

TEMPORARY = "nexus-"
"""Prefix of a home that nobody named: `down` removes it."""


def up(given: argparse.Namespace) -> int:
    """Start a deployment, or say that it is up already; on failure nothing is left running."""
    defects = Defects.parse(given.defect)
    names = Names.read(given.names) if given.names else Names()
    if given.dir is not None and lifecycle.is_up(given.dir.absolute()):
        print(f"already up: {given.dir}")
        print(given.dir.absolute() / "descriptor.yaml")
        return 0
    home = _home(given.dir)
    signal.signal(signal.SIGTERM, _interrupted)
    began = time.monotonic()
    try:
        descriptor = _bring_up(home, defects, names, proxied=given.toxiproxy)
    except BaseException:
        lifecycle.down(home, wipe=given.dir is None)
        raise
    print(f"ready after {time.monotonic() - began:.1f} s")
    print(descriptor, flush=True)
    return 0


def status(given: argparse.Namespace) -> int:
    """Say whether a deployment is up, and list its instances; exit 1 when it is not."""
    home = _chosen(given.dir)
    if not lifecycle.is_up(home):
        raise NexusError(f"{home} is not up; start it with `up --dir {home}`")
    for name, state in sorted(Supervisor(home).states().items()):
        print(f"{name:32} {state['statename'].lower()}")
    print(home / "descriptor.yaml")
    return 0


def down(given: argparse.Namespace) -> int:
    """Stop a deployment; no process, port, lock or temporary file is left."""
    home = _chosen(given.dir)
    wipe = given.wipe or _is_temporary(home)
    existed = home.exists()
    lifecycle.down(home, wipe=wipe)
    last = _Last.read()
    if last is not None and last.home == home:
        _last_file().unlink(missing_ok=True)
    print(f"down: {home}{' (removed)' if wipe else ''}" if existed else f"down: {home} was not there")
    return 0


def _bring_up(home: Path, defects: Defects, names: Names, *, proxied: bool) -> Path:
    print(f"home: {home}", flush=True)
    known = (home / "etc" / "nexus.json").exists()
    settings = _again(home, defects, names) if known else Settings.create(home, defects=defects, names=names)
    settings = replace(settings, proxied=proxy_servers.planned(home) if proxied else None)
    settings.save()
    for name in settings.defects.as_mapping():
        print(f"defect: {name}", flush=True)
    _Last(home).write()
    lifecycle.furnish(settings)
    if not known:
        first_state.plant(settings)
    print(f"starting {sum(settings.replicas.values())} instances on port {settings.public_port}", flush=True)
    lifecycle.start(settings, build_releases=True)
    if not known:
        print("first backups", flush=True)
        _first_backups(settings)
    baseline.write(settings)
    return lifecycle.describe(settings)


def _again(home: Path, defects: Defects, names: Names) -> Settings:
    """Take up a home that was stopped, with the defects that are wished for this time."""
    settings = Settings.load(home)
    if names not in (Names(), settings.names):
        raise WrongUsageError(f"{home} was made with other names; give a new folder with --dir")
    return replace(settings, defects=defects)


def _first_backups(settings: Settings) -> None:
    newest_s = settings.defects.value("backup-age")
    backup.take(settings, backup.FULL, age_s=max(settings.defects.value("full-backup-age"), newest_s))
    backup.take(settings, backup.INCREMENTAL, age_s=newest_s)


def _home(chosen: Path | None) -> Path:
    if chosen is None:
        # A short path: that of a unix socket has little room.
        return Path(tempfile.mkdtemp(prefix=TEMPORARY)).absolute()
    home = chosen.absolute()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUsageError(f"{home}: {error.strerror}; give a folder that you may write to with --dir") from None
    if any(home.iterdir()) and not (home / "etc" / "nexus.json").exists():
        raise WrongUsageError(f"{home} is neither empty nor a Nexus home; give an empty or a new folder with --dir")
    return home


def _chosen(given: Path | None) -> Path:
    if given is not None:
        return given.absolute()
    last = _Last.read()
    if last is None:
        raise NexusError("nothing was started by `up` that is still known here; name it with --dir")
    return last.home


@dataclass(frozen=True, slots=True)
class _Last:
    """The deployment that was started last by this user."""

    home: Path

    def write(self) -> None:
        path = _last_file()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, json.dumps({"home": str(self.home)}) + "\n")

    @classmethod
    def read(cls) -> _Last | None:
        try:
            return cls(Path(json.loads(_last_file().read_text("utf-8"))["home"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _last_file() -> Path:
    return platformdirs.user_state_path("nexus-readiness") / "last-up"


def _is_temporary(home: Path) -> bool:
    return home.parent == Path(tempfile.gettempdir()).absolute() and home.name.startswith(TEMPORARY)


def _interrupted(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
