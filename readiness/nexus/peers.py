"""Calls between the services: find an instance, call it, and try another when it is gone."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx

from readiness.nexus import links, plain_http, registry
from readiness.nexus.settings import Settings

PATIENCE_S = 15.0
"""How long a call waits for a service that is being restarted; a restart may take 5 s."""
FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 1.0
DEAD_AFTER = 5


class Unreachable(Exception):
    """No instance of a service answered in time."""


class Peers:
    """An HTTP client that addresses services by name and outlives their restarts; calls must be idempotent."""

    def __init__(self, settings: Settings, caller: str) -> None:
        self._settings, self._caller = settings, caller
        self._authorization = {"Authorization": f"Bearer {settings.secret('internal.token')}"}
        self._client = plain_http.async_client(10.0)
        self._lost_in_a_row: Counter[str] = Counter()

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def call(
        self,
        service: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        answer_within_s: float = 10.0,
        patience_s: float = PATIENCE_S,
    ) -> httpx.Response:
        """Calls a service (POST with a body, else GET); raises Unreachable when nobody answers in time.

        A 503 means that the instance is going or coming and is tried again like a lost connection.
        """
        deadline = time.monotonic() + patience_s
        pause_s, cause = FIRST_PAUSE_S, "no instance is announced"
        while True:
            if self._takes_for_dead(service):
                raise Unreachable(f"{service} is dead")
            for instance in self._in_any_order(service):
                try:
                    answer = await self._send(f"{instance.url}{path}", body, headers, answer_within_s)
                except httpx.TransportError as error:
                    cause = f"{instance.name}: {type(error).__name__}"
                    self._lost_in_a_row[service] += 1
                    continue
                if not self._takes_for_dead(service):
                    self._lost_in_a_row[service] = 0
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or service == "provider":
                    return answer
                cause = f"{instance.name}: 503"
            if time.monotonic() + pause_s > deadline:
                raise Unreachable(f"{service} does not answer ({cause})")
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def answers(self, service: str) -> bool:
        """Tells whether some instance of a service says that it is ready."""
        try:
            answer = await self.call(service, self._settings.names.paths.ready, patience_s=0, answer_within_s=2)
        except Unreachable:
            return False
        return answer.status_code == httpx.codes.OK

    def _takes_for_dead(self, service: str) -> bool:
        gives_up = self._caller == "gateway" and self._settings.defects.on("gateway-gives-up")
        return gives_up and self._lost_in_a_row[service] >= DEAD_AFTER

    def _in_any_order(self, service: str) -> list[registry.Instance]:
        instances = links.lookup(self._settings, self._caller, service)
        return random.sample(instances, len(instances))

    async def _send(
        self,
        url: str,
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        answer_within_s: float,
    ) -> httpx.Response:
        return await self._client.request(
            "GET" if body is None else "POST",
            url,
            json=body,
            headers=self._authorization | dict(headers or {}),
            timeout=answer_within_s,
        )
