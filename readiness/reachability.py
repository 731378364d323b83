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


def unreachable(descriptor: Descriptor, within_s: float = WITHIN_S) -> list[Breach]:
    """Connect to the address of every declared service, all at once; give those that took no connection in time."""
    asked = [
        (name, spec.address)
        for name, spec in descriptor.services.items()
        if spec.address is not None and spec.replicas > 0 and _endpoint(spec.address) is not None
    ]
    reasons = at_once([functools.partial(_refusal, address, within_s) for _, address in asked])
    return [
        Breach(
            f"the service {name} at {address}",
            f"{reason}, for {within_s:.0f} s",
            datetime.now(UTC),
            f"start it, or correct services.{name}.address in the descriptor",
            BreachKind.UNREACHABLE,
        )
        for (name, address), reason in zip(asked, reasons, strict=True)
        if reason
    ]


def _refusal(address: str, within_s: float) -> str:
    """Why no connection could be made, or no text."""
    try:
        eventually(lambda: not _tried(address), within=within_s, every_s=0.5)
    except NotInTime:
        return _tried(address)
    return ""


def _tried(address: str) -> str:
    endpoint = _endpoint(address)
    assert endpoint is not None
    try:
        with socket.create_connection(endpoint, timeout=_CONNECT_S):
            return ""
    except OSError as error:
        return "no answer" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()


def _endpoint(address: str) -> tuple[str, int] | None:
    """The host and port of an address; None where it names none that can be connected to."""
    parts = urlsplit(address)
    try:
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return None
    return (parts.hostname, port) if parts.hostname and port else None
