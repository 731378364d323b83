"""Sharing: which work an agent may be given, among the agents of its role."""

from __future__ import annotations

import time

from readiness.nexus import registry
from readiness.nexus.settings import Settings

ANY = "0123456789abcdef"
"""Last digits of the workflows that may be anybody's."""
SEEN_WITHIN_S = 90.0


class Sharing:
    """Shares out by the last digit of the workflow; healthy, whoever asks first may have anything."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._seen: dict[tuple[str, str], dict[str, float]] = {}

    def endings(self, role: str, release: str, instance: str) -> str:
        """Returns the last digits of the workflows whose tasks an instance that asks may be given."""
        if self._settings.defects.on("work-pinned-to-first"):
            first = registry.instance_name(self._settings, role, 1, release)
            standby = first in {entry.name for entry in registry.lookup(self._settings, role)} - {instance}
            return "" if standby else ANY
        if self._settings.defects.on("lease-outlives-agent"):
            seen, now = self._seen.setdefault((role, release), {}), time.monotonic()
            seen[instance] = now
            known = sorted(name for name, at in seen.items() if now - at < SEEN_WITHIN_S)
            return ANY[known.index(instance) :: len(known)]
        return ANY

    def left(self, instance: str) -> None:
        """Takes out an agent that says that it goes."""
        for seen in self._seen.values():
            seen.pop(instance, None)
