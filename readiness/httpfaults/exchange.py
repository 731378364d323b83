"""One caller's connection and its own connection upstream: requests go through in turn, whole and untouched.

Each caller has an upstream connection of its own rather than one of a pool: what either side does to its connection
(closes it while idle, breaks it) reaches the other as it would without the proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from readiness.httpfaults.messages import Request, Response
from readiness.httpfaults.wire import Lost, Unreadable, Wire

CONNECT_S = 5.0
Relay = Callable[[Response], Awaitable[bool]]
"""Brings an answer to the caller; False where the connection is to end after it."""


class Route(Protocol):
    """Where requests go now."""

    @property
    def upstream(self) -> tuple[str, int]:
        """Host and port."""
        ...


async def connected(address: tuple[str, int]) -> Wire:
    """Connect upstream; raises `Lost` where nobody answers there."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(CONNECT_S):
            _, wire = await loop.create_connection(Wire, *address)
    except (OSError, TimeoutError) as error:
        raise Lost from error
    return wire


class Exchange:
    """The requests of one caller's connection, one after the other."""

    def __init__(self, caller: Wire, route: Route) -> None:
        self.caller = caller
        self.route = route
        self.answering = False
        """Whether a request is being treated: between requests, what ends upstream ends here."""
        self._upstream: Wire | None = None
        self._address: tuple[str, int] | None = None
        caller.on_gone = self._caller_gone

    def _caller_gone(self) -> None:
        if self._upstream is not None:
            self._upstream.abort()

    def _upstream_gone(self) -> None:
        if not self.answering and self._address == self.route.upstream:
            self.caller.close()

    def end(self) -> None:
        """End both connections; what was written to the caller still goes out."""
        self.caller.on_gone = None
        self.leave_upstream()
        self.caller.close()

    def leave_upstream(self) -> None:
        """End the connection upstream; the next request gets a new one."""
        if self._upstream is not None:
            self._upstream.on_gone = None
            self._upstream.abort()
            self._upstream = None

    @property
    def spent(self) -> bool:
        """Whether the connection upstream has ended by itself, so that the caller's has to."""
        return self._upstream is not None and self._upstream.gone.done() and self._address == self.route.upstream

    async def upstream(self) -> Wire:
        """Give the connection to where requests go now."""
        if self._upstream is not None and (self._address != self.route.upstream or self._upstream.gone.done()):
            self.leave_upstream()
        if self._upstream is None:
            self._address = self.route.upstream
            self._upstream = await connected(self._address)
            self._upstream.on_gone = self._upstream_gone
        return self._upstream

    async def forward(self, request: Request, *, prefix: bytes | None = None, relay: Relay | None = None) -> bool:
        """Send a request upstream and bring the answer back; False where the connection cannot be used again.

        `prefix` is what goes upstream instead of the head as it came, before what is left of the body.
        """
        upstream = await self.upstream()
        pump: asyncio.Task[None] | None = None
        body, _ = request.body.take()
        await upstream.write((request.raw if prefix is None else prefix) + body)
        if not request.body.finished:
            pump = asyncio.create_task(self._pump(request, upstream))
        try:
            response = await self._answer(request, upstream)
            keeps = await (relay or self.relay)(response)
        finally:
            if pump is not None:
                pump.cancel()
                await asyncio.wait({pump})
        if not response.keeps:
            self.leave_upstream()
        return keeps and request.keeps and request.body.finished

    async def _pump(self, request: Request, upstream: Wire) -> None:
        try:
            while not request.body.finished:
                raw, _ = await request.body.next()
                await upstream.write(raw)
        except Unreadable:
            upstream.abort()
        except Lost:
            # An upstream that refuses a body half way may have answered already: the answer decides.
            if self.caller.gone.done():
                upstream.abort()

    async def _answer(self, request: Request, upstream: Wire) -> Response:
        while True:
            raw = await upstream.head()
            if raw is None:
                raise Lost
            response = Response(raw, upstream, to=request.method)
            if response.status == 101:
                raise Unreadable("an upgrade to another protocol")
            if response.status >= 200:
                return response
            await self.caller.write(raw)

    async def relay(self, response: Response, begun: bytes = b"") -> bool:
        """Bring an answer to the caller as it comes, after what was taken of its body already."""
        raw, _ = response.body.take()
        await self.caller.write(response.raw + begun + raw)
        while not response.body.finished:
            raw, _ = await response.body.next()
            if raw:
                await self.caller.write(raw)
        return response.keeps
