"""Requests of a descriptor compiled to bytes: what a transaction has of its own is put in each time."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from readiness.credentials import Credentials
from readiness.descriptor import Request
from readiness.errors import ReadinessError, UsageError
from readiness.load.child.sending import Origin
from readiness.loading import DescriptorFile
from readiness.procedures import roles
from readiness.templates import fill, fill_data, fill_url, named_in

_NUMBER_WIDTH = 10


class Markers:
    """Markers of one length, so that a request is as long for each of them."""

    def __init__(self) -> None:
        self._prefix = f"rd-{secrets.token_hex(5)}-"
        self.stand_in = self._prefix + "z" * _NUMBER_WIDTH

    def __call__(self, number: int) -> str:
        """Make the n-th marker."""
        return f"{self._prefix}{number:0{_NUMBER_WIDTH}d}"


class Template:
    """The bytes of one request with places for what each transaction has of its own; its length stays the same."""

    __slots__ = ("_form",)

    def __init__(self, text: bytes, places: dict[bytes, bytes]) -> None:
        form = text.replace(b"%", b"%%")
        for name, stand_in in places.items():
            form = form.replace(stand_in, b"%(" + name + b")b")
        self._form = form

    def fill(self, values: dict[bytes, bytes]) -> bytes:
        """Give the request of one transaction."""
        return self._form % values


class Compiled(NamedTuple):
    """One request, ready to be sent."""

    origin: Origin
    method: str
    template: Template


class Compiler:
    """Makes bytes of a descriptor's requests: addresses, releases and credentials are filled in once."""

    def __init__(self, file: DescriptorFile, credentials: Credentials, keep_alive: bool) -> None:
        self.markers = Markers()
        self._credentials = credentials
        self._keep_alive = keep_alive
        self._addresses = {
            name: spec.address.rstrip("/") for name, spec in file.descriptor.services.items() if spec.address
        }
        self._standing = {**roles(file), "environment": file.descriptor.environment}
        self._correlation = file.descriptor.workload.correlation
        self._origins: dict[tuple[str, int], Origin] = {}

    def compile(self, request: Request, where: str) -> Compiled:
        """Compile a request; what it lacks a value for is a UsageError."""
        id_stand_in, trace_stand_in = "zz" + secrets.token_hex(8), "zz" + secrets.token_hex(23) + "z"
        marker = self.markers.stand_in
        values = {**self._standing, "marker": marker, "correlation": marker, "id": id_stand_in}
        filled = {**values, **self._addresses}
        level = request.as_level
        named = next((name for name in named_in(request.url) if name in self._addresses), None)
        try:
            grant = self._credentials.for_service(named) if level is None else self._credentials.for_level(level)
            url = fill_url(request.url, self._addresses, values)
            body = b"" if request.json_body is None else json.dumps(fill_data(request.json_body, filled)).encode()
            headers = {name: fill(value, filled) for name, value in request.headers.items()}
        except ReadinessError as error:
            raise UsageError(f"{where} cannot be sent under load: {error}") from None
        if body:
            headers.setdefault("Content-Type", "application/json")
        headers.update(grant.headers)
        if self._correlation is not None:
            headers[self._correlation.request_header] = marker
        headers["traceparent"] = f"00-{trace_stand_in}-01"
        method = request.method.upper()
        text = raw_request(method, url, headers, body, self._keep_alive)
        parts = urlsplit(url)
        key = (f"{parts.scheme}://{parts.netloc}", id(grant.tls))
        origin = self._origins.setdefault(key, Origin(url, grant.tls, self._keep_alive))
        places = {b"marker": marker, b"id": id_stand_in, b"trace": trace_stand_in}
        return Compiled(origin, method, Template(text, {name: stand.encode() for name, stand in places.items()}))


def raw_request(method: str, url: str, headers: Mapping[str, str], body: bytes, keep_alive: bool) -> bytes:
    """Write an HTTP/1.1 request (RFC 9112)."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    given = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": "nexus-readiness", "Accept": "*/*", **headers}
    if body or method in ("POST", "PUT", "PATCH"):
        given["Content-Length"] = str(len(body))
    if not keep_alive:
        given["Connection"] = "close"
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    if any(re.search(r"[\r\n\0]", line) for line in lines):
        raise UsageError("a request of the workload has a line break in its method, url or headers; take it out")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body
