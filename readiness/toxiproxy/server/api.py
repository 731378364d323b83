"""The HTTP API of the embedded server: the paths, answers and refusals of Toxiproxy 2.12."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from readiness.toxiproxy.server.proxies import ApiError, Proxy, address
from readiness.toxiproxy.server.stage import ToxicState
from readiness.toxiproxy.server.stages import STAGES
from readiness.toxiproxy.toxics import ATTRIBUTES, STREAMS

VERSION = "2.12.0-readiness"
"""The version whose API this is, and that it is not the real server."""


class NoBrowsers:
    """Refuse whoever calls itself a browser, as Toxiproxy does, so that no web page reaches a proxy's controls."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403, or let the request by."""
        agent = dict(scope.get("headers", [])).get(b"user-agent", b"")
        if scope["type"] == "http" and agent.startswith(b"Mozilla/"):
            await PlainTextResponse("User agent not allowed\n", 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class Api:
    """The requests that may be made, on the proxies that there are."""

    def __init__(self) -> None:
        self.proxies: dict[str, Proxy] = {}
        self._lock = asyncio.Lock()

    def stop(self) -> None:
        """Close every port and every connection."""
        for proxy in self.proxies.values():
            proxy.delete()

    async def version(self, _request: Request) -> Response:
        """GET /version."""
        return JSONResponse({"version": VERSION})

    async def reset(self, _request: Request) -> Response:
        """POST /reset: every proxy enabled, no toxic."""
        for proxy in list(self.proxies.values()):
            await proxy.start()
            for toxic in list(proxy.toxics):
                proxy.remove(toxic)
        return Response(status_code=204)

    async def populate(self, request: Request) -> Response:
        """POST /populate: make or replace the proxies of a list."""
        given = await _body(request)
        if not isinstance(given, list):
            raise ApiError("bad request body: a list of proxies is wanted", 400)
        made = [_new_proxy(item, f" at proxy {number}") for number, item in enumerate(given, start=1)]
        stand = [await self._stand(proxy, item) for proxy, item in zip(made, given, strict=True)]
        return JSONResponse({"proxies": [proxy.show() for proxy in stand]}, 201)

    async def _stand(self, proxy: Proxy, given: Mapping[str, Any]) -> Proxy:
        there = self.proxies.get(proxy.name)
        if there is not None:
            if (there.listen, there.upstream) == (proxy.listen, proxy.upstream):
                return there
            there.delete()
        if _given(given, "enabled", bool, True):
            await proxy.start()
        self.proxies[proxy.name] = proxy
        return proxy

    async def index(self, _request: Request) -> Response:
        """GET /proxies."""
        return JSONResponse({name: proxy.show() for name, proxy in self.proxies.items()})

    async def create(self, request: Request) -> Response:
        """POST /proxies."""
        given = await _body(request)
        proxy = _new_proxy(given)
        if proxy.name in self.proxies:
            raise ApiError("proxy already exists", 409)
        if _given(given, "enabled", bool, True):
            await proxy.start()
        self.proxies[proxy.name] = proxy
        return JSONResponse(proxy.show(), 201)

    async def show(self, request: Request) -> Response:
        """GET /proxies/{proxy}."""
        return JSONResponse(self._proxy(request).show())

    async def update(self, request: Request) -> Response:
        """POST or PATCH /proxies/{proxy}."""
        proxy = self._proxy(request)
        given = await _body(request)
        listen = _given(given, "listen", str, proxy.listen)
        upstream = _given(given, "upstream", str, proxy.upstream)
        await proxy.change(listen, upstream, _given(given, "enabled", bool, proxy.enabled))
        return JSONResponse(proxy.show())

    async def delete(self, request: Request) -> Response:
        """DELETE /proxies/{proxy}."""
        proxy = self._proxy(request)
        del self.proxies[proxy.name]
        proxy.delete()
        return Response(status_code=204)

    async def toxics(self, request: Request) -> Response:
        """GET /proxies/{proxy}/toxics."""
        return JSONResponse([toxic.show() for toxic in self._proxy(request).sorted_toxics()])

    async def add_toxic(self, request: Request) -> Response:
        """POST /proxies/{proxy}/toxics."""
        proxy = self._proxy(request)
        toxic = _new_toxic(await _body(request))
        if any(other.name == toxic.name for other in proxy.toxics):
            raise ApiError("toxic already exists", 409)
        proxy.add(toxic)
        return JSONResponse(toxic.show())

    async def show_toxic(self, request: Request) -> Response:
        """GET /proxies/{proxy}/toxics/{toxic}."""
        return JSONResponse(self._toxic(request)[1].show())

    async def update_toxic(self, request: Request) -> Response:
        """POST or PATCH /proxies/{proxy}/toxics/{toxic}."""
        proxy, toxic = self._toxic(request)
        given = await _body(request)
        attributes = {**toxic.attributes, **_attributes(given, toxic.type)}
        proxy.change_toxic(toxic, attributes, float(_given(given, "toxicity", int | float, toxic.toxicity)))
        return JSONResponse(toxic.show())

    async def remove_toxic(self, request: Request) -> Response:
        """DELETE /proxies/{proxy}/toxics/{toxic}."""
        proxy, toxic = self._toxic(request)
        proxy.remove(toxic)
        return Response(status_code=204)

    def _proxy(self, request: Request) -> Proxy:
        proxy = self.proxies.get(request.path_params["proxy"])
        if proxy is None:
            raise ApiError("proxy not found", 404)
        return proxy

    def _toxic(self, request: Request) -> tuple[Proxy, ToxicState]:
        proxy = self._proxy(request)
        for toxic in proxy.toxics:
            if toxic.name == request.path_params["toxic"]:
                return proxy, toxic
        raise ApiError("toxic not found", 404)

    def application(self) -> Starlette:
        """Give the application with every path."""
        one = "/proxies/{proxy}"
        paths: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET", "/version", self.version),
            ("POST", "/reset", self.reset),
            ("POST", "/populate", self.populate),
            ("GET", "/proxies", self.index),
            ("POST", "/proxies", self.create),
            ("GET", one, self.show),
            ("POST PATCH", one, self.update),
            ("DELETE", one, self.delete),
            ("GET", f"{one}/toxics", self.toxics),
            ("POST", f"{one}/toxics", self.add_toxic),
            ("GET", f"{one}/toxics/{{toxic}}", self.show_toxic),
            ("POST PATCH", f"{one}/toxics/{{toxic}}", self.update_toxic),
            ("DELETE", f"{one}/toxics/{{toxic}}", self.remove_toxic),
        ]
        routes = [Route(path, self._one_by_one(act), methods=methods.split()) for methods, path, act in paths]
        return Starlette(routes=routes, middleware=[Middleware(NoBrowsers)], exception_handlers={ApiError: _refusal})

    def _one_by_one(self, act: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def locked(request: Request) -> Response:
            async with self._lock:
                return await act(request)

        return locked


async def _refusal(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return JSONResponse(error.show(), error.status)


async def _body(request: Request) -> Any:
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise ApiError(f"bad request body: {error}", 400) from None


def _given(given: Any, name: str, kind: Any, default: Any) -> Any:
    """Give a field of a body, checked; a field that is null counts as not given."""
    if not isinstance(given, dict):
        raise ApiError("bad request body: an object is wanted", 400)
    value = given.get(name)
    if value is None:
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ApiError(f"bad request body: {name}: {value!r} has the wrong type", 400)
    return value


def _new_proxy(given: Any, where: str = "") -> Proxy:
    name, upstream = _given(given, "name", str, ""), _given(given, "upstream", str, "")
    for field, value in (("name", name), ("upstream", upstream)):
        if not value:
            raise ApiError(f"missing required field: {field}{where}", 400)
    listen = _given(given, "listen", str, "") or "127.0.0.1:0"
    for text in (listen, upstream):
        address(text)
    return Proxy(name, listen, upstream)


def _new_toxic(given: Any) -> ToxicState:
    stream = _given(given, "stream", str, "") or "downstream"
    if stream not in STREAMS:
        raise ApiError("stream was invalid, can be either upstream or downstream", 400)
    kind = _given(given, "type", str, "")
    if kind not in STAGES:
        raise ApiError(f"invalid toxic type: {kind!r} is not one of {', '.join(STAGES)}", 400)
    name = _given(given, "name", str, "") or f"{kind}_{stream}"
    attributes = {**dict.fromkeys(ATTRIBUTES[kind], 0), **_attributes(given, kind)}
    return ToxicState(name, kind, stream, float(_given(given, "toxicity", int | float, 1.0)), attributes)


def _attributes(given: Any, kind: str) -> dict[str, int]:
    """Give the attributes that the type has; others are passed over without a word, as Toxiproxy does."""
    attributes = _given(given, "attributes", dict, {})
    return {name: _given(attributes, name, int, 0) for name in ATTRIBUTES[kind] if name in attributes}
