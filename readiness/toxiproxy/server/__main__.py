"""Run the embedded server until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from readiness.toxiproxy.server.api import Api
from readiness.toxiproxy.server.proxies import BACKLOG


class _Server(uvicorn.Server):
    """A server that says when it is ready, and ends on a signal with exit code 0."""

    def __init__(self, config: uvicorn.Config, ready: Path | None, address: str) -> None:
        super().__init__(config)
        self._ready = ready
        self._address = address

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on the signals that mean it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._leave)
        yield

    def _leave(self) -> None:
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then say so."""
        await super().startup(sockets)
        if self._ready is not None:
            written = self._ready.with_name(self._ready.name + ".new")
            written.write_text(f"{self._address}\n", encoding="utf-8")
            written.replace(self._ready)


async def _serve(listening: socket.socket, ready: Path | None) -> None:
    api = Api()
    config = uvicorn.Config(
        api.application(),
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    host, port = listening.getsockname()[:2]
    try:
        await _Server(config, ready, f"{host}:{port}").serve([listening])
    finally:
        api.stop()


def main() -> int:
    """Serve Toxiproxy's API at an address."""
    parser = argparse.ArgumentParser(prog="python -m readiness.toxiproxy.server", description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8474, help="0 takes any free port (default: %(default)s)")
    parser.add_argument("--ready-file", type=Path, help="gets host:port once the server listens")
    given = parser.parse_args()
    try:
        listening = socket.create_server((given.host, given.port), backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        print(f"{given.host}:{given.port} cannot be listened on ({error}): choose another --port", file=sys.stderr)
        return 1
    asyncio.run(_serve(listening, given.ready_file))
    return 0


if __name__ == "__main__":
    sys.exit(main())
