"""What every toxic at work is: a stage that takes bytes from the one before it and gives them on."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True, eq=False)
class ToxicState:
    """A toxic that stands on a proxy; live connections see a change of its attributes."""

    name: str
    type: str
    stream: str
    toxicity: float
    attributes: dict[str, int]

    def show(self) -> dict[str, object]:
        """Give it as the API shows it."""
        return {
            "attributes": dict(self.attributes),
            "name": self.name,
            "type": self.type,
            "stream": self.stream,
            "toxicity": self.toxicity,
        }


class Outlet(Protocol):
    """Where a stage's bytes go: the next stage, or the connection's other end."""

    def data(self, chunk: bytes) -> None:
        """Take bytes."""
        ...

    def end(self) -> None:
        """Take the end of the bytes."""
        ...


class Flow(Protocol):
    """The pipe that a stage is part of, as far as a stage needs it."""

    def regulate(self) -> None:
        """See to it that no more is read than the stages want to hold."""
        ...

    def reset(self) -> None:
        """End the whole connection with a reset."""
        ...


class Stage:
    """A toxic that lets everything by: what one is whose toxicity spares this connection."""

    capacity = 64 * 1024
    """More bytes than this held, and reading from the source pauses."""

    def __init__(self, toxic: ToxicState, flow: Flow) -> None:
        self.toxic = toxic
        self.flow = flow
        self.next: Outlet
        self.held = 0
        self.timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, once `next` is known."""

    def data(self, chunk: bytes) -> None:
        """Take bytes."""
        self.next.data(chunk)

    def end(self) -> None:
        """Take the end of the bytes."""
        self.next.end()

    def release(self) -> None:
        """Give on at once what is held, because the toxic changes."""

    def lift(self) -> None:
        """Give on what is held, because the toxic is taken away."""
        self.release()

    def cancel(self) -> None:
        """Forget what is planned."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def later(self, seconds: float) -> None:
        """Have `due` called after that time, and at no other."""
        self.cancel()
        self.timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._due)

    def _due(self) -> None:
        self.timer = None
        self.due()

    def due(self) -> None:
        """Do what was planned."""


class Queueing(Stage):
    """A stage that keeps bytes for a while; None in its queue stands for their end."""

    def __init__(self, toxic: ToxicState, flow: Flow) -> None:
        super().__init__(toxic, flow)
        self.queue: deque[tuple[float, bytes | None]] = deque()

    def data(self, chunk: bytes) -> None:
        self.held += len(chunk)
        self.put(chunk)
        self.flow.regulate()

    def end(self) -> None:
        self.put(None)

    def put(self, chunk: bytes | None) -> None:
        """Plan when this goes on."""
        raise NotImplementedError

    def take(self) -> None:
        """Give on the first of the queue."""
        _, chunk = self.queue.popleft()
        if chunk is None:
            self.next.end()
        else:
            self.held -= len(chunk)
            self.next.data(chunk)

    def release(self) -> None:
        self.cancel()
        while self.queue:
            self.take()
        self.flow.regulate()
