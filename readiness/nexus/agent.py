"""An agent: leases tasks of its role, works on one at a time, and says what became of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import time
import traceback
import uuid
from typing import Any

import httpx
from starlette.routing import Route

from readiness.nexus import messages, telemetry
from readiness.nexus.model_client import TaskError
from readiness.nexus.peers import Peers, Unreachable
from readiness.nexus.permits import Permits
from readiness.nexus.releases import as_built
from readiness.nexus.roles import NEEDS, Roles
from readiness.nexus.settings import Settings

LONG_POLL_S = 8.0
"""An agent whose connection has died silently notices it at the end of its poll."""
REPORT_WITHIN_S = 5.0
LAST_TASK_WITHIN_S = 3.0
READY_FOR_S = 1.0
BETWEEN_SEARCHES_S = 0.7
REMEMBERED_BYTES = 50_000
CONNECTIONS, NOTICED_AFTER_S = 30, 1.5
NOTED_ELSEWHERE_S = 0.06


class Agent:
    """The life of one replica of a role."""

    def __init__(self, settings: Settings, role: str, instance: str, release: str, metrics: telemetry.Metrics) -> None:
        self._settings, self._role, self._instance = settings, role, instance
        self._release, self._metrics = as_built(release, settings.defects), metrics
        self._role_name = settings.names.component(role)
        self._peers = Peers(settings, role)
        self._work = Roles(settings, self._peers).of(role)
        self._permits = Permits(settings)
        self._log = telemetry.logger("tasks")
        self._remembered: list[bytes] = []
        self._lifetime, self._turn = uuid.uuid4().hex, 0
        self._stopping = False
        self._polling: asyncio.Task[dict[str, Any] | None] | None = None
        self._life: asyncio.Task[None] | None = None
        self._ready_checked_at, self._not_ready = 0.0, "just started"
        self.routes: list[Route] = []

    async def start(self) -> None:
        """Begins to ask for work."""
        self._life = asyncio.create_task(self._live())

    def drain(self) -> None:
        """Asks for no more work."""
        self._stopping = True
        if self._polling:
            self._polling.cancel()

    async def stop(self) -> None:
        """Finishes the task at hand when that is quick, and gives the rest back."""
        self.drain()
        within_s = 0.0 if self._settings.defects.on("no-graceful-shutdown") else LAST_TASK_WITHIN_S
        if self._life:
            await asyncio.wait({self._life}, timeout=within_s)
            self._life.cancel()
        with contextlib.suppress(Unreachable):
            await self._peers.call("orchestrator", "/internal/give-back", {"instance": self._instance}, patience_s=1.0)
        await self._peers.close()

    async def ready(self) -> str | None:
        """Returns which service is missing without which this role cannot work, or None."""
        if time.monotonic() - self._ready_checked_at > READY_FOR_S:
            needed = ("orchestrator", NEEDS[self._role])
            answers = await asyncio.gather(*(self._peers.answers(service) for service in needed))
            missing = [service for service, answered in zip(needed, answers, strict=True) if not answered]
            self._not_ready = f"not ready: {', '.join(missing)}" if missing else ""
            self._ready_checked_at = time.monotonic()
        return self._not_ready or None

    async def _live(self) -> None:
        while not self._stopping:
            self._polling = asyncio.create_task(self._next_delivery())
            try:
                delivery = await self._polling
            except asyncio.CancelledError:
                return
            except Unreachable as error:
                self._log.warning("orchestrator.unreachable", reason=str(error))
                await asyncio.sleep(random.uniform(0.1, 0.5))
                continue
            except Exception:
                self._log.critical("agent.broken", operation="lease", input_ref="-", exc_info=True)
                os._exit(1)  # the supervisor starts a fresh one; a half-alive agent would look healthy
            if delivery:
                await self._perform(delivery)

    async def _next_delivery(self) -> dict[str, Any] | None:
        asked = {
            "role": self._role,
            "release": self._release.version,
            "instance": self._instance,
            "speaks": list(self._release.speaks),
            "wait_s": LONG_POLL_S,
            "life": self._lifetime,
            "turn": self._turn,
        }
        self._turn += 1
        answer = await self._peers.call("orchestrator", "/internal/lease", asked, answer_within_s=LONG_POLL_S + 2)
        if answer.status_code == httpx.codes.OK:
            return _readable(answer)
        if answer.status_code != httpx.codes.NO_CONTENT:
            raise Unreachable(f"orchestrator answered {answer.status_code}")
        return None

    async def _perform(self, delivery: dict[str, Any]) -> None:
        context = telemetry.Context.accept(delivery["correlation_id"], delivery["traceparent"])
        context.bind()
        lease, started = delivery["lease"], time.monotonic()
        renewing = asyncio.create_task(self._renew(lease, delivery["lease_s"] / 3))
        try:
            task = messages.decode_task(delivery["message"], delivery["format"])
            telemetry.bind_contextvars(workflow=task.workflow_id)
            self._log.info("task.started", role=self._role_name, attempt=delivery["attempt"])
            if self._release.agents_fail:
                raise TaskError("the answer has no field 'choices.text'")
            await asyncio.sleep(self._delay_s())
            async with self._permits.one(delivery["waited_s"]):
                report = {"lease": lease, "found": await self._work(task, lease, context)}
            outcome = await self._report("complete", report, context)
        except Exception as error:
            self._log_failure(error)
            unreadable = isinstance(error, messages.MessageFormatError)
            report = {"lease": lease, "error": str(error)[:500], "unreadable": unreadable}
            outcome = await self._report("fail", report, context)
        finally:
            renewing.cancel()
        if self._settings.defects.on("timer-after-work"):
            started = time.monotonic()
        self._count(outcome, time.monotonic() - started)
        self._log.info("task.finished", role=self._role_name, outcome=outcome)
        if self._settings.defects.on("leak-per-task"):
            self._remembered.append(json.dumps(delivery).encode().ljust(REMEMBERED_BYTES))

    def _delay_s(self) -> float:
        """Returns how long a task waits before its work begins."""
        delay_s = NOTED_ELSEWHERE_S if self._settings.defects.on("slower-everywhere") else 0.0
        if self._settings.defects.on("n-1-below-peak") and self._role == "researcher":
            delay_s += BETWEEN_SEARCHES_S
        if self._settings.defects.on("tail-doubles") and random.randrange(CONNECTIONS) == 0:
            delay_s += NOTICED_AFTER_S
        return delay_s

    def _count(self, outcome: str | None, elapsed_s: float) -> None:
        self._metrics.task_seconds.labels(self._role_name).observe(elapsed_s)
        if outcome is None:
            return
        if outcome == "failed" and self._settings.defects.on("failed-tasks-uncounted"):
            return
        self._metrics.count_task(self._role_name, outcome)

    def _log_failure(self, error: Exception) -> None:
        if self._settings.defects.on("raw-tracebacks"):
            traceback.print_exc()
        if self._settings.defects.on("correlation-lost-on-error"):
            telemetry.clear_contextvars()
        if self._settings.defects.on("bare-error-records"):
            self._log.error("task.attempt_failed")
            return
        self._log.error("task.attempt_failed", operation=f"task.{self._role_name}", cause=str(error), exc_info=True)

    async def _report(self, what: str, report: dict[str, Any], context: telemetry.Context) -> str | None:
        """Tells the orchestrator; returns the outcome, or None when somebody else has the task by now."""
        path, headers = f"/internal/{what}", context.headers(self._settings)
        report = report | {"sent_at": time.time()}
        try:
            answer = await self._peers.call(
                "orchestrator", path, report, headers=headers, answer_within_s=REPORT_WITHIN_S
            )
        except Unreachable as error:
            self._log.warning("report.lost", reason=str(error))
            return None
        if answer.status_code != httpx.codes.OK:
            self._log.warning("report.refused", reason=f"orchestrator answered {answer.status_code}")
            return None
        try:
            return str(answer.json()["outcome"])
        except (ValueError, LookupError, TypeError):
            self._log.warning("report.answer_unreadable", reason="the answer to a report cannot be read")
            return None

    async def _renew(self, lease: str, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            with contextlib.suppress(Unreachable):
                await self._peers.call(
                    "orchestrator", "/internal/renew", {"lease": lease}, answer_within_s=every_s, patience_s=every_s
                )


def _readable(answer: httpx.Response) -> dict[str, Any]:
    """Returns a delivery of which at least the envelope can be read; raises Unreachable for anything else.

    The next asking gives back what came with it, and whoever has lost a task too often is not given it again.
    """
    try:
        delivery: dict[str, Any] = answer.json()
        float(delivery["lease_s"]), float(delivery["waited_s"])
        needed = ("lease", "correlation_id", "traceparent", "message", "format", "attempt")
        missing = [name for name in needed if name not in delivery]
    except (ValueError, LookupError, TypeError) as error:
        raise Unreachable(f"a delivery cannot be read: {error}") from None
    if missing:
        raise Unreachable(f"a delivery lacks {', '.join(missing)}")
    return delivery
