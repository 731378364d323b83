"""The audit log: append-only JSON lines, each of which carries the hash of the one before."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

from readiness.nexus.clock import now_text
from readiness.nexus.settings import Settings

GENESIS = "0" * 64
"""What the first record carries in place of a predecessor's hash."""
ALLOWED = "allowed"
DENIED = "denied"


class AuditLog:
    """Appends records under a lock, so that several processes keep one chain."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = FileLock(path.with_suffix(".lock"), mode=0o600, thread_local=False)
        # the file lock is one per process and re-entrant: threads would pass it together and fork the chain
        self._threads = threading.Lock()

    @classmethod
    def of(cls, settings: Settings) -> AuditLog:
        """Opens the audit log of a deployment."""
        return cls(settings.audit_log)

    def append(self, actor: str, operation: str, outcome: str, correlation_id: str, detail: str = "") -> dict[str, str]:
        """Writes one record durably and returns it; only then may the operation be answered."""
        with self._threads, self._lock:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                record = {
                    "ts": now_text(),
                    "actor": actor,
                    "operation": operation,
                    "outcome": outcome,
                    "correlation_id": correlation_id,
                    "detail": detail,
                    "prev": _last_hash(descriptor),
                }
                record["hash"] = chain_hash(record)
                os.write(descriptor, (json.dumps(record) + "\n").encode())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        return record

    def read(self, correlation_id: str | None = None) -> Iterator[dict[str, str]]:
        """Yields the records, optionally of one correlation id."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8") as stream:
            for line in stream:
                record = json.loads(line)
                if correlation_id in (None, record["correlation_id"]):
                    yield record


def verify(path: Path, *, links_only: bool = False) -> str | None:
    """Checks the chain; returns None when it is intact, else one line that names the first wrong record."""
    previous = GENESIS
    with path.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                record = json.loads(line)
                broken = record["prev"] != previous or (not links_only and record["hash"] != chain_hash(record))
            except (ValueError, KeyError, TypeError, AttributeError):
                return f"record {number} of {path} is no audit record"
            if broken:
                return f"record {number} of {path} does not continue the chain: it or its predecessor was changed"
            previous = record["hash"]
    return None


def chain_hash(record: dict[str, str]) -> str:
    """Returns the SHA-256 over a record in canonical form, its predecessor's hash included."""
    content = {key: value for key, value in record.items() if key != "hash"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _last_hash(descriptor: int) -> str:
    end = os.lseek(descriptor, 0, os.SEEK_END)
    tail = os.pread(descriptor, min(end, 65536), max(0, end - 65536))
    complete = tail.rfind(b"\n") + 1
    if complete < len(tail):
        # A writer was killed in the middle of a record; it was never answered, so it never happened.
        os.ftruncate(descriptor, end - len(tail) + complete)
    lines = tail[:complete].splitlines()
    return str(json.loads(lines[-1])["hash"]) if lines else GENESIS
