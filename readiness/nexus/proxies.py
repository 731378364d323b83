"""The HTTP interfaces of the two servers of proxies that stand between the services.

Each keeps named proxies with an address on which it listens and one to which it passes on: Toxiproxy spoils
connections, the fault proxy spoils messages.
"""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from readiness.nexus.settings import LOOPBACK

ANSWER_WITHIN_S = 1.0
_CONFLICT = 409


class ProxiesError(Exception):
    """A server of proxies does not answer, or refused; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy as its server has it."""

    listen: str
    upstream: str


class Proxies:
    """The proxies of one server."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._at = urlsplit(url).netloc

    def all(self) -> dict[str, Proxy]:
        """Return every proxy by its name."""
        found = self._call("GET", "/proxies")
        entries = found.values() if isinstance(found, dict) else found
        return {entry["name"]: Proxy(entry["listen"], entry["upstream"]) for entry in entries}

    def stand(self, name: str, upstream: str, found: Proxy | None, listen: str = "") -> str:
        """Make a proxy stand for an upstream and return where it listens; a toxic or a fault on it stays.

        Where it listened before it listens again, unless somebody has taken that port.
        """
        if found is not None:
            if found.upstream != upstream:
                self._redirect(name, upstream, found)
            return found.listen
        if listen:
            try:
                return self._make(name, listen, upstream)
            except ProxiesError:
                pass
        return self._make(name, f"{LOOPBACK}:0", upstream)

    def remove(self, name: str) -> None:
        """Take a proxy away, if it is there."""
        self._call("DELETE", f"/proxies/{quote(name)}", allowed=(404,))

    def _make(self, name: str, listen: str, upstream: str) -> str:
        made = self._call("POST", "/proxies", {"name": name, "listen": listen, "upstream": upstream, "enabled": True})
        return str(made["listen"])

    def _redirect(self, name: str, upstream: str, _found: Proxy) -> None:
        self._call("POST", f"/proxies/{quote(name)}", {"upstream": upstream})

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None, allowed: tuple[int, ...] = ()) -> Any:
        connection = http.client.HTTPConnection(self._at, timeout=ANSWER_WITHIN_S)
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, {} if text is None else {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status >= 400 and answer.status not in allowed:
                raise ProxiesError(
                    f"{method} {self._url}{path}: {answer.status} {content[:200].decode(errors='replace')}"
                )
            return json.loads(content) if content.strip() else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ProxiesError(f"{method} {self._url}{path}: {type(error).__name__}") from None
        finally:
            connection.close()


class FaultProxies(Proxies):
    """The proxies of the fault proxy, which makes and changes one by the same request."""

    def _make(self, name: str, listen: str, upstream: str) -> str:
        made = self._call("PUT", f"/proxies/{quote(name)}", {"listen": listen, "upstream": f"http://{upstream}"})
        return _plain(str(made["listen"]))

    def _redirect(self, name: str, upstream: str, found: Proxy) -> None:
        self._make(name, found.listen, upstream)

    def all(self) -> dict[str, Proxy]:
        """Return every proxy by its name; addresses are host and port alone."""
        return {name: Proxy(_plain(found.listen), _plain(found.upstream)) for name, found in super().all().items()}


def _plain(address: str) -> str:
    return address.removeprefix("http://").rstrip("/")
