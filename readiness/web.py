"""HTTP as a caller of the deployment speaks it: every exchange has a deadline, and every error is data."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from readiness.credentials import Credentials, Grant
from readiness.descriptor import Request
from readiness.loading import DescriptorFile
from readiness.procedures import roles
from readiness.redaction import Redactor
from readiness.templates import fill, fill_data, fill_url, named_in
from readiness.waiting import Deadline

READING = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change nothing (RFC 9110, 9.2.1)."""
EXCHANGE_S = 15.0
"""The longest that one exchange may take, in seconds, where the caller's deadline is later."""
_CONNECT_S = 5.0
_MAX_BODY_BYTES = 8 << 20
_MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status with headers and body, or the error that there was instead."""

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    """Header names in lower case."""
    text: str = ""
    json: Any = None
    """The body as JSON; None where it is none."""
    elapsed_s: float = 0.0
    error: str = ""
    url: str = ""

    @property
    def ok(self) -> bool:
        """Whether the status is one of success (2xx)."""
        return self.status is not None and 200 <= self.status < 300


class Web:
    """Sends the requests of one descriptor; threads may share it."""

    def __init__(self, file: DescriptorFile, credentials: Credentials, redactor: Redactor) -> None:
        self._credentials = credentials
        self._redactor = redactor
        self.addresses: dict[str, str] = {
            name: spec.address.rstrip("/") for name, spec in file.descriptor.services.items() if spec.address
        }
        self._standing = {**roles(file), "environment": file.descriptor.environment}
        self._clients: dict[tuple[ssl.SSLContext | None, bool], httpx.Client] = {}
        self._lock = threading.Lock()

    def send(
        self,
        request: Request,
        *,
        level: str | None = None,
        headers: Mapping[str, str] | None = None,
        values: Mapping[str, str] | None = None,
        deadline: Deadline,
        kept: bool = False,
    ) -> Answer:
        """Send a request of the descriptor, filled in with addresses and values.

        `kept`: over a connection that is kept for the next such request, where the other side keeps it too.
        """
        values = {**self._standing, **(values or {})}
        filled = {**values, **self.addresses}
        named = next((name for name in named_in(request.url) if name in self.addresses), None)
        level = level if level is not None else request.as_level
        grant = self._credentials.for_service(named) if level is None else self._credentials.for_level(level)
        url = fill_url(request.url, self.addresses, values)
        body = None if request.json_body is None else json.dumps(fill_data(request.json_body, filled)).encode()
        sent = {name: fill(value, filled) for name, value in request.headers.items()}
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        sent.update({**grant.headers, **(headers or {})})
        return self._exchange(request.method.upper(), url, sent, body, grant, deadline, kept)

    def get(self, url: str, *, service: str | None = None, deadline: Deadline) -> Answer:
        """Read a URL with the credentials of a service."""
        grant = self._credentials.for_service(service)
        return self._exchange("GET", url, dict(grant.headers), None, grant, deadline)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _exchange(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None,
        grant: Grant,
        deadline: Deadline,
        kept: bool = False,
    ) -> Answer:
        began_s = time.monotonic()
        bounded = deadline.within(EXCHANGE_S)
        try:
            for _ in range(_MAX_REDIRECTS):
                answer, onward = self._once(method, url, headers, body, self._client(grant, kept), bounded)
                if onward is None:
                    break
                url, method, body = onward, ("HEAD" if method == "HEAD" else "GET"), None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError, TimeoutError) as error:
            return Answer(None, elapsed_s=time.monotonic() - began_s, error=self._told(error, url), url=url)
        status, got, content = answer
        text = content.decode("utf-8", "replace")
        return Answer(status, got, text, _json(text), time.monotonic() - began_s, "", url)

    def _once(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes | None,
        client: httpx.Client,
        deadline: Deadline,
    ) -> tuple[tuple[int, dict[str, str], bytes], str | None]:
        left_s = deadline.left_s
        if left_s <= 0:
            raise TimeoutError("the time of the gate is over")
        timeout = httpx.Timeout(left_s, connect=min(_CONNECT_S, left_s))
        content = bytearray()
        with client.stream(method, url, headers=headers, content=body, timeout=timeout) as response:
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > _MAX_BODY_BYTES:
                    raise ValueError(f"the answer is longer than {_MAX_BODY_BYTES} bytes")
                if deadline.expired:
                    raise TimeoutError("the answer did not end in time")
            got = {name.lower(): value for name, value in response.headers.items()}
            onward = None
            if response.is_redirect and (method in READING or response.status_code == 303):
                there = response.url.join(got["location"])
                here = (response.url.scheme, response.url.host, response.url.port)
                onward = str(there) if (there.scheme, there.host, there.port) == here else None
            return (response.status_code, got, bytes(content)), onward

    def _client(self, grant: Grant, kept: bool) -> httpx.Client:
        with self._lock:
            if (grant.tls, kept) not in self._clients:
                # no kept connections unless they are asked for: a stale one after a kill would be an error of ours,
                # not of the deployment; no environment: a proxy or netrc of this machine is none of the deployment's
                self._clients[grant.tls, kept] = httpx.Client(
                    verify=grant.tls or True,
                    limits=httpx.Limits(max_keepalive_connections=None if kept else 0),
                    follow_redirects=False,
                    trust_env=False,
                )
            return self._clients[grant.tls, kept]

    def _told(self, error: Exception, url: str) -> str:
        kind = {
            "ConnectError": "connection refused or unreachable",
            "ConnectTimeout": "no connection in time",
            "ReadTimeout": "no answer in time",
            "RemoteProtocolError": "the connection was closed before the answer ended",
            "ReadError": "the connection broke",
        }.get(type(error).__name__)
        text = str(error)
        told = f"{kind} ({text})" if kind and text else kind or text or type(error).__name__
        return self._redactor.redact(f"{url}: {told}")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
