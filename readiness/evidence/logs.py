"""JSON log lines: those that were written since a mark, through rotation and new files, and what their fields mean."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from readiness.descriptor import LogFields
from readiness.errors import Missing, Undecidable
from readiness.loading import DescriptorFile
from readiness.procedures import Procedures
from readiness.templates import field_of, fill
from readiness.waiting import Deadline

_MAX_READ_BYTES = 64 << 20
_MAX_FILES = 2000
_CHUNK = 1 << 16
LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")
_SYNONYMS = {"WARNING": "WARN", "CRITICAL": "FATAL", "PANIC": "FATAL", "TRACE": "DEBUG", "NOTICE": "INFO"}
_EPOCH_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""Numbers above the first are in units of 1/second second: nano-, micro- and milliseconds since the epoch."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line of a log."""

    source: str
    """The file, relative to the descriptor's folder, or the command."""
    line_number: int
    text: str
    data: Mapping[str, Any] | None
    """None where the line is no JSON object."""
    fields: LogFields = field(repr=False, default_factory=LogFields)

    def value(self, meaning: str) -> Any:
        """Give the field that the descriptor's `log_fields` declares for a meaning, as it stands in the record."""
        name = getattr(self.fields, meaning)
        return None if name is None or self.data is None else field_of(self.data, name)

    @property
    def time(self) -> datetime | None:
        """When the record says it was written; None where it says nothing that can be read, or gives no zone."""
        return read_time(self.value("time"))

    @property
    def level(self) -> str | None:
        """DEBUG, INFO, WARN, ERROR or FATAL; a word that is none of them stays as it is, in capitals."""
        word = self.value("level")
        if word is None:
            return None
        ours = self.fields.levels.get(str(word))
        if ours is not None:
            return ours
        upper = str(word).upper()
        return _SYNONYMS.get(upper, upper)

    @property
    def correlation(self) -> str | None:
        """The id of the request that the record belongs to."""
        return _text(self.value("correlation"))

    @property
    def component(self) -> str | None:
        """The component that wrote the record."""
        return _text(self.value("component"))


@dataclass(frozen=True, slots=True)
class _Position:
    inode: tuple[int, int]
    offset: int
    lines: int


@dataclass(frozen=True, slots=True)
class LogMark:
    """A moment in the logs: how far each file went."""

    at: datetime
    positions: Mapping[Path, _Position]


class LogsReader:
    """Reads the logs of one deployment, as `evidence.logs` says."""

    def __init__(self, file: DescriptorFile, procedures: Procedures) -> None:
        self._file = file
        self._procedures = procedures

    def mark(self) -> LogMark:
        """Mark the present end of the logs: the last whole line of each file."""
        now = datetime.now(UTC)
        return LogMark(now, {path: _end_of(path) for path in self._files()})

    def since(self, mark: LogMark, deadline: Deadline) -> list[LogRecord]:
        """Give the whole lines written since the mark; Undecidable where a marked file is gone unread.

        A file that was renamed by rotation is followed by its inode, one that was cut is read from its beginning.
        """
        source = self._file.descriptor.evidence.logs
        if source is not None and source.command is not None:
            return list(self._from_command(source.command, mark, deadline))
        found = {_inode(path): path for path in self._candidates(mark)}
        records: list[LogRecord] = []
        budget = _MAX_READ_BYTES
        for path, position in mark.positions.items():
            there = found.pop(position.inode, None)
            if there is None:
                raise Undecidable(
                    f"the log {path} was moved away or removed before it was read: records are lost",
                    "evidence.logs.files: globs that match rotated files too, or a rotation that keeps one",
                )
            cut = there.stat().st_size < position.offset
            budget -= self._read(there, 0 if cut else position.offset, 0 if cut else position.lines, budget, records)
        declared = set(self._files())
        for path in sorted(path for path in found.values() if path in declared):
            budget -= self._read(path, 0, 0, budget, records)
        return records

    def _files(self) -> list[Path]:
        source = self._file.descriptor.evidence.logs
        if source is None or not (source.files or source.command):
            raise Missing("nothing is declared to read logs from", 'evidence.logs: {files: ["var/log/*.jsonl"]}')
        patterns = [str(self._file.folder / pattern) for pattern in source.files]
        names = {name for one in patterns for name in glob.glob(one, recursive=True)}  # noqa: PTH207 - may be absolute
        files = sorted(path for name in names if (path := Path(name)).is_file())
        if source.files and not files:
            raise Undecidable(f"no file matches {', '.join(source.files)}", "evidence.logs.files")
        if len(files) > _MAX_FILES:
            raise Undecidable(f"more than {_MAX_FILES} files match evidence.logs.files", "narrower globs")
        return files

    def _candidates(self, mark: LogMark) -> Iterator[Path]:
        """The declared files, and those beside the marked ones that rotation may have made of them."""
        for path in mark.positions:
            yield from (other for other in path.parent.glob(f"{glob.escape(path.name)}*") if other.is_file())
            yield from (
                other for other in path.parent.glob(f"{glob.escape(path.stem)}*{path.suffix}") if other.is_file()
            )
        yield from self._files()

    def _read(self, path: Path, offset: int, lines: int, budget: int, into: list[LogRecord]) -> int:
        try:
            with path.open("rb") as stream:
                stream.seek(offset)
                raw = stream.read(budget + 1)
        except OSError as error:
            raise Undecidable(f"the log {path} cannot be read: {error.strerror}", "evidence.logs.files") from None
        if len(raw) > budget:
            raise Undecidable(f"more than {_MAX_READ_BYTES >> 20} MiB of logs were written; {path} is too much to read")
        whole = raw[: raw.rfind(b"\n") + 1]  # what follows is still being written
        name = path.relative_to(self._file.folder).as_posix() if path.is_relative_to(self._file.folder) else str(path)
        into.extend(_records(name, lines, whole, self._file.descriptor.log_fields))
        return len(whole)

    def _from_command(self, command: list[str], mark: LogMark, deadline: Deadline) -> list[LogRecord]:
        since = {"since": mark.at.isoformat(timespec="milliseconds"), "since_s": f"{mark.at.timestamp():.3f}"}
        argv = [fill(part, since, "evidence.logs.command") for part in command]
        ran = self._procedures.execute("evidence.logs.command", argv, deadline=deadline.within(60.0))
        if not ran.ok:
            raise Undecidable(f"the logs cannot be read: {ran.told()}", "evidence.logs.command")
        return _records("command", 0, ran.stdout.encode(), self._file.descriptor.log_fields)


def read_time(value: Any) -> datetime | None:
    """Read a record's time: ISO 8601 with a zone, or seconds, milli-, micro- or nanoseconds since the epoch."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            scale = next((unit for above, unit in _EPOCH_UNITS if abs(value) >= above), 1.0)
            return datetime.fromtimestamp(value / scale, UTC)
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None
    return at if at is not None and at.tzinfo is not None else None


def _records(source: str, lines: int, raw: bytes, fields: LogFields) -> list[LogRecord]:
    records = []
    for number, line in enumerate(raw.split(b"\n")[:-1] if raw.endswith(b"\n") else raw.split(b"\n"), lines + 1):
        text = line.rstrip(b"\r").decode("utf-8", "replace")
        if not text.strip():
            continue
        try:
            data = json.loads(text)
        except (ValueError, RecursionError):
            data = None
        records.append(LogRecord(source, number, text, data if isinstance(data, dict) else None, fields))
    return records


def _end_of(path: Path) -> _Position:
    """The place after the last line feed, and how many lines come before it."""
    try:
        with path.open("rb") as stream:
            lines, end, offset = 0, 0, 0
            while chunk := stream.read(_CHUNK):
                lines += chunk.count(b"\n")
                last = chunk.rfind(b"\n")
                end = offset + last + 1 if last >= 0 else end
                offset += len(chunk)
    except OSError as error:
        raise Undecidable(f"the log {path} cannot be read: {error.strerror}", "evidence.logs.files") from None
    return _Position(_inode(path), end, lines)


def _inode(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_dev, facts.st_ino


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
