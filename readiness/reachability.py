"""Whether the declared services can be reached at all: one that takes no connection is a finding of the run itself."""

from __future__ import annotations

import functools
import socket
from datetime import UTC, datetime
from urllib.parse import urlsplit

from readiness.descriptor import Descriptor
from readiness.model import Breach, BreachKind
from readiness.together import at_once
from readiness.waiting import NotInTime, eventually

WITHIN_S = 10.0
"""How long a service may refuse connections, in seconds: it may just be restarting."""
_CONNECT_S = 3.0
_PORTS = {"http": 80, "https": 443}
Endpoint = tuple[str, int]
"""Host and port."""


def unreachable(descriptor: Descriptor, within_s: float = WITHIN_S) -> list[Breach]:
    """Connect to the address of every declared service, all at once; give those that took no connection in time."""
    addresses = {name: spec.address or "" for name, spec in descriptor.services.items() if spec.replicas > 0}
    asked = {name: where for name, address in addresses.items() if (where := endpoint(address)) is not None}
    reasons = at_once([functools.partial(_refusal, where, within_s) for where in asked.values()])
    return [
        Breach(
            f"the service {name} at {addresses[name]}",
            f"{reason}, for {within_s:.0f} s",
            datetime.now(UTC),
            f"start it, or correct services.{name}.address in the descriptor",
            BreachKind.UNREACHABLE,
        )
        for name, reason in zip(asked, reasons, strict=True)
        if reason
    ]


def _refusal(where: Endpoint, within_s: float) -> str:
    """Why no connection could be made in all that time, or no text."""
    try:
        return eventually(
            lambda: refusal(where, _CONNECT_S), within=within_s, every_s=0.5, until=lambda reason: not reason
        )
    except NotInTime as late:
        return str(late.last)


def refusal(where: Endpoint, timeout_s: float) -> str:
    """Try to connect once; why that failed, or no text."""
    try:
        with socket.create_connection(where, timeout=timeout_s):
            return ""
    except OSError as error:
        return "no answer" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()


def endpoint(address: str) -> Endpoint | None:
    """The host and port of an address; None where it names none that can be connected to."""
    parts = urlsplit(address)
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port else None
