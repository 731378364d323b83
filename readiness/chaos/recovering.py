"""How long a deployment takes to be itself again after a fault is lifted, as an interval.

The truth lies between the last bad transaction and the first of a sustained row of good ones. The row is as long as a
deployment that still fails three in ten would reach by chance at most once in twenty tries: the success-run theorem,
n = ln(1 - level) / ln(1 - share), which gives nine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from readiness.chaos.windows import Window
from readiness.score.confidence import LEVEL
from readiness.units import format_duration
from readiness.workload import Transaction

STILL_FAILING = 0.3


@dataclass(frozen=True, slots=True)
class RecoveryInterval:
    """When a deployment was itself again, in seconds after the fault was lifted."""

    lo_s: float
    """It was still bad then: the last bad transaction before the row was handed in; 0 where none was."""
    hi_s: float | None
    """It was good by then: the first transaction of the row had ended. None where there is no such row."""
    row_began_s: float | None
    """When the first transaction of the row was handed in."""
    needed: int
    """How many good ones in a row count as recovered."""
    row: int
    """How many good ones in a row there were at the most."""
    sent: int
    """How many transactions were handed in after the lifting."""
    bad_later: int
    """How many were bad after the row."""
    watched_s: float
    limit_s: float | None = None
    """The objective; None where nothing was promised."""

    @property
    def holds(self) -> bool | None:
        """Whether the objective is kept, by the upper bound; None where the data cannot tell, or nothing was asked."""
        if self.limit_s is None:
            return None
        if self.hi_s is not None and self.hi_s <= self.limit_s:
            return True
        if self.lo_s > self.limit_s:
            return False
        if self.row_began_s is not None:
            # Handed in inside the objective and answered after it is slow; handed in after it leaves a gap.
            return False if self.row_began_s <= self.limit_s else None
        never = self.row == 0 and self.sent >= self.needed
        return False if never and self.watched_s >= self.limit_s else None

    @property
    def text(self) -> str:
        """The recovery in words, with its interval."""
        asked = "" if self.limit_s is None else f", objective {format_duration(self.limit_s)}"
        later = f"; {self.bad_later} of those after were bad again" if self.bad_later else ""
        if self.hi_s is not None:
            return f"recovered between {format_duration(self.lo_s)} and {format_duration(self.hi_s)}{asked}{later}"
        seen = f"{self.sent} transactions in {format_duration(self.watched_s)}, {self.row} good in a row at the most"
        return f"not seen to recover ({seen}, {self.needed} needed; bad until {format_duration(self.lo_s)}){asked}"


def in_a_row(share: float = STILL_FAILING, level: float = LEVEL) -> int:
    """How many good ones in a row a system that still fails `share` reaches by chance at most 1 - `level` of times."""
    return math.ceil(math.log(1 - level) / math.log(1 - share) - 1e-9)


def recovered(
    transactions: Sequence[Transaction],
    lifted_at: datetime,
    watched_until: datetime,
    *,
    limit_s: float | None = None,
    slow_s: float | None = None,
    needed: int | None = None,
) -> RecoveryInterval:
    """Find the recovery in what was handed in from `lifted_at` on.

    Good is what ended as meant, and within `slow_s` where that is given. What was handed in before the lifting says
    nothing: the fault was in force.
    """
    wanted = in_a_row() if needed is None else needed
    after = sorted((one for one in transactions if one.started_at >= lifted_at), key=lambda one: one.started_at)
    good = [_good(one, slow_s) for one in after]
    began = _row_began(good, wanted)

    def since_s(at: datetime) -> float:
        return max(0.0, (at - lifted_at).total_seconds())

    before_row = after if began is None else after[:began]
    lo_s = max((since_s(one.started_at) for one, well in zip(before_row, good, strict=False) if not well), default=0.0)
    first = None if began is None else after[began]
    return RecoveryInterval(
        lo_s=lo_s,
        hi_s=None if first is None else since_s(first.ended_at or first.started_at),
        row_began_s=None if first is None else since_s(first.started_at),
        needed=wanted,
        row=_longest_row(good),
        sent=len(after),
        bad_later=0 if began is None else good[began:].count(False),
        watched_s=since_s(watched_until),
        limit_s=limit_s,
    )


def windows_of(
    began_at: datetime, fault_at: datetime, lifted_at: datetime, ended_at: datetime, recovery: RecoveryInterval
) -> tuple[Window, ...]:
    """The windows of a trial: what is promised of `after` counts from the recovery on, where there is one."""
    recovered_at = lifted_at + timedelta(seconds=recovery.row_began_s or 0.0)
    return (
        Window("before", began_at, fault_at),
        Window("fault", fault_at, lifted_at),
        Window("after", recovered_at, max(recovered_at, ended_at)),
    )


def _good(one: Transaction, slow_s: float | None) -> bool:
    return one.as_meant and (slow_s is None or one.latency_s is None or one.latency_s <= slow_s)


def _row_began(good: Sequence[bool], needed: int) -> int | None:
    length = 0
    for place, well in enumerate(good):
        length = length + 1 if well else 0
        if length == needed:
            return place - needed + 1
    return None


def _longest_row(good: Sequence[bool]) -> int:
    longest = length = 0
    for well in good:
        length = length + 1 if well else 0
        longest = max(longest, length)
    return longest
