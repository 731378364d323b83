"""Judges the times in log records: their form, and how far the clock behind them can be from the observer's.

A record that belongs to a transaction was written after the transaction began and before it was first seen. Its own
time therefore bounds the difference of the clocks from both sides, whatever the delay on the way to the observer; only
what these bounds exclude is held against a component.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from readiness.evidence.logs import LogRecord
from readiness.evidence.timestamps import Timestamp, read_timestamp, whole_seconds_only

_ENOUGH, _ZERO_SHARE = 3, 0.2
"""So many transactions, and such a share of them, with zeros in the milliseconds of all their records in a group are no
chance: among twelve that happens once in five million runs."""


@dataclass(frozen=True, slots=True)
class SeenRecord:
    """A log record, when it was first seen, and when its transaction began (None: it belongs to none of ours)."""

    record: LogRecord
    seen_at: datetime
    began_at: datetime | None = None

    @property
    def stamp(self) -> Timestamp | None:
        """The record's own time."""
        return read_timestamp(self.record.value("time"))

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.record.source}:{self.record.line_number}"


@dataclass(frozen=True, slots=True)
class ClockBounds:
    """What is known of a component's clock: it is ahead of ours by `lower_s` to `upper_s` seconds."""

    lower_s: float = -math.inf
    upper_s: float = math.inf
    fastest: str = ""
    slowest: str = ""
    """Where the records stand that give the two bounds."""

    @property
    def off_s(self) -> float:
        """The least difference that the bounds allow, in seconds, without its sign."""
        return max(0.0, self.lower_s, -self.upper_s)

    @property
    def place(self) -> str:
        """Where the record stands that shows the difference."""
        return self.fastest if self.lower_s > 0 else self.slowest

    def within(self, other: ClockBounds) -> ClockBounds:
        """Give the bounds that both keep."""
        lower = self if self.lower_s >= other.lower_s else other
        upper = self if self.upper_s <= other.upper_s else other
        return ClockBounds(lower.lower_s, upper.upper_s, lower.fastest, upper.slowest)


def clock_bounds(seen: Iterable[SeenRecord]) -> dict[str, ClockBounds]:
    """Give the bounds of each component's clock."""
    found: dict[str, ClockBounds] = defaultdict(ClockBounds)
    for one in seen:
        stamp = one.stamp
        if stamp is None or stamp.at is None:
            continue
        lower_s = (stamp.at - one.seen_at).total_seconds()
        upper_s = math.inf if one.began_at is None else (stamp.at - one.began_at).total_seconds()
        name = one.record.component or one.record.source
        found[name] = found[name].within(ClockBounds(lower_s, upper_s, one.place, one.place))
    return dict(found)


def form_faults(seen: Iterable[SeenRecord]) -> list[str]:
    """Say which records have no time, or one without milliseconds or zone: one line a record."""
    faults = []
    for one in seen:
        raw = one.record.value("time")
        stamp = one.stamp
        name = one.record.component or "a record"
        if raw is None:
            faults.append(f"{one.place}: {name} gives no time")
        elif stamp is None:
            faults.append(f"{one.place}: {name} gives {str(raw)[:40]!r}, which is no timestamp")
        elif stamp.fault:
            faults.append(f"{one.place}: {name} gives {str(raw)[:40]!r} without {stamp.fault}")
    return faults


def empty_milliseconds(seen: Sequence[SeenRecord]) -> list[str]:
    """Name the groups of records whose milliseconds are always zero: the form is there and the precision is not."""
    hollow = [f"all of {name}" for name, members in _groups(seen).items() if whole_seconds_only(_stamps(members))]
    for name, members in _groups(one for one in seen if one.began_at is not None).items():
        fractions: dict[int, set[int]] = defaultdict(set)
        distinct = {(stamp.at, stamp.fraction_ms) for stamp in _stamps(members)}
        for one in members:
            if one.began_at is not None and one.stamp is not None and one.stamp.milliseconds:
                # those of one millisecond are one throw of the dice, those of different ones are several
                fractions[int(one.began_at.timestamp() * 1000)].add(one.stamp.fraction_ms)
        zeros = sum(found == {0} for found in fractions.values())
        told = [f"{zeros} of {len(fractions)} transactions in {name}"] if _too_often(zeros, len(fractions)) else []
        told += [f"all of {name} in steps of {step} ms" for step in _coarse(fractions.values(), len(distinct))]
        hollow += told if f"all of {name}" not in hollow else []
    return hollow


def _too_often(zeros: int, of: int) -> bool:
    return zeros >= _ENOUGH and zeros / of >= _ZERO_SHARE


def _coarse(fractions: Collection[set[int]], distinct: int) -> list[int]:
    """The step, if any, that so many transactions and distinct instants cannot keep by chance (one in a billion)."""
    some = [found for found in fractions if found != {0}]
    kept = [step for step in (100, 10) if all(ms % step == 0 for found in some for ms in found)]
    return [step for step in kept if min(len(some), distinct) >= {100: 5, 10: 9}[step]][:1]


def _groups(seen: Iterable[SeenRecord]) -> dict[str, list[SeenRecord]]:
    groups: dict[str, list[SeenRecord]] = defaultdict(list)
    for one in seen:
        component = one.record.component
        if component is not None:
            groups[f"component {component}"].append(one)
        groups[f"source {one.record.source}"].append(one)
        groups[f"level {one.record.level}"].append(one)
    return groups


def _stamps(seen: Iterable[SeenRecord]) -> list[Timestamp]:
    return [stamp for one in seen if (stamp := one.stamp) is not None]
