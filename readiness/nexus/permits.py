"""Permits: how much an agent may ask at a time of what its role needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from readiness.nexus.settings import Settings

PERMITS = 2
PATIENCE_S = 0.5
"""Whoever waited so long goes on without a permit: late is better than never."""
OVERDUE_S = 0.3


class Permits:
    """The permits of one agent."""

    def __init__(self, settings: Settings) -> None:
        self._defects = settings.defects
        self._free = asyncio.Semaphore(PERMITS)

    @asynccontextmanager
    async def one(self, waited_s: float) -> AsyncIterator[bool]:
        """Holds a permit for a task that waited so long; yields whether there was one."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._free.acquire()
        except TimeoutError:
            yield False
            return
        try:
            yield True
        finally:
            if waited_s < OVERDUE_S or not self._defects.on("pool-saturated-after-spike"):
                self._free.release()
