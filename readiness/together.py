"""Several calls at once, in a few threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
THREADS = 8


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make the calls, at most `THREADS` at a time, and give what they gave in their order.

    Raises what the first failed one raised. When we are interrupted, what has not begun never begins.
    """
    threads = ThreadPoolExecutor(min(max(len(calls), 1), THREADS))
    try:
        started = [threads.submit(call) for call in calls]
        return [one.result() for one in started]
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
