"""Reads an audit log as the operators' command prints it, and makes copies of it that somebody has tampered with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from readiness.errors import Undecidable

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AuditLog:
    """The records of an audit log, oldest first, and the shape in which they were printed."""

    records: tuple[Record, ...]
    wrapped_in: str | None = None
    """The key under which a JSON object holds the list; None for a bare list or JSON Lines."""
    lines: bool = False

    def shaped(self, records: Sequence[Record]) -> str:
        """Print records in the shape of this log."""
        if self.lines:
            return as_lines(records)
        listed = list(records)
        return json.dumps(listed if self.wrapped_in is None else {self.wrapped_in: listed})


def read_audit(text: str) -> AuditLog:
    """Read a JSON list, a JSON object that holds one list, or JSON Lines; anything else is Undecidable."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return AuditLog(tuple(_from_lines(text)), lines=True)
    if isinstance(data, dict):
        lists = {key: value for key, value in data.items() if isinstance(value, list)}
        if len(lists) == 1:
            ((key, value),) = lists.items()
            return AuditLog(tuple(_checked(value)), wrapped_in=key)
        return AuditLog((data,), lines=True)
    if isinstance(data, list):
        return AuditLog(tuple(_checked(data)))
    raise Undecidable("the audit log is no list of records", "procedures.audit must print JSON records")


def as_lines(records: Sequence[Record]) -> str:
    """Print records as JSON Lines."""
    return "".join(f"{json.dumps(record)}\n" for record in records)


def tampered(records: Sequence[Record], fields: Sequence[str]) -> Iterator[tuple[str, list[Record]]]:
    """Give copies that no verification may accept, with what was done to each.

    Not among them: a log whose end was cut off. Without an anchor elsewhere that is the log as it once was.
    """
    middle = len(records) // 2
    for name in fields:
        yield f"the {name} of a record changed", _with(records, middle, name)
    if fields:
        yield f"the {fields[0]} of the last record changed", _with(records, len(records) - 1, fields[0])
    yield "a record removed", [*records[:middle], *records[middle + 1 :]]
    swapped = [*records]
    swapped[middle - 1], swapped[middle] = swapped[middle], swapped[middle - 1]
    yield "two records exchanged", swapped


def _with(records: Sequence[Record], at: int, name: str) -> list[Record]:
    return [{**r, name: f"{r.get(name)}x"} if n == at else r for n, r in enumerate(records)]


def _from_lines(text: str) -> Iterator[Record]:
    try:
        yield from _checked([json.loads(line) for line in text.splitlines() if line.strip()])
    except (ValueError, RecursionError):
        raise Undecidable("the audit log cannot be read as JSON", "procedures.audit must print JSON records") from None


def _checked(records: list[Any]) -> list[Record]:
    if not all(isinstance(record, dict) for record in records):
        raise Undecidable("the audit log holds what is no record", "procedures.audit must print JSON records")
    return records
