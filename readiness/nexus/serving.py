"""One running instance: its listeners, its common addresses, its announcement and its orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable
from types import FrameType
from typing import Protocol

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from readiness.nexus import draining, links, registry, telemetry
from readiness.nexus.errors import NexusError
from readiness.nexus.hop import Hop
from readiness.nexus.releases import as_built
from readiness.nexus.settings import LOOPBACK, Settings

BACKLOG = 512
DRAIN_S = 5
KEEP_ALIVE_S = 60
"""Longer than clients keep an idle connection: a request that meets its end is lost, and only some ask again."""


class Service(Protocol):
    """What the launcher needs of a service."""

    @property
    def routes(self) -> list[Route]:
        """Its own part of the interface."""

    async def start(self) -> None:
        """Gets ready to work."""

    async def stop(self) -> None:
        """Lets go of everything."""

    def drain(self) -> None:
        """Stops taking in new work."""

    async def ready(self) -> str | None:
        """Returns why it cannot work, or None."""


def run(settings: Settings, service: str, instance: str, release: str) -> int:
    """Runs an instance until it is told to stop; returns the exit code of its process."""
    telemetry.configure(settings, component=service, instance=instance, release=release)
    try:
        asyncio.run(_serve(settings, service, instance, release))
    except NexusError as error:
        _log_refusal(service, error)
        return 1
    return 0


def _log_refusal(service: str, error: NexusError) -> None:
    telemetry.logger("process").critical("process.refused", operation="start", input_ref=service, cause=str(error))


async def _serve(settings: Settings, service: str, instance: str, release: str) -> None:
    metrics = telemetry.Metrics(settings, component=service, version=release or "standin")
    part = _build(settings, service, instance, release, metrics)
    app = _application(settings, service, instance, release, part)
    private = _listen(registry.previous_port(settings, service, instance))
    entry = registry.own_instance(instance, release, private.getsockname()[1])
    sockets = [private]
    if service == "gateway":
        sockets.append(_listen(settings.public_port, shared=True))
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on",
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=DRAIN_S,
    )
    server = _Server(config, part.drain, lambda: _announce(settings, service, entry))
    log = telemetry.logger("process")
    log.info("process.starting", port=entry.port)
    crashed = service == "planner" and registry.pid_file(settings, instance).exists()
    if crashed and settings.defects.on("quarantine-after-crash"):
        registry.hold_file(settings, instance).touch()
        log.warning("process.held", reason="it crashed; look at it, then start the service")
    for stop in (signal.SIGTERM, signal.SIGINT):
        # The server handles both while it serves, and afterwards raises again what it got: the end is ours.
        signal.signal(stop, signal.SIG_IGN)
    try:
        await server.serve(sockets=sockets)
    finally:
        registry.withdraw(settings, service, entry)
        links.furnish(settings)
    log.info("process.stopped")


def _announce(settings: Settings, service: str, entry: registry.Instance) -> None:
    registry.announce(settings, service, entry)
    unfurnished = links.furnish(settings)
    if unfurnished:
        telemetry.logger("process").warning("links.unfurnished", reason=unfurnished)


def _build(settings: Settings, service: str, instance: str, release: str, metrics: telemetry.Metrics) -> Service:
    # Each service is imported by its own processes alone: agents must stay lean.
    if service == "gateway":
        from readiness.nexus.gateway import Gateway

        return Gateway(settings, release, metrics)
    if service == "orchestrator":
        from readiness.nexus.orchestrator import Orchestrator

        return Orchestrator(settings, release, metrics)
    if service == "knowledge":
        from readiness.nexus.knowledge import Knowledge

        return Knowledge(settings)
    if service == "provider":
        from readiness.nexus.provider import Provider

        return Provider(settings)
    from readiness.nexus.agent import Agent

    return Agent(settings, service, instance, release, metrics)


def _application(settings: Settings, service: str, instance: str, release: str, part: Service) -> Starlette:
    paths = settings.names.paths
    version = {
        "version": release or "standin",
        "component": settings.names.component(service),
        "speaks": list(as_built(release, settings.defects).speaks) if release else [],
    }

    async def live(_request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(_request: Request) -> Response:
        held = registry.hold_file(settings, instance).exists()
        reason = "held after a crash" if held else await part.ready()
        return JSONResponse({"status": "ready"} if reason is None else {"error": reason}, 503 if reason else 200)

    async def describe(_request: Request) -> Response:
        return JSONResponse(version)

    async def metrics(_request: Request) -> Response:
        return PlainTextResponse(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        try:
            await part.start()
        except NexusError as error:
            _log_refusal(service, error)
            raise
        yield
        await part.stop()

    common = ((paths.live, live), (paths.ready, ready), (paths.version, describe), (paths.metrics, metrics))
    routes: list[BaseRoute] = [Route(path, endpoint) for path, endpoint in common]
    layers = [*getattr(part, "outer", []), Middleware(Hop, settings=settings), *getattr(part, "inner", [])]
    return Starlette(routes=[*routes, *part.routes], middleware=layers, lifespan=lifespan)


def _listen(port: int, *, shared: bool = False) -> socket.socket:
    """Binds a port; a private one that is taken meanwhile is replaced by any free one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((LOOPBACK, port))
    except OSError:
        if shared or port == 0:
            listener.close()
            raise
        listener.bind((LOOPBACK, 0))
    return listener


class _Server(uvicorn.Server):
    """Announces the instance once it listens, and drains it when it is told to stop."""

    def __init__(self, config: uvicorn.Config, drain: Callable[[], None], announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain, self._announce = drain, announce
        self._loop = asyncio.get_running_loop()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        gc.freeze()
        gc.enable()
        if self.started:
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if sockets is not None and len(sockets) > 1:
            await draining.leave(self, sockets[1], 1)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._loop.call_soon_threadsafe(self._drain)
