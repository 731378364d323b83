"""What may be broken at all: production only when armed, nothing in a halted run, no more than the blast radius."""

from __future__ import annotations

from collections.abc import Sequence

from readiness.descriptor import Descriptor
from readiness.errors import Undecidable
from readiness.operations import Change, Fault
from readiness.state import State


class Permission:
    """Refuses in one line what a drill may not do to one deployment."""

    def __init__(self, descriptor: Descriptor, state: State, armed: bool) -> None:
        self._descriptor = descriptor
        self._state = state
        self._armed = armed

    def inject(self, fault: Fault) -> None:
        """Raise where a fault must not be: production unarmed, a halted run, a service that is not there."""
        name = self._descriptor.name
        if self._descriptor.environment == "production" and not self._armed:
            raise Undecidable(f"{fault.what}: {name} is in production and not armed", f"--readiness-arm {name}")
        if self._state.halted():
            raise Undecidable(f"{fault.what}: `readiness halt` has ended this run", "run again")
        if fault.service is not None and fault.service not in self._descriptor.services:
            raise Undecidable(f"{fault.what}: there is no service {fault.service}", f"services.{fault.service}: …")

    def hit(self, what: str, service: str | None, replicas: int, mine: Sequence[Change]) -> None:
        """Raise where this and all that is broken already, by whomever, would be more than was declared.

        A service of which no replica is hit is a link's callee: it counts as a service alone.
        """
        if service is None:
            return
        radius = self._descriptor.blast_radius
        now = {record.id: (record.service, record.replicas) for record in self._state.opened()}
        now |= {change.id: (change.service, change.replicas) for change in mine}
        services = {name for name, _ in now.values() if name is not None} | {service}
        if len(services) > radius.max_services:
            raise Undecidable(
                f"{what}: would hit {len(services)} services at a time", f"blast_radius.max_services: {len(services)}"
            )
        declared = self._descriptor.services[service].replicas
        allowed = max(1, int(declared * radius.max_replicas_share))
        hit = replicas + sum(count for name, count in now.values() if name == service)
        if replicas and hit > allowed:
            raise Undecidable(
                f"{what}: would hit {hit} of {declared} replicas of {service}; allowed: {allowed}",
                f"blast_radius.max_replicas_share: {hit / max(1, declared):.2f}",
            )
