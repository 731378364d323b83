"""The time axis of a picture: places in percent of its width, so that it fits any window."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from readiness.report.record import Change

STEPS_S = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
"""Distances between marks of the axis, in seconds."""
_MOST_MARKS = 7
_NARROWEST = 2.0
"""A change of a moment is still seen, and its number stands on it; in percent."""
HEIGHT = 100.0
"""Height of every panel in its own units."""
MOST_COLUMNS = 240
"""More would be narrower than a pixel or two; longer runs are drawn several seconds a column."""
_SHORTEST_MS = 0.001
"""No latency is told finer than a microsecond."""
_MOST_DECADES = 6


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of the time axis."""

    left: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A change while it was in force; `left` and `width` in percent, seconds since the picture begins.

    Changes that were in force at the same time lie in different lanes.
    """

    number: int
    change: Change
    lane: int
    left: float
    width: float
    from_s: float
    lasted_s: float | None


def marks(length_s: float) -> tuple[Mark, ...]:
    """The marks of an axis of so many seconds."""
    step = next((step for step in STEPS_S if length_s / step <= _MOST_MARKS), length_s / _MOST_MARKS)
    count = int(length_s / step)
    return tuple(Mark(place(n * step, length_s), n * step) for n in range(count + 1) if n * step < length_s * 0.97)


def bars(changes: Sequence[Change], began: datetime, length_s: float) -> tuple[Bar, ...]:
    """The changes as bars, cut off where they reach beyond the picture."""
    made: list[Bar] = []
    free_at: list[float] = []
    for number, change in enumerate(sorted(changes, key=lambda change: change.opened_at), 1):
        from_s = (change.opened_at - began).total_seconds()
        lasted_s = None if change.closed_at is None else (change.closed_at - change.opened_at).total_seconds()
        left = place(from_s, length_s)
        right = 100.0 if lasted_s is None else place(from_s + lasted_s, length_s)
        width = max(round(right - left, 3), _NARROWEST)
        lane = next((n for n, end in enumerate(free_at) if end <= left), len(free_at))
        free_at[lane : lane + 1] = [left + width]
        made.append(Bar(number, change, lane, left, width, from_s, lasted_s))
    return tuple(made)


def lanes(made: Sequence[Bar]) -> int:
    """How many changes were in force at once, at most."""
    return max((bar.lane + 1 for bar in made), default=0)


def path(points: Iterable[tuple[float, float | None]]) -> str:
    """A line through places in percent and heights, in a box of 1000 x HEIGHT.

    A height that is missing leaves a gap, and a point between two gaps is a dot.
    """
    strokes: list[list[str]] = [[]]
    for x, height in points:
        if height is None:
            strokes.append([])
        else:
            strokes[-1].append(f"{x * 10:.1f} {HEIGHT - height:.1f}")
    return " ".join(f"M{' L'.join(stroke)}{'h0' if len(stroke) == 1 else ''}" for stroke in strokes if stroke)


def place(part_s: float, length_s: float) -> float:
    """Where a moment lies on the axis, in percent; what lies beyond an end is put there."""
    return round(min(max(part_s / length_s, 0.0), 1.0) * 100, 3)


def step_s(length_s: int) -> int:
    """How many seconds a column tells, so that a picture has at most MOST_COLUMNS."""
    fits = (int(step) for step in STEPS_S if step >= 1 and length_s / step <= MOST_COLUMNS)
    return next(fits, math.ceil(length_s / MOST_COLUMNS))


@dataclass(frozen=True, slots=True)
class Band:
    """A stage on the time axis."""

    name: str
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Tick:
    """A latency that the scale names; `height` above the foot of the panel."""

    height: float
    ms: float


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithmic scale: p50 and p99 of one run may lie a thousandfold apart."""

    foot_ms: float
    top_ms: float
    slowest_ms: float

    @classmethod
    def of(cls, latencies_ms: Sequence[float]) -> Scale | None:
        """From the power of ten below the fastest to the slowest, over one decade at least."""
        if not latencies_ms:
            return None
        slowest = max(latencies_ms)
        fastest, top = max(min(latencies_ms), _SHORTEST_MS), max(slowest, _SHORTEST_MS)
        foot = 10.0 ** max(math.floor(math.log10(fastest)), math.ceil(math.log10(top)) - _MOST_DECADES)
        return cls(foot, max(top, foot * 10) * 1.1, slowest)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """Every power of ten from the foot on."""
        powers = (self.foot_ms * 10**n for n in range(_MOST_DECADES + 1))
        return tuple(Tick(self.height(ms), ms) for ms in powers if ms <= self.top_ms)

    def height(self, ms: float) -> float:
        """Where a latency stands above the foot."""
        share = math.log10(max(ms, self.foot_ms) / self.foot_ms) / math.log10(self.top_ms / self.foot_ms)
        return round(min(share, 1.0) * HEIGHT, 2)
