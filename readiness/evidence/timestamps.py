"""Reads the timestamps of log records strictly: the instant, and what the text says about precision and zone."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

_TEXT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?\s?(Z|[+-]\d{2}(?::?\d{2})?|[A-Za-z]{2,5})?"
)
_EPOCH_SCALES = ((10, 1.0, False), (13, 1e3, True), (16, 1e6, True), (19, 1e9, True))
"""Digits of a whole epoch number in our time → units a second, and whether it can tell milliseconds."""
_UTC_NAMES = frozenset({"Z", "UTC", "GMT", "UCT"})
ENOUGH = 5
"""Distinct instants from which zeros in all milliseconds are no chance: one in 10^15 with five of them."""


@dataclass(frozen=True, slots=True)
class Timestamp:
    """What one timestamp says."""

    at: datetime | None
    """The instant; None where the text names a zone that cannot be placed."""
    milliseconds: bool
    """Whether its form can tell milliseconds."""
    zoned: bool
    fraction_ms: int

    @property
    def fault(self) -> str:
        """What is missing, in words; empty when nothing is."""
        missing = [] if self.milliseconds else ["milliseconds"]
        return " and ".join(missing if self.zoned else [*missing, "a zone"])


def read_timestamp(value: object) -> Timestamp | None:
    """Read ISO 8601 (also with a blank or a named zone) or a number of seconds, ms, µs or ns since 1970; else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float) or (isinstance(value, str) and re.fullmatch(r"\d{10,19}(\.\d+)?", value)):
        return _from_epoch(str(value))
    match = _TEXT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    day, clock, fraction, zone = match.groups()
    digits = (fraction or "").ljust(6, "0")[:6]
    try:
        local = datetime.fromisoformat(f"{day}T{clock}.{digits}")
    except ValueError:
        return None
    offset = _offset(zone)
    at = None if offset is None else local.replace(tzinfo=offset).astimezone(UTC)
    return Timestamp(at, len(fraction or "") >= 3, zone is not None, int(digits[:3]))


def whole_seconds_only(stamps: Iterable[Timestamp]) -> bool:
    """Whether the milliseconds are there in form alone: zero in each of at least five distinct instants."""
    distinct = {(stamp.at, stamp.fraction_ms) for stamp in stamps if stamp.milliseconds}
    return len(distinct) >= ENOUGH and all(fraction == 0 for _, fraction in distinct)


def _from_epoch(text: str) -> Timestamp | None:
    whole, _, fraction = text.partition(".")
    scale = next(((units, fine) for digits, units, fine in _EPOCH_SCALES if len(whole) == digits), None)
    if scale is None or not whole.isdecimal():
        return None
    units, fine = scale
    at = datetime.fromtimestamp(0, UTC) + timedelta(seconds=float(text) / units)
    # a number drops the zeros at the end of its fraction, so its length says nothing about its precision
    return Timestamp(at, fine or bool(fraction), True, at.microsecond // 1000)


def _offset(zone: str | None) -> timezone | None:
    if zone is None:
        return UTC
    if zone.upper() in _UTC_NAMES:
        return UTC
    if zone[0] in "+-":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        return timezone(-shift if zone[0] == "-" else shift) if shift < timedelta(days=1) else None
    if zone in time.tzname:
        return timezone(
            timedelta(seconds=-(time.altzone if zone == time.tzname[1] and time.daylight else time.timezone))
        )
    return None
