"""A tiny system under load, in a process of its own: it can be slow, freeze, shed, fail and hang, and knows the truth.

`GET /` answers at once (after `delay_s`). `POST /jobs` accepts a job that is done `work_s` later, `GET /jobs/<id>`
tells its state. `POST /control` changes what it does: `delay_s`, `work_s`, `status` (of every answer), `retry_after`,
`hang` (nothing is answered any more), `freeze_s` every `every_s` (the whole process stands still). `GET /log` tells how
many requests came, which markers, and when it stood still.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import time
from typing import Any

DEFAULTS: dict[str, Any] = {
    "delay_s": 0.0,
    "work_s": 0.05,
    "status": 200,
    "retry_after": False,
    "hang": False,
    "freeze_s": 0.0,
    "every_s": 10.0,
}


class System:
    """The state that all connections share."""

    def __init__(self) -> None:
        self.does = dict(DEFAULTS)
        self.requests = 0
        self.connections = 0
        self.jobs: dict[str, tuple[float, str]] = {}
        self.headers: dict[str, str] = {}
        self.freezes: list[tuple[float, float]] = []

    def control(self, change: dict[str, Any]) -> None:
        self.does.update(change)
        if change.get("freeze_s"):
            asyncio.get_running_loop().call_later(self.does["every_s"] - self.does["freeze_s"], self._freeze)

    def _freeze(self) -> None:
        if not self.does["freeze_s"]:
            return
        asyncio.get_running_loop().call_later(self.does["every_s"], self._freeze)
        began = time.time()
        time.sleep(self.does["freeze_s"])
        self.freezes.append((began, time.time()))

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        if path == "/log":
            markers = [marker for _, marker in self.jobs.values()]
            return 200, {
                "requests": self.requests,
                "connections": self.connections,
                "markers": markers,
                "headers": self.headers,
                "freezes": self.freezes,
            }
        self.requests += 1
        if self.does["status"] != 200:
            return int(self.does["status"]), {"error": "not now"}
        if method == "POST":
            job = f"job-{len(self.jobs)}"
            self.jobs[job] = (time.monotonic(), json.loads(body)["input"])
            return 202, {"id": job}
        if path.startswith("/jobs/"):
            since_s, marker = self.jobs[path.removeprefix("/jobs/")]
            done = time.monotonic() - since_s >= self.does["work_s"]
            return 200, {"status": "done" if done else "running", "output": marker, "effects": 1}
        return 200, {"fine": True}


class Connection(asyncio.Protocol):
    """One connection; its requests are answered in their order."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.pending = b""
        self.last = False
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.system.connections += 1

    def data_received(self, data: bytes) -> None:
        self.pending += data
        while b"\r\n\r\n" in self.pending:
            head, _, rest = self.pending.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}
            length = int(headers.get("content-length", "0"))
            if len(rest) < length:
                return
            self.pending = rest[length:]
            self.request(first, headers, rest[:length])

    def request(self, first: str, headers: dict[str, str], body: bytes) -> None:
        method, path, _ = first.split(" ", 2)
        self.last = headers.get("connection") == "close"
        if path == "/control":
            self.system.control(json.loads(body))
            self.reply(200, {})
            return
        if path != "/log":
            self.system.headers = headers
            if self.system.does["hang"]:
                self.system.requests += 1
                return
        status, told = self.system.answer(method, path, body)
        if delay_s := self.system.does["delay_s"] if path != "/log" else 0.0:
            asyncio.get_running_loop().call_later(delay_s, self.reply, status, told)
        else:
            self.reply(status, told)

    def reply(self, status: int, told: Any) -> None:
        body = json.dumps(told).encode()
        more = "Retry-After: 1\r\n" if self.system.does["retry_after"] else ""
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        if not self.transport.is_closing():
            self.transport.write(head.encode() + body)
            if self.last:
                self.transport.close()


def tls(folder: str) -> ssl.SSLContext:
    """Ask for a client certificate of the folder's CA."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{folder}/ca.pem")
    context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def main() -> None:
    system = System()
    context = tls(sys.argv[1]) if len(sys.argv) > 1 else None
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(system), "127.0.0.1", 0, backlog=2048, ssl=context
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # ends with whoever started it


if __name__ == "__main__":
    asyncio.run(main())
