"""Work that is handed in so that a fault which shows only under work has something to hit, where no run sends any."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from readiness.errors import ReadinessError
from readiness.waiting import Deadline, Pace
from readiness.workload import Workload

VARIANTS = ("ok", "ask")
RATE_PER_S = 2.0
_THREADS = 4
"""A transaction whose submission hangs must not keep the others from being sent."""


@contextmanager
def stirred(workload: Workload, deadline: Deadline) -> Iterator[None]:
    """Hand transactions in during the block, at a low rate; nobody awaits what becomes of them."""
    stop, pace = threading.Event(), Pace(min(RATE_PER_S, workload.max_rate_per_s))

    def send(number: int) -> None:
        variant = VARIANTS[number % len(VARIANTS)]
        while pace.wait(deadline, stop):
            with contextlib.suppress(ReadinessError):
                workload.submit(variant, question="How are you?" if variant == "ask" else None, deadline=deadline)

    threads = [threading.Thread(target=send, args=(number,), name="stir", daemon=True) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
