"""The two servers that the contract is kept by, and a small HTTP backend behind their proxies."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from readiness.waiting import eventually

WITHIN_S = 30.0
SMALL = b"x" * 400
LARGE = b"y" * 200_000


class Backend:
    """A backend that answers every GET: 400 bytes, 200,000 at `/large`, and all that it read of a POST, counted."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop to listen."""
        self._open = False
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while self._open:
            try:
                taken, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(taken,), daemon=True).start()

    def _serve(self, taken: socket.socket) -> None:
        with taken, suppress(OSError):
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            buffered = b""
            while data := taken.recv(65536):
                buffered += data
                if b"\r\n\r\n" in buffered:
                    head, _, buffered = buffered.partition(b"\r\n\r\n")
                    body = LARGE if b" /large " in head else SMALL
                    taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


class Echo(Backend):
    """A backend that gives back every byte as it comes."""

    def _serve(self, taken: socket.socket) -> None:
        with taken, suppress(OSError):
            taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := taken.recv(65536):
                taken.sendall(data)


def answers(url: str) -> bool:
    """Whether a server of the API is there."""
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/version", timeout=2.0, verify=False).is_success
    return False


def free_port() -> int:
    """Give a port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as probing:
        return int(probing.getsockname()[1])


@contextmanager
def started(argv: list[str], url: str) -> Iterator[str]:
    """Run a server until the end of the block."""
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: answers(url), within=WITHIN_S)
        yield url
    finally:
        process.terminate()
        try:
            process.wait(WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def real() -> Iterator[str]:
    """Give the real server: the one in the environment, or one that is started from PATH."""
    if url := os.environ.get("TOXIPROXY_URL"):
        yield url.rstrip("/")
        return
    program = shutil.which("toxiproxy-server")
    assert program is not None
    port = free_port()
    with started([program, "-host", "127.0.0.1", "-port", str(port)], f"http://127.0.0.1:{port}") as url:
        yield url


@contextmanager
def embedded(folder: Path) -> Iterator[str]:
    """Give the embedded server, at a port that it chooses itself."""
    ready = folder / "toxiproxy.address"
    argv = [sys.executable, "-m", "readiness.toxiproxy.server", "--port", "0", "--ready-file", str(ready)]
    process = subprocess.Popen(argv)
    try:
        eventually(ready.exists, within=WITHIN_S)
        yield f"http://{ready.read_text(encoding='utf-8').strip()}"
    finally:
        process.terminate()
        assert process.wait(WITHIN_S) == 0


class Wire:
    """A plain TCP connection to a proxy, with what came over it and when."""

    def __init__(self, listen: str) -> None:
        host, _, port = listen.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=WITHIN_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: str = "/small") -> tuple[float, float, int]:
        """GET, and give the seconds to the first byte, to the end, and how many bytes of the body came."""
        self.send(b"GET %s HTTP/1.1\r\nHost: test\r\n\r\n" % path.encode())
        began = time.monotonic()
        data = self.socket.recv(65536)
        first_s = time.monotonic() - began
        while b"\r\n\r\n" not in data and (more := self.socket.recv(65536)):
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.rpartition(b"Content-Length: ")[2] or 0)
        got = len(body)
        while got < length and (more := self.socket.recv(65536)):
            got += len(more)
        return first_s, time.monotonic() - began, got

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def receive(self, size: int = 65536) -> bytes:
        """Give the next bytes; none at the end."""
        return self.socket.recv(size)

    def silent(self, for_s: float) -> bool:
        """Whether nothing comes for that long, neither a byte nor the end."""
        self.socket.settimeout(for_s)
        try:
            self.socket.recv(1)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(WITHIN_S)
        return False

    def close(self) -> None:
        """Close it."""
        self.socket.close()


def reset_or_end(wire: Wire) -> str:
    """Tell how a connection ends: `reset`, or `end`."""
    try:
        while wire.receive():
            pass
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
    return "end"
