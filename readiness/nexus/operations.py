"""The operators' side of the gateway: who may do what, its audit record, and the permit to act."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from readiness.nexus import access, audit, configuration, store
from readiness.nexus.audit import AuditLog
from readiness.nexus.hop import context_of, json_object
from readiness.nexus.names import LEVELS
from readiness.nexus.settings import Settings

DETAILS = ("key", "release", "set", "service", "replicas", "instance")
"""What of a request stands in its audit record."""
ACT_THEMSELVES = frozenset({"status", "read-audit", "configure"})
"""Operations that the gateway does; the others are nexusctl's, which must hold a permit."""
MOST_IN_A_BATCH = 100


class Operations:
    """Serves operations, configuration and the audit log to the five access levels."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings, self._engine = settings, engine
        self._audit = AuditLog.of(settings)
        paths = settings.names.paths
        self.routes = [
            Route(f"{paths.operations}/{{operation}}", self.one, methods=["POST"]),
            Route(paths.operations, self.batch, methods=["POST"]),
            Route(paths.configuration, self.read_configuration),
            Route(f"{paths.configuration}/{paths.history}", self.read_history),
            Route(f"{paths.configuration}/{{key}}", self.put_configuration, methods=["PUT"]),
            Route(paths.audit, self.read_audit),
        ]

    async def one(self, request: Request) -> Response:
        """Does one operation, or tells whether it would be allowed."""
        asked = await json_object(request)
        if asked is None:
            return JSONResponse({"error": "the body must be a JSON object"}, 422)
        status, answer = await self._attempt(request, request.path_params["operation"], asked)
        return JSONResponse(answer, status)

    async def batch(self, request: Request) -> Response:
        """Decides on every operation of a batch; does all of them when all are allowed, else none."""
        asked = await json_object(request) or {}
        items = asked.get("batch")
        if not isinstance(items, list) or not 0 < len(items) <= MOST_IN_A_BATCH:
            return JSONResponse({"error": f"batch must be a list of 1 to {MOST_IN_A_BATCH} operations"}, 422)
        dry_run = bool(asked.get("dry_run", False))
        wanted = [item if isinstance(item, dict) else {} for item in items]
        statuses = []
        for item in wanted:
            operation = str(item.get("operation"))
            if self._settings.defects.on("bulk-bypasses-audit"):
                statuses.append(self._decide(request, operation))
            else:
                statuses.append(await self._authorise(request, operation, {"batch": True, "dry_run": dry_run}))
        worst = max(statuses)
        results = [
            {"operation": item.get("operation"), "status": status, "dry_run": dry_run}
            for item, status in zip(wanted, statuses, strict=True)
        ]
        if worst == 200 and not dry_run:
            for item, result in zip(wanted, results, strict=True):
                result["status"], done = await self._act(request, str(item["operation"]), item)
                result.update(done)
        return JSONResponse({"dry_run": dry_run, "results": results}, worst)

    async def read_configuration(self, request: Request) -> Response:
        """Shows the configuration to whoever may see the status."""
        status = self._decide(request, "status")
        return _refused(status) if status != 200 else JSONResponse(await self._read(configuration.read))

    async def read_history(self, request: Request) -> Response:
        """Shows every change of the configuration to whoever may see the status."""
        status = self._decide(request, "status")
        if status != 200:
            return _refused(status)
        return JSONResponse({"history": await self._read(configuration.history)})

    async def put_configuration(self, request: Request) -> Response:
        """Sets one value: the operation `configure`."""
        key, asked = request.path_params["key"], await json_object(request) or {}
        status, answer = await self._attempt(request, "configure", {"key": key, "value": asked.get("value")})
        return JSONResponse(answer, status)

    async def read_audit(self, request: Request) -> Response:
        """Shows the audit log, optionally of one correlation id: the operation `read-audit`."""
        status = await self._authorise(request, "read-audit", {})
        if status != 200:
            return _refused(status)
        wanted = request.query_params.get("correlation")
        return JSONResponse({"records": await run_in_threadpool(lambda: list(self._audit.read(wanted)))})

    async def _attempt(self, request: Request, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        dry_run = bool(asked.get("dry_run", False))
        detail = {"dry_run": dry_run} | {name: asked[name] for name in DETAILS if name in asked}
        status = await self._authorise(request, operation, detail)
        if status != 200:
            return status, {"error": _REASONS[status]}
        if dry_run:
            return 200, {"operation": operation, "dry_run": True}
        return await self._act(request, operation, asked)

    async def _act(self, request: Request, operation: str, asked: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        done: dict[str, Any] = {"operation": operation, "dry_run": False}
        if operation == "configure":
            key, value = str(asked.get("key")), asked.get("value")
            reason = configuration.refusal(key, value)
            if reason:
                return 422, {"error": reason}
            await self._write(configuration.put, key, value, request.state.holder)
            return 200, done | {"key": key, "value": value}
        if operation not in ACT_THEMSELVES:
            correlation = context_of(request).correlation_id
            permit = await self._write(access.issue_permit, operation, request.state.holder, correlation)
            return 200, done | {"permit": permit}
        return 200, done

    def _decide(self, request: Request, operation: str) -> int:
        holder = request.state.holder
        if holder is None:
            return 401
        if operation not in access.OPERATIONS:
            return 404
        return 200 if access.may(self._settings, holder, operation) else 403

    async def _authorise(self, request: Request, operation: str, detail: dict[str, Any]) -> int:
        """Decides, and writes the audit record before anybody learns of the decision."""
        status, holder = self._decide(request, operation), request.state.holder
        await run_in_threadpool(
            self._audit.append,
            self._settings.names.level(holder) if holder in LEVELS else holder or "unknown",
            operation,
            audit.ALLOWED if status == 200 else audit.DENIED,
            context_of(request).correlation_id,
            " ".join(f"{key}={value}" for key, value in detail.items()),
        )
        return status

    async def _read(self, read: Any) -> Any:
        def in_thread() -> Any:
            with store.reading(self._engine) as db:
                return read(db)

        return await run_in_threadpool(in_thread)

    async def _write(self, change: Any, *arguments: Any) -> Any:
        def in_thread() -> Any:
            with store.writing(self._engine) as db:
                return change(db, *arguments)

        return await run_in_threadpool(in_thread)


_REASONS = {401: "a known token is required", 403: "this level may not do that", 404: "no such operation"}


def _refused(status: int) -> Response:
    return JSONResponse({"error": _REASONS[status]}, status)
