"""The timeline of a drill as places in a picture: percent of its width, so that it fits any window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from readiness.report.entries import Entry
from readiness.report.record import Change, Second

_STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
"""Distances between marks of the axis, in seconds."""
_MOST_MARKS = 7
_NARROWEST = 2.0
"""A change of a moment is still seen, and its number stands on it; in percent."""
HEIGHT = 100.0
"""Height of the panels of traffic and latency in their own units."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of the time axis."""

    left: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A change while it was in force; `left` and `width` in percent, seconds since the gate began.

    Changes that were in force at the same time lie in different lanes.
    """

    number: int
    change: Change
    lane: int
    left: float
    width: float
    from_s: float
    lasted_s: float | None


@dataclass(frozen=True, slots=True)
class Column:
    """One second of traffic: `ok` and `failed` as heights."""

    left: float
    width: float
    ok: float
    failed: float


@dataclass(frozen=True, slots=True)
class Timeline:
    """All that the picture of one drill shows."""

    length_s: float
    marks: tuple[Mark, ...]
    bars: tuple[Bar, ...]
    columns: tuple[Column, ...]
    most_a_second: int
    latency_path: str
    slowest_p95_ms: float
    sent: int
    ok: int
    failed: int

    @property
    def lanes(self) -> int:
        """How many changes were in force at once, at most."""
        return max((bar.lane + 1 for bar in self.bars), default=0)

    @property
    def undone(self) -> int:
        """How many of the changes were shown to be undone."""
        return sum(bar.change.verified is True for bar in self.bars)


def timeline(entry: Entry) -> Timeline | None:
    """The timeline of a gate that changed something or sent traffic; None for all others."""
    if not entry.changes and not entry.traffic:
        return None
    seconds = sorted(entry.traffic, key=lambda second: second.second)
    began, ended = _span(entry, seconds)
    length_s = max((ended - began).total_seconds(), 1.0)
    most = max((second.ok + second.failed for second in seconds), default=0)
    slowest = max((second.p95_ms for second in seconds if second.p95_ms is not None), default=0.0)
    return Timeline(
        length_s=length_s,
        marks=_marks(length_s),
        bars=_bars(entry.changes, began, length_s),
        columns=tuple(_column(second, began, length_s, most) for second in seconds),
        most_a_second=most,
        latency_path=_path(seconds, began, length_s, slowest),
        slowest_p95_ms=slowest,
        sent=sum(second.sent for second in seconds),
        ok=sum(second.ok for second in seconds),
        failed=sum(second.failed for second in seconds),
    )


def _span(entry: Entry, seconds: Sequence[Second]) -> tuple[datetime, datetime]:
    begins = [change.opened_at for change in entry.changes] + [second.second for second in seconds]
    ends = [change.closed_at or change.opened_at for change in entry.changes]
    ends += [second.second + timedelta(seconds=1) for second in seconds]
    if entry.began_at is not None:
        begins.append(entry.began_at)
    if entry.ended_at is not None:
        ends.append(entry.ended_at)
    return min(begins), max(ends)


def _marks(length_s: float) -> tuple[Mark, ...]:
    step = next((step for step in _STEPS_S if length_s / step <= _MOST_MARKS), length_s / _MOST_MARKS)
    count = int(length_s / step)
    return tuple(Mark(_percent(n * step, length_s), n * step) for n in range(count + 1) if n * step < length_s * 0.97)


def _bars(changes: Sequence[Change], began: datetime, length_s: float) -> tuple[Bar, ...]:
    bars: list[Bar] = []
    free_at: list[float] = []
    for number, change in enumerate(sorted(changes, key=lambda change: change.opened_at), 1):
        from_s = (change.opened_at - began).total_seconds()
        lasted_s = None if change.closed_at is None else (change.closed_at - change.opened_at).total_seconds()
        left = _percent(from_s, length_s)
        width = max(_percent(length_s - from_s if lasted_s is None else lasted_s, length_s), _NARROWEST)
        lane = next((n for n, end in enumerate(free_at) if end <= left), len(free_at))
        free_at[lane : lane + 1] = [left + width]
        bars.append(Bar(number, change, lane, left, width, from_s, lasted_s))
    return tuple(bars)


def _column(second: Second, began: datetime, length_s: float, most: int) -> Column:
    scale = HEIGHT / most if most else 0.0
    left = _percent((second.second - began).total_seconds(), length_s)
    return Column(left, _percent(1.0, length_s), round(second.ok * scale, 2), round(second.failed * scale, 2))


def _path(seconds: Sequence[Second], began: datetime, length_s: float, slowest: float) -> str:
    """The p95 as a path in a box of 1000 x HEIGHT; a second without an answer leaves a gap."""
    parts: list[str] = []
    pen = "M"
    for second in seconds:
        if second.p95_ms is None or slowest <= 0:
            pen = "M"
            continue
        x = _percent((second.second - began).total_seconds() + 0.5, length_s) * 10
        parts.append(f"{pen}{x:.1f} {HEIGHT - second.p95_ms / slowest * (HEIGHT - 6):.1f}")
        pen = "L"
    return " ".join(parts)


def _percent(part_s: float, length_s: float) -> float:
    return round(min(max(part_s / length_s, 0.0), 1.0) * 100, 3)
