"""What happens to every request at the gateway: which release serves it, how many are allowed, and its record."""

from __future__ import annotations

import json
import math
import random
import time
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from readiness.nexus import store, telemetry
from readiness.nexus.access import INTERNAL, Tokens, bearer
from readiness.nexus.releases import RELEASES
from readiness.nexus.seeds import CONFIGURATION
from readiness.nexus.settings import Settings

CACHED_FOR_S = 0.25


class Table:
    """The weights and the configuration as the database has them, read again every quarter of a second."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._engine = engine
        self._read_at = 0.0
        self._weights = {settings.initial_release: 100}
        self._configuration: dict[str, Any] = dict(CONFIGURATION)

    def release(self) -> str:
        """Draws the release for one request by the weights."""
        self._refresh()
        return random.choices(list(self._weights), list(self._weights.values()))[0]

    def limit(self, key: str) -> float:
        """Returns a number of the configuration."""
        self._refresh()
        return float(self._configuration[key])

    def _refresh(self) -> None:
        if time.monotonic() - self._read_at < CACHED_FOR_S:
            return
        try:
            with store.reading(self._engine) as db:
                weights = db.execute(select(store.weights.c.release, store.weights.c.percent)).all()
                stored = db.execute(select(store.configuration.c.key, store.configuration.c.value)).all()
        except SQLAlchemyError:
            # During a migration the last known table is better than none.
            return
        self._weights = {row.release: row.percent for row in weights if row.percent > 0} or self._weights
        self._configuration = CONFIGURATION | {row.key: json.loads(row.value) for row in stored}
        self._read_at = time.monotonic()


class Buckets:
    """A token bucket for each holder of a token."""

    def __init__(self) -> None:
        self._levels: dict[str, tuple[float, float]] = {}

    def wait_s(self, holder: str, rate_per_s: float, burst: float) -> float:
        """Takes one request out; returns 0, or the seconds until the next one is allowed."""
        now = time.monotonic()
        level, at = self._levels.get(holder, (burst, now))
        level = min(burst, level + (now - at) * rate_per_s)
        allowed = level >= 1
        self._levels[holder] = (level - 1 if allowed else level, now)
        return 0.0 if allowed else (1 - level) / rate_per_s


class Edge:
    """The outermost layer of the gateway: release by weight or pin, access record, metrics."""

    def __init__(self, app: ASGIApp, settings: Settings, table: Table, metrics: telemetry.Metrics) -> None:
        self.app = app
        self._settings, self._table, self._metrics = settings, table, metrics
        self._tokens = Tokens(settings)
        self._log = telemetry.logger("access")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; probes of the platform and scrapes are nobody's traffic."""
        paths = self._settings.names.paths
        if scope["type"] != "http" or scope["path"] in (paths.live, paths.ready, paths.version, paths.metrics):
            await self.app(scope, receive, send)
            return
        started, status = time.monotonic(), 500
        holder, release = self._whose_and_where(Headers(scope=scope))
        scope["state"] = {**scope.get("state", {}), "holder": holder, "release": release}

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[self._settings.names.headers.release] = release
            await send(message)

        try:
            await self.app(scope, receive, answer)
        finally:
            elapsed_s = time.monotonic() - started
            self._metrics.requests.labels(str(status)).inc()
            self._metrics.request_seconds.observe(elapsed_s)
            self._log.info(
                "request.served",
                method=scope["method"],
                path=scope["path"],
                status=status,
                by=holder,
                for_release=release,
                elapsed_ms=round(elapsed_s * 1000, 1),
            )

    def _whose_and_where(self, given: Headers) -> tuple[str | None, str]:
        holder = self._tokens.holder_of(bearer(given.get("Authorization")))
        pin = given.get(self._settings.names.headers.release_pin)
        if holder == INTERNAL and pin in RELEASES:
            return holder, str(pin)
        return holder, self._table.release()


class RateLimit:
    """Refuses what a holder of a token asks beyond the configured rate, with the time to wait."""

    def __init__(self, app: ASGIApp, table: Table) -> None:
        self.app = app
        self._table, self._buckets = table, Buckets()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request; what carries no token shares one bucket."""
        if scope["type"] == "http" and "holder" in scope.get("state", {}):
            rate_per_s = max(self._table.limit("rate_limit_per_s"), 0.001)
            burst = self._table.limit("rate_limit_burst")
            wait_s = self._buckets.wait_s(scope["state"]["holder"] or "anonymous", rate_per_s, burst)
            if wait_s > 0:
                headers = {"Retry-After": str(math.ceil(wait_s))}
                await JSONResponse({"error": "too many requests"}, 429, headers)(scope, receive, send)
                return
        await self.app(scope, receive, send)
