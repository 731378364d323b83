"""Waiting with a deadline: the only module of the package that sleeps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from readiness.errors import Undecidable

T = TypeVar("T")


SLOWEST_S = 1.0
SHARE_OF_WAIT = 0.1
"""A look comes at most a tenth of the time waited after the last one, and never more than `SLOWEST_S` after it."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment by which something must have ended, handed down to every call that can take time."""

    at_s: float
    """The moment on the monotonic clock, in seconds."""

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Give the deadline that many seconds from now."""
        return cls(time.monotonic() + seconds)

    @property
    def left_s(self) -> float:
        """The time that is left, in seconds; never negative."""
        return max(0.0, self.at_s - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the moment has passed."""
        return time.monotonic() >= self.at_s

    def within(self, seconds: float) -> Deadline:
        """Give the earlier of this deadline and one that many seconds from now."""
        return Deadline(min(self.at_s, time.monotonic() + seconds))


class NotInTime(Undecidable):
    """What was waited for did not come in time; `last` is the last value that was seen."""

    def __init__(self, waited_s: float, last: object) -> None:
        super().__init__(f"what was waited for did not come within {waited_s:.1f} s (last seen: {last!r})")
        self.waited_s = waited_s
        self.last = last


def eventually(
    check: Callable[[], T],
    *,
    within: Deadline | float,
    every_s: float = 0.1,
    until: Callable[[T], object] = bool,
) -> T:
    """Call `check` until `until(value)` is true and return that value; raise `NotInTime` at the deadline.

    `within` is a deadline or seconds. `check` is called at least once and once more at the deadline, so that a value
    which came during the last pause is not missed.
    """
    began_s = time.monotonic()
    deadline = within if isinstance(within, Deadline) else Deadline.after(within)
    while True:
        last_try = deadline.expired
        value = check()
        if until(value):
            return value
        if last_try:
            raise NotInTime(time.monotonic() - began_s, value)
        # The longer the wait, the rarer the look, or the asking itself would slow a busy deployment down.
        pause_s = max(every_s, min(SLOWEST_S, (time.monotonic() - began_s) * SHARE_OF_WAIT))
        time.sleep(min(pause_s, deadline.left_s))


def let_pass(span: Deadline) -> None:
    """Wait until a moment has come, whatever happens meanwhile."""
    time.sleep(span.left_s)


class Pace:
    """A bounded rate that several threads share."""

    def __init__(self, rate_per_s: float) -> None:
        self._gap_s = 1.0 / rate_per_s
        self._next_s = 0.0
        self._lock = threading.Lock()

    def wait(self, deadline: Deadline, stop: threading.Event | None = None) -> bool:
        """Wait for the next turn; False when the deadline or `stop` comes first."""
        with self._lock:
            turn_s = max(self._next_s, time.monotonic())
            if turn_s > deadline.at_s or (stop is not None and stop.is_set()):
                return False
            self._next_s = turn_s + self._gap_s
        pause_s = turn_s - time.monotonic()
        if pause_s <= 0:
            return True
        if stop is not None:
            return not stop.wait(pause_s)
        time.sleep(pause_s)
        return True
