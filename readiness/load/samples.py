"""What lies between measuring and judging: one record a transaction, in files that any later run can read again."""

from __future__ import annotations

from enum import IntEnum

DTYPE = [
    ("intended_s", "<f8"),
    ("started_s", "<f8"),
    ("ended_s", "<f8"),
    ("stage", "<u2"),
    ("outcome", "u1"),
    ("status", "<u2"),
    ("kind", "<u2"),
]
"""A sample as numpy's packed record: seconds since the run's zero (where it was meant to start, where it did, where it
ended), the index of its stage, its `Outcome`, the HTTP status (0: none), and the number of its error kind (0: none)."""
STRUCT = "<dddHBHH"
"""The same record for `struct`."""


class Outcome(IntEnum):
    """How a transaction under load ended."""

    OK = 0
    FAILURE = 1
    """Accepted, and ended otherwise than meant or with a wrong result."""
    SHED = 2
    """Refused because of load: 429, or 503 with Retry-After."""
    REFUSED = 3
    """Refused as its variant is meant to be."""
    ERROR = 4
    """Not accepted: another status, or a connection that was refused or broke."""
    LATE = 5
    """Not ended within its time: accepted, or waited for without any answer; it took at least so long."""
    CENSORED = 6
    """In flight when the run ended: it took at least so long."""


SERVED = (Outcome.OK, Outcome.REFUSED)
BROKEN = (Outcome.FAILURE, Outcome.ERROR, Outcome.LATE, Outcome.CENSORED)
"""What counts as an error; SHED is told apart, for a system may protect itself."""
TIMED = (Outcome.OK, Outcome.REFUSED, Outcome.FAILURE, Outcome.LATE, Outcome.CENSORED)
"""What has a latency; a shed or unaccepted transaction would flatter it."""
