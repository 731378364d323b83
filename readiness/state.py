"""What outlives a run, in a folder shared by all who drill one deployment: lease, open undos, evidence."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import psutil
from filelock import FileLock, Timeout
from pydantic import TypeAdapter, ValidationError

from readiness.errors import Busy, UsageError
from readiness.model import Finding, GateInfo, Outcome
from readiness.records import finding_from, instant, to_json

Record = TypeVar("Record")
HALT = "halt.json"
_LOCK_S = 10.0
"""How long the file lock may be waited for; it is only ever held for one read and one write."""
_START_TOLERANCE_S = 2.0
"""The start time of a process moves by up to a second when the clock is adjusted; a reused pid differs by more."""
_FUTURE_S = 60.0
"""Evidence from further in the future than clocks differ is not fresh, it is wrong."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who may drill the deployment now."""

    who: str
    pid: int
    started_s: float
    """Start of the process in seconds since the epoch: a reused pid is another process."""
    host: str
    since: datetime
    until: datetime
    token: str

    def live(self, now: datetime) -> bool:
        """Whether the lease still counts: not expired, and its process not known to be dead."""
        if now >= self.until:
            return False
        return self.host != socket.gethostname() or runs(self.pid, self.started_s)


@dataclass(frozen=True, slots=True)
class OpenUndo:
    """A change that is or may be in force, and the operations that undo it."""

    id: str
    run_id: str
    gate: str
    what: str
    undo: tuple[Mapping[str, Any], ...]
    digest_before: Mapping[str, Any]
    """The state that must be again when this and all changes that overlap it are undone."""
    opened_at: datetime
    service: str | None = None
    replicas: int = 1
    fault: str = ""
    lifted: bool = False
    """Whether it is undone by lifting it, at once; without, something has to start again."""
    healed: Mapping[str, Any] | None = None
    """The operation that is asked after the undo until it shows that the effect is gone."""
    heals_itself_s: float | None = None


class Lease:
    """The right to drill, held by this process until it ends or the lease runs out unrenewed."""

    def __init__(self, state: State, holder: Holder, ttl_s: float) -> None:
        self._state = state
        self._ttl_s = ttl_s
        self.holder = holder

    @property
    def until(self) -> datetime:
        """The instant at which others may take over."""
        return self.holder.until

    def renew(self) -> None:
        """Hold on for another time to live; raise Busy when somebody took over in the meantime."""
        with self._state.locked():
            current = self._state.holder()
            if current is None or current.token != self.holder.token:
                raise self._state.busy(current, "the lease ran out unrenewed and was taken over")
            self.holder = replace(self.holder, until=datetime.now(UTC) + timedelta(seconds=self._ttl_s))
            self._state.write("lease.json", to_json(self.holder))

    def release(self) -> None:
        """Give the deployment free, unless somebody else holds it by now."""
        with self._state.locked():
            current = self._state.holder()
            if current is not None and current.token == self.holder.token:
                self._state.remove("lease.json")


class State:
    """The state folder of one deployment; every file is written whole, synced and readable by its owner only."""

    def __init__(self, folder: Path, deployment: str = "") -> None:
        self.folder = folder
        self.deployment = deployment

    @contextmanager
    def lease(self, holder: str, ttl_s: float) -> Iterator[Lease]:
        """Hold the deployment for the block; raise Busy while another live run holds it.

        A holder that is dead on this host, or did not renew within its time to live, is taken over.
        """
        with self.locked():
            now = datetime.now(UTC)
            current = self.holder()
            if current is not None and current.live(now):
                raise self.busy(current, "another run holds this deployment")
            pid = os.getpid()
            until = now + timedelta(seconds=ttl_s)
            started_s = psutil.Process(pid).create_time()
            mine = Holder(holder, pid, started_s, socket.gethostname(), now, until, secrets.token_hex(16))
            self.write("lease.json", to_json(mine))
        lease = Lease(self, mine, ttl_s)
        try:
            yield lease
        finally:
            lease.release()

    def holder(self) -> Holder | None:
        """Return who is written down as the holder, whether live or not."""
        record = self._load(self.folder / "lease.json")
        return None if record is None else _read(_adapter(Holder), record, self.folder / "lease.json")

    def busy(self, holder: Holder | None, what: str) -> Busy:
        """Return the one line that says who holds the deployment and what to do."""
        if holder is None:
            return Busy(f"{self.folder}: {what}; run again")
        return Busy(
            f"{self.folder}: {what}: {holder.who} (pid {holder.pid} on {holder.host}), since {instant(holder.since)}, "
            f"until {instant(holder.until)} unless renewed; wait for it to end, or stop that process and run again"
        )

    def halt(self, token: str) -> None:
        """Ask the run that holds this lease to break nothing more."""
        self.write(HALT, {"token": token, "at": instant(datetime.now(UTC))})

    def halted(self) -> bool:
        """Whether the lease in force was asked to break nothing more."""
        asked, current = self._load(self.folder / HALT), self.holder()
        return asked is not None and current is not None and asked.get("token") == current.token

    def open(self, undo: OpenUndo) -> None:
        """Write down how a change is undone, before it is made: when this returns, it is on the disk."""
        self.write(_undo_file(undo.id), to_json(undo))

    def close(self, id: str) -> None:
        """Strike an undo that was verified; one that is not open is no error."""
        self.remove(_undo_file(id))

    def opened(self) -> list[OpenUndo]:
        """Return the open undos, oldest first; one that cannot be read is a UsageError, never left out."""
        paths = sorted((self.folder / "undos").glob("[!.]*.json"))
        adapter = _adapter(OpenUndo)
        undos = [_read(adapter, record, path) for path in paths if (record := self._load(path)) is not None]
        return sorted(undos, key=lambda undo: (undo.opened_at, undo.id))

    def remember(self, finding: Finding, gate: GateInfo, release: str, run_id: str = "") -> None:
        """Keep a verdict as evidence for later runs; UNKNOWN and carried evidence are none and change nothing."""
        if finding.outcome is Outcome.UNKNOWN or finding.carried_from:
            return
        bound = {"gate": gate.id, "version": gate.version, "release": release, "deployment": self.deployment}
        self.write(f"evidence/{_name(gate.id)}.json", {**bound, "run_id": run_id, "finding": to_json(finding)})

    def recall(self, gate: GateInfo, release: str, now: datetime) -> Finding | None:
        """Return the last verdict of this gate version on this release and deployment, marked `carried_from`.

        A verdict older than the gate's time to live is none, except FAIL: it stands until the gate runs again.
        """
        try:
            record = self._load(self.folder / f"evidence/{_name(gate.id)}.json")
            finding = finding_from(record["finding"]) if record is not None else None
        except (UsageError, KeyError, TypeError):
            return None
        if record is None or finding is None:
            return None
        bound = (gate.id, gate.version, release, self.deployment)
        if bound != tuple(record.get(key) for key in ("gate", "version", "release", "deployment")):
            return None
        age_s = (now - finding.observed_at).total_seconds()
        if age_s < -_FUTURE_S or (finding.outcome is not Outcome.FAIL and age_s >= gate.ttl_s):
            return None
        return replace(finding, carried_from=record.get("run_id") or f"run of {instant(finding.observed_at)}")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's file lock for the block: one read and one write, never a drill."""
        self._make(self.folder)
        lock = FileLock(self.folder / "lease.lock", timeout=_LOCK_S, mode=0o600)
        try:
            lock.acquire()
        except Timeout:
            raise Busy(f"{self.folder}: its lock is held for more than {_LOCK_S:.0f} s; run again") from None
        except OSError as error:
            raise UsageError(f"{self.folder}: {error.strerror}; `state` must be a folder you may write to") from None
        try:
            yield
        finally:
            lock.release()

    def write(self, name: str, record: Mapping[str, Any]) -> None:
        """Write a file whole or not at all: temporary file, sync, rename, sync of the folder."""
        path = self.folder / name
        self._make(path.parent)
        draft = path.with_name(f".{path.name}.draft")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(record, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}; `state` must be a folder you may write to") from None

    def remove(self, name: str) -> None:
        """Remove a file and its draft, durably; a missing one is no error."""
        path = self.folder / name
        path.with_name(f".{path.name}.draft").unlink(missing_ok=True)
        if path.exists():
            path.unlink(missing_ok=True)
            _sync_folder(path.parent)

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise UsageError(f"{folder}: {error.strerror}; `state` must be a folder you may write to") from None

    def _load(self, path: Path) -> dict[str, Any] | None:
        try:
            record = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise UsageError(f"{path}: cannot be read; look what is in it, and remove it when nothing is open any more")
        return record


@cache
def _adapter(kind: type[Record]) -> TypeAdapter[Record]:
    """Make it once: that takes longer than most undos."""
    return TypeAdapter(kind)


def _read(adapter: TypeAdapter[Record], record: dict[str, Any], path: Path) -> Record:
    try:
        return adapter.validate_python(record)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise UsageError(f"{path}: {place} cannot be read; look what is in it before you remove it") from None


def runs(pid: int, started_s: float) -> bool:
    """Whether this very process still runs; one that ended and was not awaited yet does not."""
    try:
        process = psutil.Process(pid)
        same = abs(process.create_time() - started_s) < _START_TOLERANCE_S
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _undo_file(id: str) -> str:
    return f"undos/{_name(id)}.json"


def _name(id: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}", id):
        raise ValueError(f"{id!r} cannot be the name of a file")
    return id


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # a folder cannot be opened there; the rename itself is journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
