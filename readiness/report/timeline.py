"""The timeline of a drill as places in a picture: what was changed, until when, and what the callers saw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from readiness.report.axis import HEIGHT, Bar, Mark, bars, lanes, marks, path, place
from readiness.report.entries import Entry
from readiness.report.record import Second


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
        return lanes(self.bars)

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
        marks=marks(length_s),
        bars=bars(entry.changes, began, length_s),
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


def _column(second: Second, began: datetime, length_s: float, most: int) -> Column:
    scale = HEIGHT / most if most else 0.0
    left = place((second.second - began).total_seconds(), length_s)
    return Column(left, place(1.0, length_s), round(second.ok * scale, 2), round(second.failed * scale, 2))


def _path(seconds: Sequence[Second], began: datetime, length_s: float, slowest: float) -> str:
    """The p95 as a path; a second without an answer leaves a gap."""
    scale = (HEIGHT - 6) / slowest if slowest > 0 else 0.0
    return path(
        (
            place((second.second - began).total_seconds() + 0.5, length_s),
            None if second.p95_ms is None or not scale else second.p95_ms * scale,
        )
        for second in seconds
    )
