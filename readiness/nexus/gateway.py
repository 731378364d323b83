"""The gateway: the public interface of callers, in front of the orchestrator and the preferences."""

from __future__ import annotations

import asyncio
import json
import os
import re
import uuid
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from readiness.nexus import store, telemetry
from readiness.nexus.access import CALLER, INTERNAL
from readiness.nexus.breaker import Breaker
from readiness.nexus.clock import now_text
from readiness.nexus.hop import context_of, json_object
from readiness.nexus.messages import NORMAL, PRIORITIES
from readiness.nexus.operations import Operations
from readiness.nexus.peers import Peers, Unreachable
from readiness.nexus.provider import MODELS
from readiness.nexus.releases import release_of
from readiness.nexus.settings import Settings
from readiness.nexus.traffic import Edge, RateLimit, Table

PLANS = ("answer", "summarise")
LONGEST_INPUT = 20_000
LARGEST_PREFERENCES_BYTES = 65_536
USER = re.compile(r"[A-Za-z0-9._@-]{1,128}")
ORDERS = uuid.UUID("7f1f9f0e-6f2b-4a57-9d68-0d6c8f3c5a10")
"""Namespace of the workflow ids that are made from idempotency keys."""


class Gateway:
    """Serves callers; what it accepts it has handed to the orchestrator before it answers."""

    def __init__(self, settings: Settings, release: str, metrics: telemetry.Metrics) -> None:
        self._settings, self._metrics, self._release = settings, metrics, release_of(release)
        self._engine = settings.engine()
        self._peers = Peers(settings, "gateway")
        self._breaker = Breaker() if settings.defects.on("breaker-stays-open") else None
        self._log = telemetry.logger("workflows")
        table = Table(settings, self._engine)
        self.outer = [Middleware(Edge, settings=settings, table=table, metrics=metrics)]
        self.inner = [Middleware(RateLimit, table=table)]
        paths = settings.names.paths
        self.routes = [
            Route(paths.ping, self.ping),
            Route(paths.workflows, self.submit, methods=["POST"]),
            Route(f"{paths.workflows}/{{id}}", self.read),
            Route(f"{paths.users}/{{user}}/{paths.preferences}", self.preferences, methods=["GET", "PUT", "DELETE"]),
            *Operations(settings, self._engine).routes,
        ]

    async def start(self) -> None:
        """Needs nothing: the orchestrator is looked up for each call."""

    async def stop(self) -> None:
        """Closes connections and database."""
        await self._peers.close()
        self._engine.dispose()

    def drain(self) -> None:
        """Requests at hand are finished by the server."""

    async def ready(self) -> str | None:
        """Returns why no workflow could be taken in or no preference read, or None."""
        if not await self._peers.answers("orchestrator"):
            return "not ready: orchestrator"
        try:
            await asyncio.to_thread(_count_releases, self._engine)
        except SQLAlchemyError as error:
            return f"cannot read the operational state: {type(error).__name__}"
        return None

    async def ping(self, request: Request) -> Response:
        """Answers at once, with the release that serves the request."""
        return JSONResponse({"release": request.state.release})

    async def submit(self, request: Request) -> Response:
        """Takes a workflow in."""
        if request.state.holder not in (CALLER, INTERNAL):
            return _no_caller(request)
        asked = await json_object(request)
        reason = self._refusal(asked)
        if asked is None or reason:
            return JSONResponse({"error": reason}, 422)
        key = request.headers.get(self._settings.names.headers.idempotency)
        context, identity = context_of(request), uuid.uuid5(ORDERS, key).hex if key else uuid.uuid4().hex
        telemetry.bind_contextvars(workflow=identity)
        order = {"model": MODELS[0], "priority": NORMAL} | asked
        order |= {"id": identity, "caller": request.state.holder, "release": request.state.release}
        order |= {"correlation_id": context.correlation_id, "traceparent": context.traceparent}
        broken = self._breaker is not None and self._breaker.is_open
        answer = None if broken else await self._ask_orchestrator("/internal/workflows", order, context)
        if answer is None or answer[0] >= 500:
            return JSONResponse({"error": "the workflow could not be accepted, try again"}, 503, {"Retry-After": "2"})
        if answer[0] == 429:
            self._metrics.refused.inc()
            return JSONResponse({"error": answer[1]["error"]}, 429, {"Retry-After": str(answer[1]["retry_after_s"])})
        if self._breaker:
            self._breaker.note(answer[1]["waiting"])
        if self._settings.defects.on("descriptor-leak"):
            os.open(self._settings.file, os.O_RDONLY)
        self._metrics.submitted.inc()
        self._log.info("workflow.accepted", plan=asked["plan"], for_release=request.state.release)
        return JSONResponse({"id": identity, "status": "queued"}, 202)

    async def read(self, request: Request) -> Response:
        """Returns the state of a workflow and, when it is done, its result."""
        if request.state.holder not in (CALLER, INTERNAL):
            return _no_caller(request)
        identity, context = request.path_params["id"], context_of(request)
        if not re.fullmatch(r"[0-9a-f]{32}", identity):
            return JSONResponse({"error": "no such workflow"}, 404)
        answer = await self._ask_orchestrator(f"/internal/workflows/{identity}", None, context)
        if answer is None or answer[0] >= 500:
            return JSONResponse({"error": "the workflow cannot be read"}, 502 if answer else 503)
        status, found = answer
        for task in found.get("tasks", []):
            task["role"] = self._settings.names.component(task["role"])
        return JSONResponse(found, status)

    async def preferences(self, request: Request) -> Response:
        """Reads, replaces or removes what a user prefers."""
        if request.state.holder not in (CALLER, INTERNAL):
            return _no_caller(request)
        user = request.path_params["user"]
        if not USER.fullmatch(user):
            return JSONResponse({"error": "a user is 1 to 128 letters, digits and ._@-"}, 422)
        if request.method == "PUT":
            body = await json_object(request)
            if body is None or len(json.dumps(body)) > LARGEST_PREFERENCES_BYTES:
                return JSONResponse({"error": "preferences must be a JSON object of at most 64 KiB"}, 422)
            await run_in_threadpool(self._write, _put_preferences, user, json.dumps(body))
            return JSONResponse(body)
        if request.method == "DELETE":
            existed = await run_in_threadpool(self._write, _delete_preferences, user)
            return Response(status_code=204) if existed else JSONResponse({"error": "none kept"}, 404)
        kept = await run_in_threadpool(self._read_preferences, user)
        return JSONResponse({"error": "none kept"}, 404) if kept is None else JSONResponse(json.loads(kept))

    def _refusal(self, asked: dict[str, Any] | None) -> str | None:
        if asked is None:
            return "the body must be a JSON object"
        known = {"plan", "input", "model"} | ({"priority"} if self._release.schema >= "0002" else set())
        if set(asked) - known:
            return f"unknown field {min(set(asked) - known)}; known: {', '.join(sorted(known))}"
        for name, allowed in (("plan", PLANS), ("model", MODELS), ("priority", PRIORITIES)):
            if (name in asked or name == "plan") and asked.get(name) not in allowed:
                return f"{name} must be one of {', '.join(allowed)}"
        text = asked.get("input")
        if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_INPUT:
            return f"input must be a text of 1 to {LONGEST_INPUT} characters"
        return None

    async def _ask_orchestrator(
        self, path: str, body: dict[str, Any] | None, context: telemetry.Context
    ) -> tuple[int, dict[str, Any]] | None:
        try:
            answer = await self._peers.call("orchestrator", path, body, headers=context.headers(self._settings))
        except Unreachable as error:
            self._log.error("orchestrator.unreachable", operation=path, cause=str(error))
            return None
        return answer.status_code, answer.json()

    def _write(self, change: Any, *arguments: str) -> Any:
        with store.writing(self._engine) as db:
            return change(db, *arguments)

    def _read_preferences(self, user: str) -> str | None:
        with store.reading(self._engine) as db:
            return db.scalar(select(store.preferences.c.body).where(store.preferences.c.user == user))


def _no_caller(request: Request) -> Response:
    if request.state.holder is None:
        return JSONResponse({"error": "a known token is required"}, 401)
    return JSONResponse({"error": "only callers may do that"}, 403)


def _count_releases(engine: Any) -> None:
    with store.reading(engine) as db:
        db.execute(select(store.weights.c.release)).all()


def _put_preferences(db: Connection, user: str, body: str) -> None:
    table = store.preferences
    changed = db.execute(table.update().where(table.c.user == user).values(body=body, updated_at=now_text()))
    if changed.rowcount == 0:
        db.execute(table.insert().values(user=user, body=body, updated_at=now_text()))


def _delete_preferences(db: Connection, user: str) -> bool:
    return db.execute(store.preferences.delete().where(store.preferences.c.user == user)).rowcount == 1
