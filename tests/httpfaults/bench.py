"""What a test of the fault proxy has in hand."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Any

import h11
import httpx

from readiness.httpfaults.client import HttpFaultsDoer
from tests.httpfaults.backend import Backend


@dataclass
class Bench:
    """A server of faults with one proxy, the backend behind it and a caller before it."""

    server: str
    listen: str
    control: httpx.Client
    caller: httpx.Client
    backend: Backend

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.listen.rpartition(":")
        return host, int(port)

    @property
    def doer(self) -> HttpFaultsDoer:
        return HttpFaultsDoer(self.server)

    def fault(self, kind: str, arguments: dict[str, Any] | None = None, *, name: str = "f", **more: Any) -> None:
        data = {"proxies": ["link"], "kind": kind, "arguments": arguments or {}, "lifetime_s": 600, **more}
        answer = self.control.put(f"/faults/{name}", json=data)
        assert answer.status_code == 200, answer.text

    def counters(self, name: str = "f") -> tuple[int, int]:
        """Seen and hit."""
        one = next(one for one in self.control.get("/faults").json() if one["id"] == name)
        return one["seen"], one["hit"]

    def lift(self, name: str = "f") -> tuple[int, int]:
        one = self.control.delete(f"/faults/{name}").json()
        return one["seen"], one["hit"]

    def connect(self) -> Line:
        return Line(socket.create_connection(self.address, timeout=20))


class Line:
    """One connection whose answers are read by h11, so that whatever is not HTTP shows."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._h11 = h11.Connection(h11.CLIENT)

    def begin(self, method: str = "GET", path: str = "/", body: bytes | None = None, **headers: str) -> None:
        fields = [("Host", "test"), *((name.replace("_", "-"), value) for name, value in headers.items())]
        if body is not None:
            fields.append(("Content-Length", str(len(body))))
        sent = self._h11.send(h11.Request(method=method, target=path, headers=fields)) or b""
        if body:
            sent += self._h11.send(h11.Data(data=body)) or b""
        self.socket.sendall(sent + (self._h11.send(h11.EndOfMessage()) or b""))

    def answer(self) -> tuple[int, bytes]:
        """Read one whole answer; raises h11.RemoteProtocolError where the connection ends before its end."""
        status, body = 0, b""
        while True:
            event = self._h11.next_event()
            if event is h11.NEED_DATA:
                self._h11.receive_data(self.socket.recv(65536))
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
                    self._h11.start_next_cycle()
                return status, body
            elif isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("closed without an answer")

    def ask(self, method: str = "GET", path: str = "/", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        self.begin(method, path, body, **headers)
        return self.answer()

    def ended(self) -> bool:
        """Whether the other side ends the connection without another byte."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self.socket.close()
