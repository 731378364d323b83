"""The model's data as JSON and back: the only form in which a run is stored."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from readiness.errors import UsageError
from readiness.model import Breach, Finding, GateInfo

Record = TypeVar("Record")
LONGEST_S = 366 * 86400.0
"""No gate runs for longer than a year; a number beyond it, or none at all, was not written by a run."""
_FINDING = TypeAdapter(Finding)
_GATE = TypeAdapter(GateInfo)
_BREACH = TypeAdapter(Breach)


def instant(at: datetime) -> str:
    """Write an instant as UTC with milliseconds and Z; one without a zone raises ValueError."""
    if at.tzinfo is None:
        raise ValueError(f"{at.isoformat()} has no zone")
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def to_data(value: object) -> Any:
    """Return the value as JSON data: dataclasses by field order, instants in UTC, NaN and infinity as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_data(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return to_data(value.value)
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, Mapping):
        return {str(to_data(key)): to_data(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_data(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((to_data(item) for item in value), key=str)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, PurePath):
        return value.as_posix()
    raise TypeError(f"{type(value).__name__} has no JSON form")


def to_json(record: object) -> dict[str, Any]:
    """Return one of the model's dataclasses as a JSON object with a stable order of keys."""
    data = to_data(record)
    if not isinstance(data, dict):
        raise TypeError(f"{type(record).__name__} is no record")
    return data


def finding_from(data: Mapping[str, Any]) -> Finding:
    """Read a finding back; data that is none raises UsageError."""
    found = _read(_FINDING, "finding", data)
    if not 0 <= found.duration_s <= LONGEST_S:
        raise UsageError(
            f"stored finding cannot be read: duration_s: {found.duration_s} is no time that a run can take"
        )
    return found


def gate_from(data: Mapping[str, Any]) -> GateInfo:
    """Read a gate's description back; data that is none raises UsageError."""
    return _read(_GATE, "gate", data)


def breach_from(data: Mapping[str, Any]) -> Breach:
    """Read a breach back; data that is none raises UsageError."""
    return _read(_BREACH, "breach", data)


def _read(adapter: TypeAdapter[Record], kind: str, data: Mapping[str, Any]) -> Record:
    try:
        return adapter.validate_python(dict(data))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"stored {kind} cannot be read: {place}: {first['msg']}") from None
