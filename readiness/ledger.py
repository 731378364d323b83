"""The ledger of one run: what is or was broken, a line for each act, on the disk before the act."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from readiness.records import instant, to_data
from readiness.redaction import Redactor

FILE = "ledger.jsonl"


class Ledger:
    """Appends to the ledger of a run; every line is synced to the disk before `write` returns."""

    def __init__(self, folder: Path, redactor: Redactor) -> None:
        self._path = folder / FILE
        self._redactor = redactor

    def write(self, event: str, data: Mapping[str, Any]) -> None:
        """Append one line."""
        record = {"at": instant(datetime.now(UTC)), "event": event, **to_data(data)}
        line = json.dumps(self._redactor.redact_data(record), ensure_ascii=True).encode("ascii") + b"\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            while line:
                line = line[os.write(descriptor, line) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
