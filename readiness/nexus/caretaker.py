"""The caretaker: starts supervisord again when it was killed, and runs the scheduled backups.

Supervisord keeps the caretaker alive, the caretaker keeps supervisord alive. A new supervisord starts a caretaker of
its own, which waits for the lock until the old one has gone.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from readiness.nexus import links
from readiness.nexus.clock import now_text
from readiness.nexus.names import LogFields
from readiness.nexus.nightly import Nightly
from readiness.nexus.processes import clean_environment, ended
from readiness.nexus.settings import Settings
from readiness.nexus.supervision import SupervisionError, Supervisor

LOOK_AT_SCHEDULE_S = 30.0
NUDGE_S = 0.25
"""Supervisord looks after its programs once a second, and whenever it is asked something: so it is asked more often,
and what died is started again a second sooner."""
FURNISH_EVERY_S = 0.5
"""A server of proxies that died came back without any."""
LAUNCH_ATTEMPTS = 60
INCREMENTAL_EVERY = timedelta(hours=1)
FULL_EVERY = timedelta(days=1) - timedelta(minutes=10)
"""The seed's schedule for critical data; begun early enough that no full backup is older than a day."""


def main() -> int:
    """Watch until the home is taken down or a successor has been started."""
    options = argparse.ArgumentParser(prog="caretaker")
    options.add_argument("--home", type=Path, required=True)
    options.add_argument("--no-schedule", action="store_true")
    options.add_argument("--token", help=argparse.SUPPRESS)
    given = options.parse_args()
    _write_to(given.home / "log" / "caretaker.log")
    settings = Settings.load(given.home)
    journal = Journal(settings.names.log)
    nightly = Nightly(given.home) if settings.defects.on("noisy-neighbour") else None
    supervisor = Supervisor(given.home)
    lock = (supervisor.run / "caretaker.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    (supervisor.run / "caretaker.pid").write_text(f"{os.getpid()}\n")
    looked_at, furnished_at = time.monotonic(), 0.0
    while (watched := supervisor.process()) is not None:
        if ended(watched.pid, NUDGE_S):
            continue
        supervisor.answers()
        if settings.proxied and time.monotonic() - furnished_at >= FURNISH_EVERY_S:
            links.furnish(settings)
            furnished_at = time.monotonic()
        if nightly is not None:
            nightly.start_when_due()
        if time.monotonic() - looked_at >= LOOK_AT_SCHEDULE_S and not given.no_schedule:
            take_due_backup(given.home, journal)
            looked_at = time.monotonic()
    return relaunch(supervisor, journal)


def relaunch(supervisor: Supervisor, journal: Journal) -> int:
    """Start supervisord again, unless the home is being taken down."""
    for _ in range(LAUNCH_ATTEMPTS):
        if stopping(supervisor.home):
            return 0
        try:
            supervisor.launch()
        except SupervisionError as error:
            journal.write(
                "ERROR", "supervisord_start_failed", cause=str(error), operation="launch", input="supervisord.conf"
            )
            time.sleep(1)
        else:
            journal.write("WARN", "supervisord_restarted")
            return 0
    return 1


def stopping(home: Path) -> bool:
    """Say whether an operator is taking the home down: then nothing may be started again."""
    return not home.exists() or (home / "run" / "stopping").exists()


def due_kind(newest: dict[str, datetime], now: datetime) -> str | None:
    """Decide which backup the schedule asks for, from the time of the newest of each kind."""
    never = datetime.min.replace(tzinfo=UTC)
    full = newest.get("full", never)
    if now - full >= FULL_EVERY:
        return "full"
    if now - max(full, newest.get("incremental", never)) >= INCREMENTAL_EVERY:
        return "incremental"
    return None


def take_due_backup(home: Path, journal: Journal) -> None:
    """Take the backup that the schedule asks for, by the operators' own command."""
    kind = due_kind(_newest(home / "backups" / "catalogue.json"), datetime.now(UTC))
    if kind is None:
        return
    command = [sys.executable, "-m", "readiness.nexus.ctl", "--home", str(home), "backup", "--kind", kind]
    done = subprocess.run(
        command, env=clean_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        journal.write("INFO", "scheduled_backup_taken", kind=kind)
    else:
        journal.write("ERROR", "scheduled_backup_failed", cause=done.stderr.strip(), operation="backup", input=kind)


def _newest(catalogue: Path) -> dict[str, datetime]:
    try:
        entries = json.loads(catalogue.read_text())["backups"]
    except (OSError, ValueError, KeyError):
        return {}
    newest: dict[str, datetime] = {}
    for entry in entries:
        taken_at = datetime.fromisoformat(entry["taken_at"])
        newest[entry["kind"]] = max(taken_at, newest.get(entry["kind"], taken_at))
    return newest


def _write_to(path: Path) -> None:
    """Point stdout and stderr at our own log: the pipe to supervisord breaks when supervisord is killed."""
    log = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


@dataclass(frozen=True, slots=True)
class Journal:
    """Writes log records by the names of this deployment; lean, because a caretaker should hardly be noticed."""

    names: LogFields

    def write(self, level: str, event: str, **fields: str) -> None:
        """Write one record; an error has `operation`, `input` and `cause`."""
        fixed = {"time": now_text(), "level": level, "component": "caretaker", "subcomponent": "watch"}
        fixed |= {"instance": "caretaker", "event": event}
        record = {getattr(self.names, name, name): value for name, value in (fixed | fields).items()}
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    sys.exit(main())
