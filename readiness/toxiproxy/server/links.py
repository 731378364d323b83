"""A connection through a proxy: two legs, and two pipes of toxics between them."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress

from readiness.toxiproxy.server.stage import Outlet, Stage, ToxicState
from readiness.toxiproxy.server.stages import stage_for

_VIEW = memoryview(bytearray(64 * 1024))
"""One buffer for all legs: the event loop reads into it and gives the bytes on before it reads for another leg."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of zero seconds: closing sends a reset."""


def _drop(_chunk: bytes) -> None:
    """Take bytes that nobody can be given any more."""


class Leg(asyncio.BufferedProtocol):
    """One of the two sockets of a connection."""

    def __init__(self, connected: Callable[[Leg], None]) -> None:
        self._connected = connected
        self.transport: asyncio.Transport
        self.onward: Callable[[bytes], object] = _drop
        """What takes the bytes read here: the other leg's transport itself where no toxic stands between."""
        self.outgoing: Pipe | None = None
        self.incoming: Pipe | None = None
        self.lost: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._connected(self)

    def get_buffer(self, _sizehint: int) -> memoryview:
        """Give where the next bytes are read to."""
        return _VIEW

    def buffer_updated(self, nbytes: int) -> None:
        """Give on the bytes that were read."""
        self.onward(bytes(_VIEW[:nbytes]))

    def eof_received(self) -> bool:
        """Give on that no more comes; the other direction stays open."""
        if self.outgoing is not None:
            self.outgoing.finish()
        return True

    def connection_lost(self, _exc: Exception | None) -> None:
        """Give on that no more comes, and that nothing more can be given to it."""
        if self.incoming is not None:
            self.incoming.forget()
        if self.outgoing is not None:
            self.outgoing.finish()
        if self.lost is not None:
            self.lost()

    def pause_writing(self) -> None:
        """Have less read: the peer takes its bytes slower than they come."""
        if self.incoming is not None:
            self.incoming.block(True)

    def resume_writing(self) -> None:
        """Have more read."""
        if self.incoming is not None:
            self.incoming.block(False)

    def reset(self) -> None:
        """Close at once, with a reset."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()


class Pipe:
    """One direction of a connection: what is read from a leg goes through the stages to the other leg."""

    def __init__(self, source: Leg, destination: Leg, reset: Callable[[], None]) -> None:
        self.source = source
        self.destination = destination
        self.reset = reset
        self.stages: list[Stage] = []
        self._finished = False
        self._blocked = False
        self._paused = False
        self._gone = False
        source.outgoing = self
        destination.incoming = self

    def data(self, chunk: bytes) -> None:
        """Give bytes to the destination: what the last stage does."""
        if not self._gone and not self.destination.transport.is_closing():
            self.destination.transport.write(chunk)

    def end(self) -> None:
        """Close the destination: what the last stage does at the end."""
        if not self._gone:
            self.destination.transport.close()

    def finish(self) -> None:
        """Send the end of the source's bytes through the stages, once."""
        if not self._finished:
            self._finished = True
            self._first().end()

    def forget(self) -> None:
        """Drop everything: the destination is gone."""
        self._gone = True
        self.source.onward = _drop
        for stage in self.stages:
            stage.cancel()

    def block(self, blocked: bool) -> None:
        """Note whether the destination takes bytes slower than they come."""
        self._blocked = blocked
        self.regulate()

    def regulate(self) -> None:
        """Read from the source only while nobody on the way holds too much."""
        full = self._blocked or any(stage.held > stage.capacity for stage in self.stages)
        if full == self._paused or self.source.transport.is_closing():
            return
        self._paused = full
        if full:
            self.source.transport.pause_reading()
        else:
            self.source.transport.resume_reading()

    def begin(self, toxics: Iterable[ToxicState]) -> None:
        """Put the proxy's toxics to work on this new connection."""
        self.stages = [stage_for(toxic, self) for toxic in toxics]
        self._join()
        for stage in self.stages:
            stage.start()

    def add(self, toxic: ToxicState) -> None:
        """Put a toxic to work on this living connection."""
        stage = stage_for(toxic, self)
        self.stages.append(stage)
        self._join()
        stage.start()

    def change(self, toxic: ToxicState, redraw: bool) -> None:
        """Have a changed toxic take effect from the next byte on."""
        for index, stage in enumerate(self.stages):
            if stage.toxic is toxic:
                stage.release()
                if redraw:
                    stage.cancel()
                    self.stages[index] = stage_for(toxic, self)
                    self._join()
                self.stages[index].start()

    def remove(self, toxic: ToxicState) -> None:
        """Take a toxic away; what it holds goes on, and a connection that it held closes."""
        for stage in [stage for stage in self.stages if stage.toxic is toxic]:
            stage.lift()
            stage.cancel()
            self.stages.remove(stage)
        self._join()
        self.regulate()

    def _first(self) -> Outlet:
        return self.stages[0] if self.stages else self

    def _join(self) -> None:
        after: list[Outlet] = [*self.stages[1:], self]
        for stage, following in zip(self.stages, after, strict=False):
            stage.next = following
        if not self._gone:
            self.source.onward = self.stages[0].data if self.stages else self.destination.transport.write


class Connection:
    """A client's connection and the one to the upstream that was opened for it."""

    def __init__(self, client: Leg, upstream: Leg, lost: Callable[[Connection], None]) -> None:
        self._legs = (client, upstream)
        self._lost = lost
        self.upstream = Pipe(client, upstream, self.reset)
        self.downstream = Pipe(upstream, client, self.reset)
        for leg in self._legs:
            leg.lost = self._leg_lost
        self._left = len(self._legs)

    def pipe(self, stream: str) -> Pipe:
        """Give the direction that a toxic names."""
        return self.upstream if stream == "upstream" else self.downstream

    def reset(self) -> None:
        """End it with a reset on both sides."""
        for leg in self._legs:
            leg.reset()

    def abort(self) -> None:
        """End it at once; what was not sent yet is lost."""
        for leg in self._legs:
            leg.transport.abort()

    def _leg_lost(self) -> None:
        self._left -= 1
        if not self._left:
            self._lost(self)
