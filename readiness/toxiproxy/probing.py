"""One HTTP request over a connection of its own, and what really happened to it on the way."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

import h11

from readiness.waiting import Deadline

READ_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Address:
    """Where a TCP port is."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str, instead_of_any: str = "127.0.0.1") -> Address:
        """Read `host:port`; a port that listens on every address is reached at the given host."""
        host, _, port = text.rpartition(":")
        host = host.strip("[]")
        return cls(instead_of_any if host in ("", "0.0.0.0", "::") else host, int(port))

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Probe:
    """What one request met."""

    ending: str
    """`whole`, `refused`, `reset`, `closed` (before the answer was whole), `silent` (no byte in time),
    `unfinished` (bytes, but not all in time), `unreachable` (no such host, no route) or `garbled` (not HTTP)."""
    sent_bytes: int = 0
    received_bytes: int = 0
    first_byte_s: float = 0.0
    """From the request to the first byte of the answer."""
    ended_s: float = 0.0
    """From the request to the end."""
    status: int = 0

    @property
    def whole(self) -> bool:
        """Whether a whole answer came."""
        return self.ending == "whole"


def probe(address: Address, path: str, within_s: float) -> Probe:
    """GET a path there over a fresh connection, for at most that long."""
    deadline = Deadline.after(within_s)
    try:
        sock = socket.create_connection((address.host, address.port), timeout=within_s)
    except ConnectionRefusedError:
        return Probe("refused")
    except ConnectionResetError:
        return Probe("reset")
    except TimeoutError:
        return Probe("unreachable")
    except OSError:
        return Probe("unreachable")
    with sock:
        return _Exchange(sock, deadline).run(f"{address}", path)


class _Exchange:
    """A request on its way: what was sent and received so far."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._http = h11.Connection(h11.CLIENT)
        self._began = time.monotonic()
        self._sent = self._received = self._status = 0
        self._first_s = 0.0

    def run(self, host: str, path: str) -> Probe:
        """Send the request and take the answer; the server is not asked to close: that would end a silence."""
        headers = [("Host", host), ("User-Agent", "nexus-readiness")]
        request = h11.Request(method="GET", target=path, headers=headers)
        data = (self._http.send(request) or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        try:
            self._sock.sendall(data)
            self._sent = len(data)
            return self._end(self._receive())
        except TimeoutError:
            return self._end("unfinished" if self._received else "silent")
        except (ConnectionResetError, BrokenPipeError):
            return self._end("reset")
        except OSError:
            return self._end("unreachable")

    def _receive(self) -> str:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError:
                return "closed" if self._http.trailing_data[1] else "garbled"
            if isinstance(event, h11.Response):
                self._status = event.status_code
            elif isinstance(event, h11.EndOfMessage):
                return "whole"
            elif isinstance(event, h11.ConnectionClosed):
                return "closed"
            elif event is h11.NEED_DATA:
                self._read()

    def _read(self) -> None:
        if self._deadline.expired:
            raise TimeoutError
        self._sock.settimeout(max(0.001, self._deadline.left_s))
        data = self._sock.recv(READ_BYTES)
        if data and not self._received:
            self._first_s = time.monotonic() - self._began
        self._received += len(data)
        self._http.receive_data(data)

    def _end(self, ending: str) -> Probe:
        ended_s = time.monotonic() - self._began
        return Probe(ending, self._sent, self._received, self._first_s, ended_s, self._status)
