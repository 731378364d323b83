"""A server of known capacity: one request after the other, each taking exactly 1/capacity of a second.

The turn of a request is computed, not slept: however late the process itself wakes up, no more and no fewer requests
are served a second than its capacity. Prints its port; ends with whoever started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Queue:
    """The one place that all requests pass."""

    def __init__(self, capacity: float) -> None:
        self._each_s = 1 / capacity
        self._free_at_s = 0.0

    def turn(self) -> float:
        """The instant on the monotonic clock at which the next request is done."""
        self._free_at_s = max(self._free_at_s, time.monotonic()) + self._each_s
        return self._free_at_s


async def serve(queue: Queue, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(max(0.0, queue.turn() - time.monotonic()))
            writer.write(_ANSWER)
            await writer.drain()
    writer.close()


async def main(capacity: float) -> None:
    queue = Queue(capacity)
    server = await asyncio.start_server(lambda r, w: serve(queue, r, w), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


@contextmanager
def paced(capacity: float) -> Iterator[str]:
    """Run such a server in a process of its own for the length of a block; gives its URL."""
    argv = [sys.executable, "-m", "benchmarks._paced", str(capacity)]
    root = Path(__file__).parents[1]
    with subprocess.Popen(argv, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()
            process.stdin.close()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
