"""The process list of a supervisord, over its XML-RPC interface, with a timeout."""

from __future__ import annotations

import http.client
import socket
import xmlrpc.client
from collections.abc import Iterator, Mapping
from xml.parsers.expat import ExpatError

from readiness.errors import TargetError
from readiness.loading import DescriptorFile

_TIMEOUT_S = 5.0
_LINE = "services.<service>.process: {supervisor: unix:///path/of/supervisor.sock}"


def listed(file: DescriptorFile, address: str) -> Iterator[tuple[str, str, int]]:
    """Give group, name and pid of every running process; `unix://` (relative to the descriptor) or `http://host:port`."""
    if address.startswith("unix://"):
        path = str(file.resolve(address.removeprefix("unix://")))
        transport: xmlrpc.client.Transport = _UnixTransport(path)
        uri = "http://localhost/RPC2"
    elif address.startswith("http://"):
        transport, uri = _TcpTransport(), f"{address.rstrip('/')}/RPC2"
    else:
        raise TargetError(f"{address!r} is no supervisor; allowed: unix:///… and http://…", _LINE)
    try:
        with xmlrpc.client.ServerProxy(uri, transport=transport) as proxy:
            told = proxy.supervisor.getAllProcessInfo()
    except (OSError, http.client.HTTPException, xmlrpc.client.Error, ExpatError) as error:
        raise TargetError(f"the supervisor at {address} does not answer: {error}", _LINE) from None
    for one in told if isinstance(told, list) else []:
        if isinstance(one, Mapping) and isinstance(one.get("pid"), int) and one["pid"] > 0:
            yield str(one.get("group")), str(one.get("name")), one["pid"]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(_TIMEOUT_S)
        self.sock.connect(self._path)


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: tuple[str, dict[str, str]] | str) -> http.client.HTTPConnection:
        return _kept(self, host, _UnixConnection(self._path))


class _TcpTransport(xmlrpc.client.Transport):
    def make_connection(self, host: tuple[str, dict[str, str]] | str) -> http.client.HTTPConnection:
        return _kept(self, host, http.client.HTTPConnection(str(host), timeout=_TIMEOUT_S))


def _kept(
    transport: xmlrpc.client.Transport, host: tuple[str, dict[str, str]] | str, connection: http.client.HTTPConnection
) -> http.client.HTTPConnection:
    """Leave the connection where the transport's own `close` looks for it."""
    transport._connection = host, connection
    return connection
