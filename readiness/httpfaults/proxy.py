"""One proxy: an address where callers connect, and where their requests go."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from readiness.httpfaults.exchange import Exchange
from readiness.httpfaults.faults import Faults
from readiness.httpfaults.messages import Request
from readiness.httpfaults.spoiling import TREATMENTS
from readiness.httpfaults.wire import Lost, Unreadable, Wire

PATHS_MAX = 1000
OTHER_PATHS = "other"


class Proxy:
    """Takes requests at one address and sends them on; changing `upstream` affects the next request."""

    def __init__(self, name: str, upstream: tuple[str, int], faults: Faults) -> None:
        self.name = name
        self.upstream = upstream
        self.listen: tuple[str, int] = ("", 0)
        self.requests = 0
        self.by_path: Counter[str] = Counter()
        self.unreadable = 0
        self._faults = faults
        self._server: asyncio.Server | None = None
        self._serving: dict[asyncio.Task[None], Exchange] = {}

    async def open(self, host: str, port: int) -> None:
        """Listen; raises OSError where that cannot be."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Wire(self._begun), host, port, backlog=512)
        self.listen = self._server.sockets[0].getsockname()[:2]

    async def close(self) -> None:
        """Listen no more and end every connection."""
        if self._server is not None:
            self._server.close()
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving)

    def data(self) -> dict[str, Any]:
        """Give it as the API shows it."""
        return {"name": self.name, "listen": _address(self.listen), "upstream": f"http://{_address(self.upstream)}"}

    def traffic(self) -> dict[str, Any]:
        """Give what was asked of it since it is there."""
        return {"requests": self.requests, "unreadable": self.unreadable, "by_path": dict(self.by_path)}

    def _begun(self, caller: Wire) -> None:
        exchange = Exchange(caller, self)
        task = asyncio.get_running_loop().create_task(self._serve(exchange))
        self._serving[task] = exchange
        task.add_done_callback(self._serving.pop)

    async def _serve(self, exchange: Exchange) -> None:
        caller = exchange.caller
        try:
            while not exchange.spent and (raw := await caller.head()) is not None:
                exchange.answering = True
                if not await self._treat(exchange, Request(raw, caller)):
                    break
                exchange.answering = False
        except Lost:
            pass
        except Unreadable:
            self.unreadable += 1
        finally:
            exchange.end()

    async def _treat(self, exchange: Exchange, request: Request) -> bool:
        self._count(request)
        strike = self._faults.choose(self.name, request.method, request.path)
        if strike is None:
            return await exchange.forward(request)
        try:
            return await TREATMENTS[strike.fault.spec.kind](exchange, request, strike)
        finally:
            strike.over()

    def _count(self, request: Request) -> None:
        self.requests += 1
        key = f"{request.method} {request.path}"
        self.by_path[key if key in self.by_path or len(self.by_path) < PATHS_MAX else OTHER_PATHS] += 1


def _address(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
