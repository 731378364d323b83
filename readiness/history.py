"""The append-only record of one run: measuring writes it, judging and reporting read nothing else."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from readiness.errors import UsageError
from readiness.records import instant, to_data, to_json
from readiness.redaction import Redactor

FILE = "history.jsonl"
KINDS = frozenset(
    {
        "run",
        "gate_started",
        "step",
        "change_opened",
        "change_witnessed",
        "change_closed",
        "breach",
        "traffic",
        "load",
        "chaos",
        "finding",
        "note",
        "interrupted",
        "scored",
    }
)
_DURABLE = KINDS - {"gate_started", "step", "traffic", "note"}
"""What must outlive a power cut; the rest is flushed to the system only."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a history: when, what kind, and its data."""

    at: datetime
    kind: str
    data: Mapping[str, Any]


class History:
    """The history that a run is writing; several threads may append."""

    def __init__(self, folder: Path, redactor: Redactor, descriptor: int) -> None:
        self.folder = folder
        self._redactor = redactor
        self._descriptor = descriptor
        self._lock = threading.Lock()

    @classmethod
    def create(cls, folder: Path, redactor: Redactor) -> History:
        """Begin the history of a run in its folder; a folder that already has one is a UsageError."""
        path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            text = f"{path}: {error.strerror}; a history begins in a new folder that you may write to"
            raise UsageError(text) from None
        return cls(folder, redactor, descriptor)

    def append(self, kind: str, record: object = None, /, **data: object) -> Event:
        """Write one event; the fields of `record` (a dataclass of the model) come first, then `data`.

        Secrets are redacted, the line is flushed, and what findings and undoing rest on is synced to the disk.
        """
        if kind not in KINDS:
            raise ValueError(f"unknown kind of event {kind!r}")
        given = {**(to_json(record) if record is not None else {}), **to_data(data)}
        clean = self._redactor.redact_data(given)
        assert isinstance(clean, dict)
        with self._lock:
            at = datetime.now(UTC)
            line = json.dumps({"at": instant(at), "kind": kind, "data": clean}, ensure_ascii=True, allow_nan=False)
            _write_all(self._descriptor, line.encode("ascii") + b"\n")
            if kind in _DURABLE:
                os.fsync(self._descriptor)
        return Event(at, kind, clean)

    def close(self) -> None:
        """Close the file; what was appended stays."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @staticmethod
    def read(folder: Path) -> list[Event]:
        """Return the events of a run in order; the last line may be torn, because a run may be killed at any moment."""
        path = folder / FILE
        try:
            lines = path.read_bytes().split(b"\n")
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}; give the folder of a run") from None
        written = [(number, line) for number, line in enumerate(lines, 1) if line]
        events = []
        for number, line in written:
            event = _event(line)
            if event is not None:
                events.append(event)
            elif number != written[-1][0]:
                raise UsageError(f"{path}:{number}: not an event; the history was changed after it was written")
        return events


def _write_all(descriptor: int, line: bytes) -> None:
    while line:
        line = line[os.write(descriptor, line) :]


def _event(line: bytes) -> Event | None:
    try:
        raw = json.loads(line)
        at, kind, data = datetime.fromisoformat(raw["at"]), raw["kind"], raw["data"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    valid = at.tzinfo is not None and isinstance(kind, str) and isinstance(data, dict)
    return Event(at, kind, data) if valid else None
