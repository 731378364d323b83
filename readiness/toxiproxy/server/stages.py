"""The toxics at work on one direction of one connection.

What each does follows Toxiproxy 2.12, as the contract suite in `tests/toxiproxy` measures it on both servers.
"""

from __future__ import annotations

import asyncio
import itertools
import random

from readiness.toxiproxy.server.stage import Flow, Queueing, Stage, ToxicState

KILOBYTE = 1000
PIECE_S = 0.1
"""Toxiproxy sends what a thin connection lets by in pieces of at most this many seconds."""


class Latency(Queueing):
    """Every byte arrives `latency` ± `jitter` ms later; the end comes right after the last byte."""

    capacity = 4 * 1024 * 1024

    def put(self, chunk: bytes | None) -> None:
        last = self.queue[-1][0] if self.queue else 0.0
        now = asyncio.get_running_loop().time()
        wait_s = 0.0 if chunk is None else self._delay_ms() / 1000
        self.queue.append((max(last, now + wait_s), chunk))
        if self.timer is None:
            self.due()

    def _delay_ms(self) -> float:
        jitter = self.toxic.attributes["jitter"]
        return self.toxic.attributes["latency"] + (random.uniform(-jitter, jitter) if jitter else 0.0)

    def due(self) -> None:
        now = asyncio.get_running_loop().time()
        while self.queue and self.queue[0][0] <= now:
            self.take()
        if self.queue:
            self.later(self.queue[0][0] - now)
        self.flow.regulate()


class Bandwidth(Queueing):
    """At most `rate` kB/s go by; at a rate of zero, nothing."""

    def __init__(self, toxic: ToxicState, flow: Flow) -> None:
        super().__init__(toxic, flow)
        self.free_at = 0.0

    def put(self, chunk: bytes | None) -> None:
        rate = self.toxic.attributes["rate"] * KILOBYTE
        if chunk is None or rate <= 0:
            self.queue.append((0.0, chunk))
        else:
            step = max(1, int(rate * PIECE_S))
            self.queue.extend((0.0, chunk[at : at + step]) for at in range(0, len(chunk), step))
        if self.timer is None:
            self._plan()

    def _plan(self) -> None:
        while self.queue:
            chunk = self.queue[0][1]
            if chunk is None:
                self.take()
                continue
            rate = self.toxic.attributes["rate"] * KILOBYTE
            if rate > 0:
                now = asyncio.get_running_loop().time()
                self.free_at = max(now, self.free_at) + len(chunk) / rate
                self.later(self.free_at - now)
            return

    def due(self) -> None:
        self.take()
        self._plan()
        self.flow.regulate()


class SlowClose(Stage):
    """The connection closes `delay` ms late."""

    def end(self) -> None:
        self.later(self.toxic.attributes["delay"] / 1000)

    def due(self) -> None:
        self.next.end()

    def release(self) -> None:
        if self.timer is not None:
            self.cancel()
            self.next.end()


class Timeout(Stage):
    """Nothing goes by; the connection closes when nothing came for `timeout` ms, or at zero when the toxic goes."""

    def start(self) -> None:
        if self.toxic.attributes["timeout"] > 0:
            self.later(self.toxic.attributes["timeout"] / 1000)

    def data(self, _chunk: bytes) -> None:
        self.start()

    def end(self) -> None:
        self.cancel()
        self.next.end()

    def due(self) -> None:
        self.next.end()

    def lift(self) -> None:
        self.end()


class ResetPeer(Stage):
    """`timeout` ms after the first byte the connection is reset."""

    def data(self, _chunk: bytes) -> None:
        self.end()

    def end(self) -> None:
        if self.timer is None:
            self.later(self.toxic.attributes["timeout"] / 1000)

    def due(self) -> None:
        self.flow.reset()

    def release(self) -> None:
        if self.timer is not None:
            self.cancel()
            self.flow.reset()


class LimitData(Stage):
    """The connection closes after `bytes` bytes."""

    def __init__(self, toxic: ToxicState, flow: Flow) -> None:
        super().__init__(toxic, flow)
        self.passed = 0

    def data(self, chunk: bytes) -> None:
        left = max(0, self.toxic.attributes["bytes"] - self.passed)
        passed = chunk[:left]
        if passed:
            self.passed += len(passed)
            self.next.data(passed)
        if len(chunk) >= left:
            self.next.end()


class Slicer(Queueing):
    """Bytes come in slices of `average_size` ± `size_variation`, `delay` µs after each other."""

    def put(self, chunk: bytes | None) -> None:
        if chunk is None:
            self.queue.append((0.0, None))
        else:
            cuts = [0, *self._cuts(0, len(chunk)), len(chunk)]
            self.queue.extend((0.0, chunk[begin:end]) for begin, end in itertools.pairwise(cuts))
        if self.timer is None:
            self.due()

    def _cuts(self, begin: int, end: int) -> list[int]:
        size = max(1, self.toxic.attributes["average_size"])
        variation = min(size - 1, max(0, self.toxic.attributes["size_variation"]))
        cuts: list[int] = []
        at = begin
        while end - at > size + variation:
            at += size + (random.randint(-variation, variation) if variation else 0)
            cuts.append(at)
        return cuts

    def due(self) -> None:
        while self.queue and self.timer is None:
            sliced = self.queue[0][1] is not None
            self.take()
            if sliced and self.toxic.attributes["delay"] > 0:
                self.later(self.toxic.attributes["delay"] / 1_000_000)
        self.flow.regulate()


STAGES: dict[str, type[Stage]] = {
    "latency": Latency,
    "bandwidth": Bandwidth,
    "slow_close": SlowClose,
    "timeout": Timeout,
    "reset_peer": ResetPeer,
    "slicer": Slicer,
    "limit_data": LimitData,
}


def stage_for(toxic: ToxicState, flow: Flow) -> Stage:
    """Put a toxic to work on a connection, or spare it, as its toxicity draws."""
    return (STAGES[toxic.type] if random.random() < toxic.toxicity else Stage)(toxic, flow)
