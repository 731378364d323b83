"""Durations, shares, sizes and rates as people write them: with their unit."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Any

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|KiB|MiB|GiB)")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def parse_duration(value: Any) -> timedelta:
    """Read a duration such as `400ms`, `5m` or `7d`; raise ValueError that names the units otherwise."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a duration; write a number and a unit (ms, s, m, h, d), as in 5m")
    try:
        return timedelta(seconds=float(match[1]) * _UNITS_S[match[2]])
    except OverflowError:
        raise ValueError(f"{value!r} is longer than a duration can be") from None


def parse_share(value: Any) -> float:
    """Read a share between 0 and 1, or a percentage such as `50%`."""
    try:
        if isinstance(value, bool):
            raise ValueError
        share = float(value[:-1]) / 100 if isinstance(value, str) and value.endswith("%") else float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{value!r} is not a share; write 0.5 or 50%") from None
    if not 0 <= share <= 1:
        raise ValueError(f"{value!r} is not a share between 0 and 1 (or 0% and 100%)")
    return share


def parse_size(value: Any) -> int:
    """Read a size such as `512MB` or `2GiB`; the number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a size; write a number and a unit ({', '.join(_SIZES)}), as in 512MB")
    return int(float(match[1]) * _SIZES[match[2]])


def parse_rate(value: Any) -> float:
    """Read a rate such as `2/s`, `90/m` or `1000/h`; arrivals a second, more than 0."""
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    rate = float(match[1]) / _UNITS_S[match[2]] if match is not None else 0.0
    if isinstance(value, int | float) and not isinstance(value, bool):
        rate = float(value)
    if not 0 < rate < math.inf:
        raise ValueError(f"{value!r} is not a rate; write a number above 0 and a unit (/s, /m, /h), as in 2/s")
    return rate


def format_duration(seconds: float) -> str:
    """Write seconds as people read them: `340 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`, `8 d 3 h`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    for size, name, small, small_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if seconds >= size:
            whole, rest = divmod(round(seconds / small), round(size / small))
            return f"{whole} {name}" + (f" {rest} {small_name}" if rest else "")
    return f"{seconds:.0f} s"
