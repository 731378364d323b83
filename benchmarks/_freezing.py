"""A server as fast as Python allows that stands still for a while in every period, and tells when it did.

One thread and one selector: a connection is answered as soon as it is accepted, in the order in which they came, so
that what is measured after a freeze is the freeze and not the server.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nfine\n"


@dataclass(frozen=True, slots=True)
class Freezing:
    """A running server."""

    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def freezes(self) -> list[tuple[float, float]]:
        """Begin and end of each freeze, on the wall clock."""
        return [(began, ended) for began, ended in map(json.loads, self.log.read_text().splitlines())]


@contextmanager
def freezing(folder: Path, freeze_s: float, every_s: float) -> Iterator[Freezing]:
    """Run the server for the length of a `with` block."""
    folder.mkdir(parents=True, exist_ok=True)
    argv = [sys.executable, "-m", "benchmarks._freezing", str(folder / "freezes.jsonl"), str(freeze_s), str(every_s)]
    with subprocess.Popen(
        argv, cwd=Path(__file__).parents[1], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Freezing(int(process.stdout.readline()), folder / "freezes.jsonl")
        finally:
            process.kill()


def serve(log: Path, freeze_s: float, every_s: float) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    print(listener.getsockname()[1], flush=True)
    freeze_at_s = time.monotonic() + every_s - freeze_s
    with log.open("w", encoding="utf-8") as told:
        while True:
            left_s = freeze_at_s - time.monotonic()
            if left_s <= 0:
                began = time.time()
                time.sleep(freeze_s)
                told.write(json.dumps([began, time.time()]) + "\n")
                told.flush()
                freeze_at_s += every_s
                continue
            for key, _ in selector.select(left_s):
                if key.fileobj is listener:
                    accept(listener, selector)
                else:
                    answer(key.fileobj, selector)  # type: ignore[arg-type]


def accept(listener: socket.socket, selector: selectors.BaseSelector) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except BlockingIOError:
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        answer(connection, selector)


def answer(connection: socket.socket, selector: selectors.BaseSelector) -> None:
    try:
        asked = connection.recv(65536)
    except BlockingIOError:
        return
    except OSError:
        asked = b""
    if not asked:
        selector.unregister(connection)
        connection.close()
        return
    connection.sendall(ANSWER * asked.count(b"\r\n\r\n"))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
