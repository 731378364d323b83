"""Writes what one worker measured, while it is measured: raw samples up to a cap, mergeable counts beyond it.

Everything is appended in small pieces, so that a worker that is killed leaves all but its last second, and memory
stays flat however long the run is. Nothing here knows who sends.
"""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from readiness.load.buckets import index
from readiness.load.samples import STRUCT

CAP = 1_000_000
"""Samples a worker that are kept raw; 31 MB."""
CAP_VARIABLE = "READINESS_LOAD_RAW_CAP"
CHUNK = 4096
"""Samples that are written together at the latest."""
FLUSH_S = 0.5
"""How often whoever measures must call `flush`, in seconds."""
ROLLUP_S = 5.0
"""How often counts are written out, in seconds."""
MAX_ROWS = 256
"""Rows of counts that are held in memory at the most."""
MAX_KINDS = 500
"""Kinds of errors that are told apart; an error text that holds a number would otherwise make one a request."""
_OTHERS = "other errors (more than 500 kinds)"

_Row = tuple[list[int], dict[int, int], dict[int, int]]


def raw_cap() -> int:
    """Give the cap that the environment asks for."""
    given = os.environ.get(CAP_VARIABLE, "")
    return int(given) if given.isdecimal() else CAP


class Recorder:
    """The files of one worker, named `worker-<i>` and what they hold."""

    def __init__(self, folder: Path, worker: int, cap: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._stem = folder / f"worker-{worker}"
        self._left = raw_cap() if cap is None else cap
        self._pack = struct.Struct(STRUCT).pack
        self._chunk = bytearray()
        self._chunk_bytes = CHUNK * struct.calcsize(STRUCT)
        self._samples = self._open(".samples")
        self._beats = self._open(".beats.jsonl")
        self._unfinished: BinaryIO | None = None
        self._rollup: BinaryIO | None = None
        self._rolled_at_s = time.monotonic()
        self._rows: dict[tuple[int, int, int], _Row] = {}
        self._kinds: dict[str, int] = {}
        self.ended = 0
        """Transactions recorded."""

    def add(
        self, intended_s: float, started_s: float, ended_s: float, stage: int, outcome: int, status: int, kind: int
    ) -> None:
        """Record one transaction; the times are seconds since the run's zero."""
        self.ended += 1
        if self._left > 0:
            self._left -= 1
            self._chunk += self._pack(intended_s, started_s, ended_s, stage, outcome, status, kind)
            if len(self._chunk) >= self._chunk_bytes:
                self._write_chunk()
        else:
            self._count(intended_s, started_s, ended_s, stage, outcome)

    def kind(self, text: str) -> int:
        """Give the number of an error kind, from 1; a new one is written down. `text` is one line without secrets."""
        number = self._kinds.get(text)
        if number is not None:
            return number
        if len(self._kinds) >= MAX_KINDS and text != _OTHERS:
            return self.kind(_OTHERS)
        number = self._kinds[text] = len(self._kinds) + 1
        self._line(self._beats, {"kind": number, "text": text})
        return number

    def beat(self, data: Mapping[str, Any]) -> None:
        """Write down how the generator itself fares."""
        self._line(self._beats, data)

    def unfinished(self, marker: str, id: str, outcome: str) -> None:
        """Name an accepted transaction whose end was not seen, so that its effects can be looked for later."""
        if self._unfinished is None:
            self._unfinished = self._open(".unfinished.jsonl")
        self._line(self._unfinished, {"marker": marker, "id": id, "outcome": outcome})

    def flush(self) -> None:
        """Hand everything that is due to the operating system."""
        self._write_chunk()
        if self._rows and time.monotonic() - self._rolled_at_s >= ROLLUP_S:
            self._write_rows()

    def end(self, share: tuple[int, int], started: int, reason: str) -> None:
        """Write the end of this worker: what has no such file was lost."""
        self._write_chunk()
        self._write_rows()
        self.close()
        self._seal_rollup()
        told = {"ended": True, "share": list(share), "started": started, "ended_count": self.ended, "reason": reason}
        draft = self._path(".end.json.tmp")
        draft.write_text(json.dumps(told), encoding="utf-8")
        draft.replace(self._path(".end.json"))

    def close(self) -> None:
        """Close the files as they are: what was not flushed is lost, as with a process that is killed."""
        for stream in (self._samples, self._beats, self._unfinished, self._rollup):
            if stream is not None:
                stream.close()

    def _count(self, intended_s: float, started_s: float, ended_s: float, stage: int, outcome: int) -> None:
        key = (stage, int(intended_s), outcome)
        row = self._rows.get(key)
        if row is None:
            if len(self._rows) >= MAX_ROWS:
                self._write_rows()
            row = self._rows[key] = ([0], {}, {})
        count, latencies, services = row
        count[0] += 1
        bucket = index(ended_s - intended_s)
        latencies[bucket] = latencies.get(bucket, 0) + 1
        bucket = index(ended_s - started_s)
        services[bucket] = services.get(bucket, 0) + 1

    def _write_chunk(self) -> None:
        if self._chunk:
            self._samples.write(self._chunk)
            self._chunk.clear()

    def _write_rows(self) -> None:
        """Append the counts and forget them: a row of the same second that comes later adds to this one."""
        self._rolled_at_s = time.monotonic()
        if not self._rows:
            return
        if self._rollup is None:
            self._rollup = self._open(".rollup.jsonl")
        lines = [
            json.dumps([*key, count[0], latencies, services])
            for key, (count, latencies, services) in self._rows.items()
        ]
        self._rows.clear()
        self._rollup.write(("\n".join(lines) + "\n").encode())

    def _seal_rollup(self) -> None:
        """Make one JSON document of the rows, line by line, since they may be more than memory should hold."""
        if self._rollup is None:
            return
        lines, draft = self._path(".rollup.jsonl"), self._path(".rollup.json.tmp")
        with lines.open(encoding="utf-8") as rows, draft.open("w", encoding="utf-8") as whole:
            whole.write('{"raw": false, "rows": [\n')
            for number, row in enumerate(rows):
                whole.write(("," if number else "") + row)
            whole.write("]}\n")
        draft.replace(self._path(".rollup.json"))
        lines.unlink()

    def _line(self, stream: BinaryIO, data: Mapping[str, Any]) -> None:
        stream.write(json.dumps(data).encode() + b"\n")

    def _open(self, suffix: str) -> BinaryIO:
        return self._path(suffix).open("wb", buffering=0)

    def _path(self, suffix: str) -> Path:
        return self._stem.with_name(self._stem.name + suffix)
