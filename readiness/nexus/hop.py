"""What every service does around a request: its context, its last resort for errors, and who may call it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from readiness.nexus import telemetry
from readiness.nexus.access import INTERNAL, Tokens, bearer
from readiness.nexus.settings import Settings

Endpoint = Callable[[Request], Awaitable[Response]]


class Hop:
    """Accepts or creates correlation id and trace context, and turns an uncaught exception into one log record."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._settings = settings
        self._log = telemetry.logger("http")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope)
        context = telemetry.Context.accept(
            given.get(self._settings.names.headers.correlation), given.get("traceparent")
        )
        context.bind()
        scope["state"] = {**scope.get("state", {}), "context": context}
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in context.headers(self._settings).items():
                    headers[name] = value
            await send(message)

        try:
            await self.app(scope, receive, answer)
        except Exception as error:
            self._log.error(
                "request.failed",
                operation=f"{scope['method']} {scope['path']}",
                input_ref=context.correlation_id,
                cause=f"{type(error).__name__}: {error}",
                exc_info=True,
            )
            if not started:
                await JSONResponse({"error": "internal error"}, 500)(scope, receive, answer)


def context_of(request: Request) -> telemetry.Context:
    """Returns the context that the request carries."""
    context: telemetry.Context = request.state.context
    return context


def internal(settings: Settings) -> Callable[[Endpoint], Endpoint]:
    """Lets only the services of this deployment call an endpoint."""
    tokens = Tokens(settings)

    def guard(endpoint: Endpoint) -> Endpoint:
        async def guarded(request: Request) -> Response:
            if tokens.holder_of(bearer(request.headers.get("Authorization"))) != INTERNAL:
                return JSONResponse({"error": "internal interface"}, 401)
            return await endpoint(request)

        return guarded

    return guard


async def json_object(request: Request) -> dict[str, Any] | None:
    """Reads the body as a JSON object, or returns None when it is something else."""
    try:
        body = await request.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
