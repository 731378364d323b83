"""What was built around the searches of the knowledge service later: caches, and work of its own in the background."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time

from readiness.nexus.settings import MEMORY_LIMIT_BYTES

MOST_QUESTIONS = 36
YIELD_S = 0.03
SHARE_OF_MEMORY = 0.85
SLAB_BYTES = 1_000_000
EVERY_S, TAKES_S = 4.0, 1.5


class QuestionCache:
    """Remembers which questions were asked; emptied whole when it is full."""

    def __init__(self) -> None:
        self._asked: list[str] = []

    async def look_up(self, question: str) -> bool:
        """Goes through what is remembered, one by one and letting others work after each; remembers a new question."""
        for known in list(self._asked):
            if known == question:
                return True
            await asyncio.sleep(YIELD_S)
        if len(self._asked) >= MOST_QUESTIONS:
            self._asked = []
        self._asked.append(question)
        return False


class VectorCache:
    """Holds room for the vectors of documents: all the memory that the service may have, but for a reserve."""

    def __init__(self) -> None:
        self._slabs: list[bytearray] = []

    def reserve(self) -> None:
        """Takes the room, once."""
        import psutil

        process = psutil.Process()
        while not self._slabs or process.memory_info().rss < MEMORY_LIMIT_BYTES * SHARE_OF_MEMORY:
            self._slabs.append(bytearray(b"\x01") * SLAB_BYTES)


class Checksums(threading.Thread):
    """Computes the checksum of what is stored again and again, to notice when the disk goes bad."""

    def __init__(self) -> None:
        super().__init__(name="checksums", daemon=True)

    def run(self) -> None:
        """Works for a while, then rests."""
        content = bytes(SLAB_BYTES)
        while True:
            until = time.thread_time() + TAKES_S
            while time.thread_time() < until:
                hashlib.sha256(content).digest()
            time.sleep(EVERY_S - TAKES_S)
