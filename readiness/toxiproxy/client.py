"""The one wrapper of the library `toxiproxy-python`: an object a server, an error a line, what is written read back.

The library (0.1.1) keeps host and port in class globals, waits for ever, and takes a 5xx answer for success.
Here its requests go through `_Consumer`, which asks the server that this thread is speaking to.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests
import toxiproxy.api  # type: ignore[import-untyped]
import toxiproxy.exceptions  # type: ignore[import-untyped]
import toxiproxy.proxy  # type: ignore[import-untyped]
import toxiproxy.server  # type: ignore[import-untyped]

from readiness.errors import TargetError
from readiness.toxiproxy.toxics import Toxic, fault_in

CONNECT_S = 2.0
ANSWER_S = 5.0
_SPEAKING: ContextVar[Toxiproxy | None] = ContextVar("speaking", default=None)
_REFUSALS = (toxiproxy.exceptions.NotFound, toxiproxy.exceptions.ProxyExists, toxiproxy.exceptions.InvalidToxic)


class Absent(TargetError):
    """A proxy, or a toxic, is not there."""


@dataclass(frozen=True, slots=True)
class ProxyState:
    """A proxy as it stands on the server."""

    name: str
    listen: str
    upstream: str
    enabled: bool
    toxics: tuple[Toxic, ...] = ()


@dataclass(frozen=True, slots=True)
class Leftover:
    """A toxic that a run left on a proxy."""

    proxy: str
    toxic: str

    def __str__(self) -> str:
        return f"{self.toxic} on {self.proxy}"


class _Consumer(toxiproxy.api.APIConsumer):  # type: ignore[misc]
    """The library's requests, sent to the server of this thread; the library's own way where none of ours speaks."""

    @classmethod
    def get(cls, url: str, params: Any = None, **given: Any) -> Any:
        server = _SPEAKING.get()
        return server.request("GET", url) if server else super().get(url, params, **given)

    @classmethod
    def delete(cls, url: str, **given: Any) -> Any:
        server = _SPEAKING.get()
        return server.request("DELETE", url) if server else super().delete(url, **given)

    @classmethod
    def post(cls, url: str, data: Any = None, json: Any = None, **given: Any) -> Any:
        server = _SPEAKING.get()
        return server.request("POST", url, json) if server else super().post(url, data, json, **given)


toxiproxy.proxy.APIConsumer = toxiproxy.server.APIConsumer = _Consumer


class Toxiproxy:
    """A Toxiproxy server at a base URL, the real one or the embedded one."""

    def __init__(self, base_url: str, *, answer_s: float = ANSWER_S) -> None:
        self.base_url = base_url.rstrip("/")
        self.host = urlsplit(self.base_url).hostname or "127.0.0.1"
        self._answer_s = answer_s
        self._library = toxiproxy.server.Toxiproxy()

    def __str__(self) -> str:
        return f"Toxiproxy at {self.base_url}"

    def version(self) -> str:
        """Give the server's version, as it tells it."""
        with self._spoken():
            return str(self.request("GET", "/version").json().get("version", ""))

    def proxies(self) -> dict[str, ProxyState]:
        """Give the proxies by name, with their toxics."""
        with self._spoken():
            answered = self.request("GET", "/proxies").json()
            return {name: _proxy(shown) for name, shown in answered.items()}

    def proxy(self, name: str) -> ProxyState:
        """Give a proxy; raises `Absent`."""
        there = self.proxies()
        if name not in there:
            raise self._absent(name, there)
        return there[name]

    def create(self, name: str, upstream: str, listen: str = "127.0.0.1:0") -> ProxyState:
        """Make a proxy and read it back."""
        with self._spoken(name):
            self._library.create(upstream, name, listen)
        made = self.proxy(name)
        if made.upstream != upstream or not made.enabled:
            raise TargetError(f"{self}: proxy {name} was made for {upstream}, but what stands there is {made}")
        return made

    def delete(self, name: str) -> None:
        """Take a proxy away; one that is not there is fine."""
        with self._spoken(name):
            there = self._library.get_proxy(name)
            if there is not None:
                there.destroy()
        if name in self.proxies():
            raise TargetError(f"{self}: proxy {name} was deleted and is still there: look at the server's log")

    def add(self, proxy: str, toxic: Toxic) -> None:
        """Put a toxic on a proxy and read it back; one that stands there already, alike, is fine."""
        if fault := fault_in(toxic):
            raise TargetError(f"{self}, proxy {proxy}: {fault}")
        standing = {other.name: other for other in self.proxy(proxy).toxics}.get(toxic.name)
        if standing is None:
            with self._spoken(proxy):
                self._found(proxy).add_toxic(
                    name=toxic.name,
                    type=toxic.type,
                    stream=toxic.stream,
                    toxicity=toxic.toxicity,
                    attributes=toxic.whole(),
                )
            standing = {other.name: other for other in self.proxy(proxy).toxics}.get(toxic.name)
        if difference := _difference(toxic, standing):
            raise TargetError(
                f"{self}, proxy {proxy}: toxic {toxic.name} was written, but {difference}: "
                "another hand or another version is at work there; remove the toxic and look at the server"
            )

    def remove(self, proxy: str, toxic: str) -> bool:
        """Take a toxic away and read back that it is gone; tells whether it was there. Gone already is fine."""
        standing = self._toxic_names(proxy)
        if toxic not in standing:
            return False
        try:
            with self._spoken(proxy):
                self._found(proxy).destroy_toxic(toxic)
        except Absent:
            return False
        if toxic in self._toxic_names(proxy):
            raise TargetError(f"{self}, proxy {proxy}: toxic {toxic} was removed and is still there: remove it by hand")
        return True

    def disable(self, proxy: str) -> None:
        """Have a proxy refuse its callers, and read that back."""
        self._enable(proxy, False)

    def enable(self, proxy: str) -> None:
        """Have a proxy listen again, and read that back."""
        self._enable(proxy, True)

    def leftovers(self, prefix: str) -> list[Leftover]:
        """Find the toxics whose names begin so: `rd-` for those of every run."""
        return [
            Leftover(proxy.name, toxic.name)
            for proxy in self.proxies().values()
            for toxic in proxy.toxics
            if toxic.name.startswith(prefix)
        ]

    def reap(self, prefix: str) -> list[Leftover]:
        """Take those away, all that can be, and tell which; raises for what is left."""
        found, problems = self.leftovers(prefix), []
        for leftover in found:
            try:
                self.remove(leftover.proxy, leftover.toxic)
            except TargetError as error:
                problems.append(str(error))
        if problems:
            raise TargetError("; ".join(problems))
        return found

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the server; raises `TargetError`, or the library's own errors for what it refuses."""
        try:
            with requests.Session() as session:
                session.trust_env = False
                response = session.request(
                    method,
                    self.base_url + path,
                    json=body,
                    timeout=(CONNECT_S, self._answer_s),
                    headers={"User-Agent": "nexus-readiness", "Connection": "close"},
                    allow_redirects=False,
                )
        except requests.RequestException as error:
            raise TargetError(
                f"{self} does not answer ({_cause(error)}): start it, or correct faults.toxiproxy in the descriptor"
            ) from None
        toxiproxy.api.validate_response(response)
        if response.status_code >= 300:
            raise TargetError(f"{self} answered {method} {path} with {response.status_code}: {_told(response.text)}")
        return response

    def _enable(self, proxy: str, enabled: bool) -> None:
        if self.proxy(proxy).enabled is enabled:
            return
        with self._spoken(proxy):
            found = self._found(proxy)
            (found.enable if enabled else found.disable)()
        if self.proxy(proxy).enabled is not enabled:
            state = "enabled" if enabled else "disabled"
            raise TargetError(f"{self}: proxy {proxy} was {state} and is not: look at the server's log")

    def _found(self, name: str) -> Any:
        found = self._library.get_proxy(name)
        if found is None:
            raise self._absent(name, self._library.proxies())
        return found

    def _toxic_names(self, proxy: str) -> set[str]:
        there = self.proxies().get(proxy)
        return {toxic.name for toxic in there.toxics} if there else set()

    def _absent(self, name: str, there: Mapping[str, object]) -> Absent:
        return Absent(
            f"{self} has no proxy {name!r} (it has: {', '.join(sorted(there)) or 'none'}): "
            "make it, or correct the names at links.*.toxiproxy in the descriptor"
        )

    @contextmanager
    def _spoken(self, proxy: str = "") -> Iterator[None]:
        """Have the library speak to this server, and turn what it raises into one line."""
        token = _SPEAKING.set(self)
        where = f"{self}, proxy {proxy}" if proxy else str(self)
        try:
            yield
        except _REFUSALS as error:
            kind = Absent if isinstance(error, toxiproxy.exceptions.NotFound) else TargetError
            raise kind(f"{where}: refused: {_told(error.args[0])}; look at what stands there") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise TargetError(
                f"{where}: the answer is not one of Toxiproxy's API ({type(error).__name__}): "
                "correct faults.toxiproxy in the descriptor"
            ) from None
        finally:
            _SPEAKING.reset(token)


def _proxy(shown: Mapping[str, Any]) -> ProxyState:
    toxics = tuple(
        Toxic(each["name"], each["type"], each["stream"], each["toxicity"], each["attributes"])
        for each in shown.get("toxics") or ()
    )
    return ProxyState(shown["name"], shown["listen"], shown["upstream"], shown["enabled"], toxics)


def _difference(wanted: Toxic, standing: Toxic | None) -> str:
    """Say in what the toxic that stands there differs from the one that is wanted; no text where they are alike."""
    if standing is None:
        return "it is not there"
    for name in ("type", "stream"):
        if getattr(wanted, name) != getattr(standing, name):
            return f"its {name} is {getattr(standing, name)}, not {getattr(wanted, name)}"
    if not math.isclose(wanted.toxicity, standing.toxicity, rel_tol=1e-5):
        return f"its toxicity is {standing.toxicity}, not {wanted.toxicity}"
    for name, value in wanted.whole().items():
        if standing.attributes.get(name) != value:
            return f"its {name} is {standing.attributes.get(name)}, not {value}"
    return ""


def _told(answer: str | bytes) -> str:
    """Give what an answer says went wrong, in one short line."""
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)
    with suppress(ValueError, KeyError, TypeError):
        text = str(json.loads(text)["error"])
    return " ".join(text.split())[:200] or "no reason given"


def _cause(error: Exception) -> str:
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {CONNECT_S:g} s"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if "refused" in str(error):
        return "connection refused"
    return type(error).__name__
