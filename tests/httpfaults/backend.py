"""A small real HTTP backend that remembers what reached it, and does what a path asks for."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

DOCUMENT = {"choices": [{"message": {"role": "assistant", "content": "four"}}], "usage": {"tokens": 7}}


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Backend

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._take(b"")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._take(body)

    def _take(self, body: bytes) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.server.lock:
            self.server.seen.append(Seen(self.command, self.path, headers, body))
        kind = self.path.partition("?")[0].strip("/").split("/")[0]
        if kind == "chunked":
            self._chunks([b"one,", b"two,", b"three"], "text/plain")
        elif kind == "events":
            self._chunks([b"data: %d\n\n" % n for n in range(5)], "text/event-stream")
        elif kind == "until-end":
            self.close_connection = True
            self._head(200, {"Connection": "close"})
            self.wfile.write(b"until the end")
        elif kind == "nothing":
            self._head(204, {})
        elif kind == "large":
            self._whole(b"x" * 300_000)
        elif kind == "echo":
            self._whole(json.dumps({"name": self.server.name, "body": body.decode()}).encode())
        else:
            self._whole(json.dumps(DOCUMENT).encode())

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _whole(self, content: bytes) -> None:
        self._head(200, {"Content-Type": "application/json", "Content-Length": str(len(content))})
        if self.command != "HEAD":
            self.wfile.write(content)

    def _chunks(self, pieces: list[bytes], kind: str) -> None:
        self._head(200, {"Content-Type": kind, "Transfer-Encoding": "chunked"})
        if self.command == "HEAD":
            return
        for piece in pieces:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")


class Backend(ThreadingHTTPServer):
    """Serves until closed; `seen` is what has arrived, in order."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name: str = "first") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.name = name
        self.seen: list[Seen] = []
        self.lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def paths(self) -> list[str]:
        return [one.path for one in self.seen]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
