"""Asks instances whether they are ready, over the endpoints that everybody may ask."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from readiness.nexus import plain_http, registry
from readiness.nexus.errors import NexusError
from readiness.nexus.fleet import Placed
from readiness.nexus.settings import Settings

if TYPE_CHECKING:
    import httpx

EVERY_S = 0.15
ANSWER_WITHIN_S = 3.0


def await_ready(settings: Settings, instances: Iterable[Placed], within_s: float, path: str = "") -> None:
    """Wait until all instances answer 200 on their readiness path; raises NexusError that names those that do not."""
    missing = list(instances)
    path = path or settings.names.paths.ready
    deadline = time.monotonic() + within_s
    with plain_http.client(ANSWER_WITHIN_S) as http:
        while missing := [instance for instance in missing if not _answers(http, settings, instance, path)]:
            if time.monotonic() > deadline:
                names = ", ".join(sorted(instance.name for instance in missing))
                raise NexusError(f"not ready within {within_s:.0f} s: {names}; see {settings.home / 'log'}")
            time.sleep(EVERY_S)


def is_ready(settings: Settings, instances: Iterable[Placed]) -> bool:
    """Say whether all instances are ready now."""
    with plain_http.client(ANSWER_WITHIN_S) as http:
        return all(_answers(http, settings, instance, settings.names.paths.ready) for instance in instances)


def _answers(http: httpx.Client, settings: Settings, instance: Placed, path: str) -> bool:
    # Imported by those alone who ask: a `status` asks nobody, and this is a tenth of its time.
    import httpx

    for entry in registry.lookup(settings, instance.service):
        if entry.name == instance.name:
            try:
                return http.get(entry.url + path).status_code == 200
            except httpx.HTTPError:
                return False
    return False
