"""A breaker: whoever sees that work piles up sends no more, for a while."""

from __future__ import annotations

import time

TOO_MANY_WAIT = 15
OPEN_FOR_S = 600.0


class Breaker:
    """Opens when more work waits than was thought possible."""

    def __init__(self) -> None:
        self._open_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether nothing may be sent now."""
        return time.monotonic() < self._open_until

    def note(self, waiting: int) -> None:
        """Takes note of how much work waits."""
        if waiting > TOO_MANY_WAIT:
            self._open_until = time.monotonic() + OPEN_FOR_S
