"""How a public listener goes away without cutting anybody off."""

from __future__ import annotations

import asyncio
import socket

import uvicorn

USED_AGAIN_S = 0.5
"""A kept connection that is used again within this time is told `Connection: close` with an answer."""
READ_S = 0.3
"""How long a request that came with the last connections may take to be read."""


async def leave(server: uvicorn.Server, listener: socket.socket, place: int) -> None:
    """Tell callers to close, then stop listening; who waits to be accepted at that moment is still served.

    Whatever a closed listener had not accepted yet the system resets, although another process shares its port.
    """
    state = server.server_state
    state.default_headers = [*state.default_headers, (b"connection", b"close")]
    await asyncio.sleep(USED_AGAIN_S)
    waiting = _accepted(listener)
    server.servers[place].close()
    loop = asyncio.get_running_loop()
    for connection in waiting:
        await loop.connect_accepted_socket(lambda: _protocol(server), connection)
    await asyncio.sleep(READ_S)


def _accepted(listener: socket.socket) -> list[socket.socket]:
    taken: list[socket.socket] = []
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return taken
        connection.setblocking(False)
        taken.append(connection)


def _protocol(server: uvicorn.Server) -> asyncio.Protocol:
    made: asyncio.Protocol = server.config.http_protocol_class(  # type: ignore[call-arg]
        config=server.config, server_state=server.server_state, app_state=server.lifespan.state
    )
    return made
