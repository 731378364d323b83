"""The proxies of the embedded server: where each listens, whereto it leads, and the toxics that stand on it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass

from readiness.toxiproxy.server.links import Connection, Leg
from readiness.toxiproxy.server.stage import ToxicState

BACKLOG = 1024
CONNECT_S = 10.0


@dataclass
class ApiError(Exception):
    """What the API answers instead, in Toxiproxy's form."""

    error: str
    status: int

    def show(self) -> dict[str, object]:
        """Give it as the API shows it."""
        return {"error": self.error, "status": self.status}


def address(text: str) -> tuple[str, int]:
    """Split `host:port`; raises `ApiError`."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ApiError(f"address {text}: give host:port", 400)
    return host.strip("[]"), int(port)


class Proxy:
    """One proxy. While it is disabled its port stays its own: callers are refused, and nobody else can take it."""

    def __init__(self, name: str, listen: str, upstream: str) -> None:
        self.name = name
        self.listen = listen
        self.upstream = upstream
        self.enabled = False
        self.toxics: list[ToxicState] = []
        self._connections: set[Connection] = set()
        self._joining: dict[asyncio.Task[None], Leg] = {}
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None

    def show(self) -> dict[str, object]:
        """Give it as the API shows it."""
        shown = {"name": self.name, "listen": self.listen, "upstream": self.upstream, "enabled": self.enabled}
        return {**shown, "Logger": {}, "toxics": [toxic.show() for toxic in self.sorted_toxics()]}

    def sorted_toxics(self) -> list[ToxicState]:
        """Give the toxics, those on the way to the upstream first."""
        return sorted(self.toxics, key=lambda toxic: toxic.stream != "upstream")

    async def start(self) -> None:
        """Listen; raises `ApiError` where that cannot be."""
        if self.enabled:
            return
        self._reserve()
        assert self._reserved is not None
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: Leg(self._accepted), sock=self._reserved, backlog=BACKLOG)
        except OSError as error:
            raise ApiError(f"listen tcp {self.listen}: {error.strerror or error}", 500) from None
        self._reserved = None
        self.enabled = True

    def stop(self) -> None:
        """Refuse callers and close every connection."""
        if not self.enabled:
            return
        self.enabled = False
        assert self._server is not None
        self._server.close()
        self._server = None
        with suppress(ApiError):
            self._reserve()
        self._end_connections()

    def delete(self) -> None:
        """Stop, and give the port back."""
        self.stop()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    async def change(self, listen: str, upstream: str, enabled: bool) -> None:
        """Take new addresses or another state, as Toxiproxy does: new addresses end the living connections."""
        address(upstream)
        if listen != self.listen or upstream != self.upstream:
            moved = address(listen) != address(self.listen)
            self.stop()
            if moved:
                self.delete()
            self.listen, self.upstream = listen, upstream
        if enabled:
            await self.start()
        else:
            self.stop()

    def add(self, toxic: ToxicState) -> None:
        """Put a toxic to work, on living connections too."""
        self.toxics.append(toxic)
        for connection in self._connections:
            connection.pipe(toxic.stream).add(toxic)

    def change_toxic(self, toxic: ToxicState, attributes: dict[str, int], toxicity: float) -> None:
        """Give a toxic other numbers; a new toxicity is drawn anew for living connections."""
        redraw = toxicity != toxic.toxicity
        toxic.attributes, toxic.toxicity = attributes, toxicity
        for connection in list(self._connections):
            connection.pipe(toxic.stream).change(toxic, redraw)

    def remove(self, toxic: ToxicState) -> None:
        """Take a toxic away, from living connections too."""
        self.toxics.remove(toxic)
        for connection in list(self._connections):
            connection.pipe(toxic.stream).remove(toxic)

    def _reserve(self) -> None:
        if self._reserved is not None:
            return
        host, port = address(self.listen)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        reserved = socket.socket(family, socket.SOCK_STREAM)
        try:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            reserved.bind((host, port))
        except OSError as error:
            reserved.close()
            raise ApiError(f"listen tcp {self.listen}: {error.strerror or error}", 500) from None
        self._reserved = reserved
        bound_host, bound_port = reserved.getsockname()[:2]
        self.listen = f"[{bound_host}]:{bound_port}" if family == socket.AF_INET6 else f"{bound_host}:{bound_port}"

    def _accepted(self, client: Leg) -> None:
        client.transport.pause_reading()
        task = asyncio.get_running_loop().create_task(self._join(client))
        self._joining[task] = client
        task.add_done_callback(lambda done: self._joining.pop(done, None))

    async def _join(self, client: Leg) -> None:
        host, port = address(self.upstream)

        def joined(upstream: Leg) -> None:
            if not self.enabled or client.transport.is_closing():
                client.transport.abort()
                upstream.transport.abort()
            else:
                self._connected(client, upstream)

        try:
            async with asyncio.timeout(CONNECT_S):
                await asyncio.get_running_loop().create_connection(lambda: Leg(joined), host, port)
        except (OSError, UnicodeError):
            client.transport.close()

    def _connected(self, client: Leg, upstream: Leg) -> None:
        connection = Connection(client, upstream, self._connections.discard)
        self._connections.add(connection)
        for stream in ("upstream", "downstream"):
            connection.pipe(stream).begin(toxic for toxic in self.toxics if toxic.stream == stream)
        client.transport.resume_reading()

    def _end_connections(self) -> None:
        for task, client in list(self._joining.items()):
            task.cancel()
            client.transport.abort()
        for connection in list(self._connections):
            connection.abort()
