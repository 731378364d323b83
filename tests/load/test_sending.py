"""What an answer is told to be, whatever comes over the connection; sent from a process that Locust may patch."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping

import pytest

ASK = """
import sys
from readiness.load.child.sending import Origin
origin = Origin(sys.argv[1], None, True)
for path in sys.argv[2:]:
    request = f"GET /{path} HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n".encode()
    reply = origin.exchange("GET", request, 1.0)
    print("reply", reply.status, reply.body.decode()[:20], reply.error, reply.at_s > 0, sep="|", flush=True)
"""
ANSWERS: Mapping[str, list[bytes]] = {
    "length": [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"],
    "pieces": [b"HTTP/1.1 2", b"00 OK\r\nContent-Le", b"ngth: 4\r\n\r\nfi", b"ne"],
    "chunked": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n", b"2\r\nne\r\n0\r\n\r\n"],
    "interim": [b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"],
    "until-end": [b"HTTP/1.1 200 OK\r\n\r\nfine", b""],
    "cut": [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfine", b""],
    "nothing": [b""],
    "noise": [b"SSH-2.0-OpenSSH_9.2\r\n"],
    "silence": [],
    "endless": [b"HTTP/1.1 200 OK\r\nContent-Length: 9000000\r\n\r\n", b"x" * 9_000_000],
}
"""Path → what is written to the connection, piece by piece; an empty piece closes it."""
TOLD = {
    "length": "200|fine||True",
    "pieces": "200|fine||True",
    "chunked": "200|fine||True",
    "interim": "200|fine||True",
    "until-end": "200|fine||True",
    "cut": "200||the connection was closed within the answer|False",
    "nothing": "0||the connection was closed before the answer|False",
    "noise": "0||the answer is no HTTP|False",
    "silence": "0||no answer in time|False",
    "endless": "200||the answer is longer than 8 MiB|False",
}


def answer(connection: socket.socket) -> None:
    with connection, contextlib.suppress(OSError):  # the other side may be gone
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while asked := connection.recv(65536):
            for piece in ANSWERS[asked.split(b" ", 2)[1].decode()[1:]]:
                if not piece:
                    return
                connection.sendall(piece)


@pytest.fixture
def address() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                connection.settimeout(30)
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        thread.join()


def test_every_kind_of_answer_is_told_in_one_line_and_the_next_request_is_sent(address: str) -> None:
    argv = [sys.executable, "-c", ASK, address, *ANSWERS, *ANSWERS]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    replies = [line.removeprefix("reply|") for line in done.stdout.splitlines() if line.startswith("reply|")]
    assert dict(zip(ANSWERS, replies, strict=False)) == TOLD, done.stderr
    assert replies == [*TOLD.values(), *TOLD.values()]
