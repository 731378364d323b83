"""Instants as text: UTC with milliseconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def now_text(*, skew_s: float = 0.0, timespec: str = "milliseconds", local: bool = False) -> str:
    """Returns the present instant in ISO 8601 with `Z`, as it is stored and logged; `local`: wall time, no zone."""
    if local:
        return datetime.now().isoformat(timespec=timespec)
    instant = datetime.now(UTC) + timedelta(seconds=skew_s)
    return instant.isoformat(timespec=timespec).replace("+00:00", "Z")
