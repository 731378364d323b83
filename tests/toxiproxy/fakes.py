"""A server that answers what a test wants it to, whatever it is asked."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Answer = Callable[[str, str, Any], tuple[int, Any]]
"""Method, path and body give a status and a body: JSON, or bytes as they are."""


@contextmanager
def faked(answer: Answer) -> Iterator[str]:
    """Serve those answers until the end of the block."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            status, told = answer(self.command, self.path, body)
            data = told if isinstance(told, bytes) else json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_DELETE = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Memory:
    """A Toxiproxy in memory with one proxy `p`, whose answers a test may spoil."""

    def __init__(self) -> None:
        self.proxy: dict[str, Any] = {
            "name": "p",
            "listen": "127.0.0.1:1",
            "upstream": "127.0.0.1:2",
            "enabled": True,
            "toxics": [],
        }
        self.asked: list[tuple[str, str]] = []

    def __call__(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        """Answer as Toxiproxy does."""
        self.asked.append((method, path))
        toxics = self.proxy["toxics"]
        if (method, path) == ("GET", "/proxies"):
            return 200, {"p": self.proxy}
        if (method, path) == ("POST", "/proxies/p"):
            self.proxy.update(body)
            return 200, self.proxy
        if (method, path) == ("POST", "/proxies/p/toxics"):
            toxics.append(body)
            return 200, body
        if method == "DELETE" and path.startswith("/proxies/p/toxics/"):
            toxics[:] = [toxic for toxic in toxics if toxic["name"] != path.rpartition("/")[2]]
            return 204, b""
        return 404, {"error": "not found", "status": 404}
