"""How long a system takes to be itself again, after a spike or a fault is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from readiness.load.merging import SecondRow, rank

FACTOR = 1.2
FLOOR_MS = 50.0
"""Added to the limit: 1.2 times a few milliseconds is less than a machine's own unrest."""
WINDOWS = 5
_USUAL = 0.9
_ROUNDING_S = 0.001
"""The ends of a stage come from the wall clock, whose seconds since 1970 have no more digits than that."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """When normality came back, and what counted as normal."""

    seconds: float | None
    """From the end of the disturbance to the first of five normal seconds in a row; None where there are none."""
    p95_limit_ms: float
    error_limit: float
    """The share of a second's transactions that may be broken or shed."""
    watched_s: float
    """How long was looked at after the disturbance."""
    worst_p95_ms: float | None
    """The highest p95 of a second after the disturbance."""


def recovered(seconds: Sequence[SecondRow], before: tuple[float, float], dropped_at_s: float) -> Recovery:
    """Find the first of five consecutive seconds, from `dropped_at_s` on, with p95 and errors as `before`.

    `before` is the stretch from-to, and `dropped_at_s` the end of the disturbance, all in seconds since the run's
    zero. A second is normal with a p95 of at most 1.2 times the usual one of before plus 50 ms, and errors (sheds
    too) of at most those of before. The usual is what nine of ten seconds keep: at a few transactions a second a
    p95 is the slowest of them, and every other second lies above the middle. Seconds to which the plan gives no
    transaction say nothing and break no row. ValueError where `before` has no second with a latency.
    """
    begun = [row for row in seconds if before[0] <= row.second < before[1] and row.started]
    # A second that `before` shares with what comes next holds the beginning of the disturbance: no measure of calm.
    normal = [row for row in begun if row.second + 1 <= before[1] + _ROUNDING_S] or begun
    p95s_ms = sorted(row.p95_ms for row in normal if row.p95_ms is not None)
    if not p95s_ms:
        raise ValueError(f"no transaction with a latency from {before[0]:g} s to {before[1]:g} s: nothing is normal")
    limit_ms = FACTOR * p95s_ms[rank(_USUAL, len(p95s_ms))] + FLOOR_MS
    shares = sorted(_unserved(row) for row in normal)
    error_limit = shares[rank(_USUAL, len(shares))]
    after = [row for row in seconds if row.second >= dropped_at_s]
    began: int | None = None
    row_length = 0
    for row in after:
        if not (row.planned or row.started):
            continue
        if row.started and row.p95_ms is not None and row.p95_ms <= limit_ms and _unserved(row) <= error_limit:
            began = row.second if row_length == 0 else began
            row_length += 1
        else:
            row_length = 0
        if row_length == WINDOWS:
            break
    found = None if row_length < WINDOWS or began is None else max(0.0, began - dropped_at_s)
    worst = max((row.p95_ms for row in after if row.p95_ms is not None), default=None)
    return Recovery(found, limit_ms, error_limit, float(len(after)), worst)


def _unserved(row: SecondRow) -> float:
    return (row.broken + row.shed) / row.started
