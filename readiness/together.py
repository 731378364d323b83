"""Several calls at once, in a few threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
U = TypeVar("U")
THREADS = 8


def at_once(calls: Sequence[Callable[[], T]], threads_at_most: int = THREADS) -> list[T]:
    """Make the calls, so many at a time, and give what they gave in their order.

    Raises what the first failed one raised. When we are interrupted, what has not begun never begins.
    """
    threads = ThreadPoolExecutor(min(max(len(calls), 1), threads_at_most))
    try:
        started = [threads.submit(call) for call in calls]
        return [one.result() for one in started]
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def beside(aside: Callable[[], T], here: Callable[[], U]) -> tuple[T, U]:
    """Make one call in a thread while the other is made in this one, where an interruption can end it."""
    thread = ThreadPoolExecutor(1)
    try:
        started = thread.submit(aside)
        made = here()
        return started.result(), made
    finally:
        thread.shutdown(wait=False)
