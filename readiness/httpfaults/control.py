"""The control API: proxies and faults as JSON over HTTP."""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote, urlsplit

import h11

from readiness.httpfaults.faults import Faults
from readiness.httpfaults.proxy import Proxy
from readiness.httpfaults.specification import Invalid, Rule, checked, specification

NAME = "readiness-httpfaults"
VERSION = "1"
_BODY_BYTES = 1024 * 1024
_PROXY = {
    "listen": Rule("a loopback address, as in 127.0.0.1:0", lambda value: isinstance(value, str)),
    "upstream": Rule("http://HOST:PORT", lambda value: isinstance(value, str), needed=True),
}
_ROUTES = "GET /version, GET /traffic, GET /proxies, PUT|DELETE /proxies/NAME, GET /faults, PUT|DELETE /faults/ID"


class Control:
    """All proxies and faults of one server, and what may be asked of them."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.proxies: dict[str, Proxy] = {}
        self._changing = asyncio.Lock()

    async def answer(self, method: str, path: str, body: bytes) -> Any:
        """Do what one request asks; raises `Invalid`."""
        what, _, name = path.strip("/").partition("/")
        name = unquote(name)
        if method == "GET" and not name:
            looks: dict[str, Callable[[], Any]] = {
                "version": lambda: {"name": NAME, "version": VERSION},
                "traffic": lambda: {name: proxy.traffic() for name, proxy in self.proxies.items()},
                "proxies": lambda: [proxy.data() for proxy in self.proxies.values()],
                "faults": lambda: [fault.data() for fault in self.faults.all()],
            }
            if what in looks:
                return looks[what]()
        acts: dict[tuple[str, str], Callable[[str, Any], Awaitable[Any]]] = {
            ("PUT", "proxies"): self._put_proxy,
            ("DELETE", "proxies"): self._delete_proxy,
            ("PUT", "faults"): self._put_fault,
            ("DELETE", "faults"): self._delete_fault,
        }
        act = acts.get((method, what))
        if act is None or not name:
            raise Invalid(f"{method} {path} is not there; allowed: {_ROUTES}", 404)
        async with self._changing:
            return await act(name, _json(body) if method == "PUT" else None)

    async def close(self) -> None:
        """Lift every fault and end every proxy."""
        for fault in list(self.faults.all()):
            self.faults.lift(fault.spec.id)
        for proxy in self.proxies.values():
            await proxy.close()

    async def _put_proxy(self, name: str, data: Any) -> Any:
        where = f"proxy {name!r}"
        given = checked(where, data, _PROXY)
        upstream = _upstream(where, given["upstream"])
        host, port = _listen(where, given.get("listen", "127.0.0.1:0"))
        proxy = self.proxies.get(name)
        if proxy is not None:
            if port not in (0, proxy.listen[1]):
                raise Invalid(f"{where}: it listens on port {proxy.listen[1]}, not {port}; delete it first", 409)
            proxy.upstream = upstream
            return proxy.data()
        proxy = Proxy(name, upstream, self.faults)
        try:
            await proxy.open(host, port)
        except OSError as error:
            reason = (error.strerror or "it cannot be had").lower()
            raise Invalid(f"{where}: listen is {host}:{port}: {reason}; give a free port, or 0", 409) from error
        self.proxies[name] = proxy
        return proxy.data()

    async def _delete_proxy(self, name: str, _: Any) -> Any:
        proxy = self.proxies.pop(name, None)
        if proxy is not None:
            await proxy.close()
        return {"name": name}

    async def _put_fault(self, name: str, data: Any) -> Any:
        spec = specification(name, data)
        known = self.faults.get(name)
        if known is not None:
            if known.spec != spec:
                raise Invalid(f"fault {name!r}: it is in force with other values; delete it first", 409)
            return known.data()
        fault = self.faults.add(spec)
        if not any(fault.stands_on(proxy) for proxy in self.proxies):
            self.faults.lift(name)
            there = ", ".join(self.proxies) or "none"
            raise Invalid(f"fault {name!r}: no proxy is called {' or '.join(spec.proxies)}; there are: {there}", 404)
        return fault.data()

    async def _delete_fault(self, name: str, _: Any) -> Any:
        return self.faults.lift(name)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Invalid("the body is no JSON; give an object") from error


def _upstream(where: str, text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(text)
        if parts.scheme == "http" and parts.hostname and parts.port and parts.path in ("", "/") and not parts.query:
            return parts.hostname, parts.port
    except ValueError:
        pass
    # What stands before an @ may be a password: it is not repeated.
    raise Invalid(f"{where}: upstream is {text.rpartition('@')[2][:60]!r}; allowed: http://HOST:PORT")


def _listen(where: str, text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if port.isdecimal() and int(port) < 65536 and loopback(host):
        return host, int(port)
    raise Invalid(f"{where}: listen is {text[:60]!r}; allowed: a loopback address, as in 127.0.0.1:0")


def loopback(host: str) -> bool:
    """Whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def serve(control: Control, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection to the control API."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=64 * 1024)
    try:
        while (request := await _next(connection, reader)) is not None:
            status, data = await _answered(control, *request)
            content = json.dumps(data).encode()
            head = [("Content-Type", "application/json"), ("Content-Length", str(len(content)))]
            for event in (h11.Response(status_code=status, headers=head), h11.Data(data=content), h11.EndOfMessage()):
                writer.write(connection.send(event) or b"")
            await writer.drain()
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                break
            connection.start_next_cycle()
    except (h11.ProtocolError, OSError, asyncio.CancelledError):
        # Cancelled only when the server ends; a task that says so makes asyncio's streams of Python 3.11 complain.
        pass
    finally:
        writer.close()


async def _next(connection: h11.Connection, reader: asyncio.StreamReader) -> tuple[str, str, bytes] | None:
    method = path = ""
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(64 * 1024))
        elif isinstance(event, h11.Request):
            method, path = event.method.decode("latin-1"), event.target.decode("latin-1")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _BODY_BYTES:
                return None
        elif isinstance(event, h11.EndOfMessage):
            return method, path, bytes(body)
        else:
            return None


async def _answered(control: Control, method: str, path: str, body: bytes) -> tuple[int, Any]:
    try:
        return 200, await control.answer(method, path, body)
    except Invalid as error:
        return error.status, {"error": str(error)}
