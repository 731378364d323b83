"""One side of a proxied connection: bytes that came and were not used yet, and whether more can come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

READ_AHEAD_BYTES = 256 * 1024
HEAD_BYTES = 64 * 1024


class Lost(Exception):
    """The other side has gone in the middle of a message."""


class Unreadable(Exception):
    """What came is not HTTP/1.1 as RFC 9112 has it."""


class Wire(asyncio.Protocol):
    """A connection that is read by waiting and written with back pressure."""

    def __init__(self, begun: Callable[[Wire], None] | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.buffer = bytearray()
        self.gone: asyncio.Future[None] = loop.create_future()
        """Done once nothing more can come from there."""
        self.on_gone: Callable[[], None] | None = None
        self._loop = loop
        self._begun = begun
        self._more: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._held_back = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection into use."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self._begun is not None:
            self._begun(self)

    def data_received(self, data: bytes) -> None:
        """Keep what came, and stop reading where nobody uses it."""
        self.buffer += data
        if len(self.buffer) > READ_AHEAD_BYTES and self._transport is not None and not self._held_back:
            self._held_back = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """The other side has ended: as servers do, nothing more is expected of it and the connection is closed."""
        self._end()

    def connection_lost(self, _: Exception | None) -> None:
        """The connection is no more."""
        self._end()
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def pause_writing(self) -> None:
        """The other side does not keep up."""
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        """The other side has caught up."""
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    def _end(self) -> None:
        if self.gone.done():
            return
        self.gone.set_result(None)
        self._wake()
        if self.on_gone is not None:
            self.on_gone()

    async def fill(self) -> bool:
        """Wait until more has come; False once nothing more can."""
        if self.gone.done():
            return False
        if self._held_back and self._transport is not None:
            self._held_back = False
            self._transport.resume_reading()
        before = len(self.buffer)
        self._more = self._loop.create_future()
        try:
            await self._more
        finally:
            self._more = None
        return len(self.buffer) > before

    async def head(self) -> bytes | None:
        """Give the next message's head with its empty line; None where the other side ended between messages."""
        searched = 0
        while True:
            while self.buffer.startswith(b"\r\n"):
                del self.buffer[:2]
                searched = 0
            end = self.buffer.find(b"\r\n\r\n", max(0, searched - 3))
            if end >= 0:
                raw = bytes(self.buffer[: end + 4])
                del self.buffer[: end + 4]
                return raw
            searched = len(self.buffer)
            if searched > HEAD_BYTES:
                raise Unreadable("a head without an end")
            if not await self.fill():
                if self.buffer:
                    raise Lost
                return None

    async def write(self, data: bytes) -> None:
        """Send, and wait where the other side does not keep up; raises `Lost` once it has gone."""
        if self.gone.done() or self._transport is None:
            raise Lost
        self._transport.write(data)
        if self._room is not None:
            await self._room
            if self.gone.done():
                raise Lost

    def close(self) -> None:
        """End the connection after what was written has gone out."""
        if self._transport is not None:
            self._transport.close()
        self._end()

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
        self._end()
