"""HTTP clients for what is on loopback: no proxy of the caller's environment, and no TLS."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


def client(timeout_s: float) -> httpx.Client:
    """Open a client; every call of it may take so long."""
    import httpx

    return httpx.Client(timeout=timeout_s, trust_env=False, verify=_trusting_nobody())


def async_client(timeout_s: float) -> httpx.AsyncClient:
    """Open an asynchronous client; every call of it may take so long."""
    import httpx

    return httpx.AsyncClient(timeout=timeout_s, trust_env=False, verify=_trusting_nobody())


def _trusting_nobody() -> ssl.SSLContext:
    # Without it httpx loads the authorities of the whole internet: a tenth of the start of a process, for nothing.
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
