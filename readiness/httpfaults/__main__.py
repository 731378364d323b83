"""`python -m readiness.httpfaults --port 8475`: the fault proxies and their control API."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from readiness.httpfaults.control import Control, loopback, serve


async def _run(host: str, port: int) -> str:
    """Serve until told to end; gives why it could not, or no text."""
    control = Control()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    try:
        server = await asyncio.start_server(lambda reader, writer: serve(control, reader, writer), host, port)
    except OSError as error:
        return f"{host}:{port}: {(error.strerror or 'it cannot be had').lower()}; give a free --port"
    taken = server.sockets[0].getsockname()
    print(f"httpfaults: control API on http://{taken[0]}:{taken[1]}", flush=True)
    await ended.wait()
    server.close()
    await control.close()
    return ""


def main() -> int:
    """Run the server; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m readiness.httpfaults", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8475, help="the control API's port, 0 for any (8475)")
    given = parser.parse_args()
    if not loopback(given.host):
        parser.error(f"--host {given.host}: allowed: a loopback address, as in 127.0.0.1")
    if not 0 <= given.port < 65536:
        parser.error(f"--port {given.port}: allowed: 0 to 65535")
    reason = asyncio.run(_run(given.host, given.port))
    if reason:
        print(f"httpfaults: {reason}", file=sys.stderr)
    return 1 if reason else 0


if __name__ == "__main__":
    sys.exit(main())
