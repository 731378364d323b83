"""HTTP for load: requests compiled once, as many connections as there are requests in flight, errors as one line."""

from __future__ import annotations

import socket
import ssl
import time
from collections import deque
from typing import NamedTuple
from urllib.parse import urlsplit

import gevent
from gevent import monkey
from gevent import socket as gsocket
from geventhttpclient.response import HTTPParseError, HTTPResponse

BLOCK_BYTES = 16384
MAX_BODY_BYTES = 8 << 20
BURST_S = 0.0005
CONNECT_S = 5.0
KEPT_S = 1.0
"""How long an idle connection is used again: shorter than usual servers keep one, so that no request meets its end."""
_poll = monkey.get_original("select", "poll")
"""The system's own, which asks without waiting; gevent's would set up a wait for each question."""
_POLLIN = 1
NO_ANSWER, NO_CONNECTION = "no answer in time", "no connection in time"
RESOLVED_S = 5.0
"""How long the answer of the resolver holds."""


class Reply(NamedTuple):
    """What came back: a status and a body, or the error that there was instead (status 0)."""

    status: int
    body: bytes = b""
    error: str = ""
    wait_asked: bool = False
    """Whether the answer has Retry-After."""
    at_s: float = 0.0
    """When its last byte was there, on the monotonic clock; 0 where there was no answer."""

    @property
    def ok(self) -> bool:
        """Whether the status is one of success (2xx)."""
        return 200 <= self.status < 300


class _Answer(HTTPResponse):
    """An answer as it is parsed, with its body."""

    def __init__(self, method: str) -> None:
        super().__init__(method)
        self.body = bytearray()

    @property
    def complete(self) -> bool:
        """Whether all of it was read; an interim answer (1xx) is none."""
        return self.message_complete and self.get_code() >= 200

    def read(self, data: bytes) -> None:
        """Parse the next piece; no data is the end of the connection."""
        try:
            self.feed(data)
        except HTTPParseError:
            if data:
                raise
        if not data and not self.complete:
            raise HTTPParseError("the connection was closed within the answer")

    def _on_body(self, buf: bytearray) -> None:
        self.body += buf


class Origin:
    """One scheme, host and port, and the connections to it.

    There is no bound on connections: waiting for one would be load that is not sent.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | None, keep_alive: bool) -> None:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if secure else 80)
        self._tls = (tls or ssl.create_default_context()) if secure else None
        self._keep_alive = keep_alive
        self._idle: deque[tuple[gsocket.socket, float]] = deque()
        self._resolved: list[tuple[int, tuple[object, ...]]] = []
        self._resolved_at_s = 0.0
        self._stamped_s = 0.0

    def exchange(self, method: str, request: bytes, timeout_s: float) -> Reply:
        """Send a request and read the whole answer; each wait on the network takes at most so many seconds.

        A kept connection that ends before the first byte of an answer was closed by the server while it lay idle: a
        request that may be repeated (GET, HEAD) is sent again, once, on a new one.
        """
        kept = self._take()
        if kept is not None:
            reply = self._once(kept, method, request, timeout_s)
            if reply is not None:
                return reply
            if method not in ("GET", "HEAD"):
                return Reply(0, error="the connection was closed before the answer")
        try:
            fresh = self._connect(min(CONNECT_S, timeout_s))
        except OSError as error:
            return Reply(0, error=kind_of(error, NO_CONNECTION))
        return self._once(fresh, method, request, timeout_s) or Reply(
            0, error="the connection was closed before the answer"
        )

    def close(self) -> None:
        """Close all idle connections."""
        while self._idle:
            self._idle.pop()[0].close()

    def _once(self, sock: gsocket.socket, method: str, request: bytes, timeout_s: float) -> Reply | None:
        """One exchange; None where the connection was found closed."""
        sock.settimeout(timeout_s)
        answer, status, at_s = _Answer(method), 0, 0.0
        try:
            sock.sendall(request)
            while not answer.complete:
                data = sock.recv(BLOCK_BYTES)
                at_s = time.monotonic()
                if not data and not answer.message_begun:
                    sock.close()
                    return None
                self._let_others_stamp(at_s)
                answer.read(data)
                status = answer.get_code() if answer.headers_complete else 0
                if len(answer.body) > MAX_BODY_BYTES:
                    raise HTTPParseError(f"the answer is longer than {MAX_BODY_BYTES >> 20} MiB")
        except (ConnectionResetError, BrokenPipeError) as error:
            sock.close()
            return Reply(status, error=kind_of(error)) if answer.message_begun else None
        except (OSError, HTTPParseError) as error:
            sock.close()
            return Reply(status, error=kind_of(error))
        if self._keep_alive and not answer.should_close():
            self._idle.append((sock, at_s))
        else:
            sock.close()
        asked = status in (429, 503) and answer.get("retry-after") is not None
        return Reply(status, bytes(answer.body), "", asked, at_s)

    def _let_others_stamp(self, at_s: float) -> None:
        """Where answers come in a burst, let all that are there be read before any of them is worked on.

        The loop wakes those that wait in the reverse order of their coming: after a freeze of the system the first one
        would otherwise seem slower by the work on all the others.
        """
        burst = at_s - self._stamped_s < BURST_S
        self._stamped_s = at_s
        if burst:
            gevent.sleep(0)

    def _take(self) -> gsocket.socket | None:
        """Give an idle connection that is still open, the youngest first."""
        oldest_s = time.monotonic() - KEPT_S
        while self._idle:
            sock, since_s = self._idle.pop()
            if since_s >= oldest_s and not _readable(sock):
                return sock
            sock.close()
        return None

    def _connect(self, timeout_s: float) -> gsocket.socket:
        failure: OSError | None = None
        for family, address in self._addresses():
            sock = gsocket.socket(family, socket.SOCK_STREAM)
            try:
                sock.settimeout(timeout_s)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.connect(address)
                return sock if self._tls is None else self._tls.wrap_socket(sock, server_hostname=self._host)
            except OSError as error:
                sock.close()
                failure = failure or error
        raise failure or OSError("the host has no address")

    def _addresses(self) -> list[tuple[int, tuple[object, ...]]]:
        if time.monotonic() - self._resolved_at_s > RESOLVED_S or not self._resolved:
            found = gsocket.getaddrinfo(self._host, self._port, 0, socket.SOCK_STREAM)
            self._resolved = [(one[0], one[4]) for one in found]
            self._resolved_at_s = time.monotonic()
        return self._resolved


def kind_of(error: Exception, timed_out: str = NO_ANSWER) -> str:
    """Say in one line what kind of error it is; equal errors give equal lines."""
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, TimeoutError):
        return timed_out
    if isinstance(error, socket.gaierror):
        return "the name of the host is not known"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"TLS: the certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or type(error).__name__}"
    if isinstance(error, HTTPParseError):
        return str(error) if str(error).startswith("the ") else "the answer is no HTTP"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__


def _readable(sock: gsocket.socket) -> bool:
    """Whether an idle connection has something to read: its end, or what nobody asked for."""
    number = sock.fileno()
    if number < 0:
        return True
    poll = _poll()
    poll.register(number, _POLLIN)
    return bool(poll.poll(0))
