"""The orchestrator: takes workflows in, hands their tasks to the agents and notes what becomes of them."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from readiness.nexus import configuration, schema, store, telemetry, workflow_state
from readiness.nexus.admission import RETRY_AFTER_S, Admission, OverloadedError
from readiness.nexus.deliveries import Deliveries
from readiness.nexus.errors import NexusError
from readiness.nexus.hop import internal, json_object
from readiness.nexus.intake import Intake
from readiness.nexus.messages import MessageFormatError
from readiness.nexus.queue import Queue
from readiness.nexus.queue_log import QueueLog
from readiness.nexus.releases import as_built
from readiness.nexus.settings import Settings
from readiness.nexus.sharing import Sharing
from readiness.nexus.steps import Step

T = TypeVar("T")
LONGEST_SLEEP_S = 30.0
BUSY = 20
"""Tasks that wait, from which on there is more to do than two seconds' work."""
BUSY_PAUSE_S = 1.0
"""Without it those who ask again and again take the time of the work that they ask after: 60 of them half of it."""
LOST_LEASE = JSONResponse({"error": "this lease is not live"}, 409)


class WrongSchema(NexusError):
    """The database is at another revision than this release works with."""


class Orchestrator:
    """Serves the internal interface of the queue; one thread holds the database, so that the loop never waits."""

    def __init__(self, settings: Settings, release: str, metrics: telemetry.Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._release = as_built(release, settings.defects)
        self._queue = Queue.of(settings, self._release)
        self._admission = Admission(settings, self._queue)
        self._sharing = Sharing(settings)
        self._engine = settings.engine()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._log, self._queue_log = telemetry.logger("queue"), QueueLog(settings)
        self._deliveries = Deliveries()
        self._intake = Intake() if settings.defects.on("accepted-in-memory") else None
        metrics.queue_depth.set_function(self._depth)
        self._waiting: dict[tuple[str, str], asyncio.Event] = {}
        self._timetable = asyncio.Event()
        self._asleep_until = 0.0
        self._background: list[asyncio.Task[None]] = []
        self._draining = False
        guard = internal(settings)
        self.routes = [
            Route("/internal/workflows", guard(self.accept), methods=["POST"]),
            Route("/internal/workflows/{id}", guard(self.read)),
            *(
                Route(f"/internal/{name}", guard(endpoint), methods=["POST"])
                for name, endpoint in (
                    ("lease", self.lease),
                    ("renew", self.renew),
                    ("complete", self.complete),
                    ("fail", self.fail),
                    ("give-back", self.give_back),
                )
            ),
        ]

    async def start(self) -> None:
        """Refuses a schema of another release, then watches leases and pauses."""
        revision = schema.current_revision(self._settings)
        if revision != self._release.schema:
            raise WrongSchema(
                f"schema revision is {revision}, release {self._release.version} needs {self._release.schema}"
            )
        self._background.append(asyncio.create_task(self._watch_deadlines()))
        if self._intake:
            self._background.append(asyncio.create_task(self._intake.hand_on(self._take_in)))

    async def stop(self) -> None:
        """Ends the watch and closes the database."""
        for task in self._background:
            task.cancel()
        self._thread.shutdown()
        self._engine.dispose()

    def drain(self) -> None:
        """Sends the waiting agents away; they come back to the successor."""
        self._draining = True
        for event in self._waiting.values():
            event.set()

    async def ready(self) -> str | None:
        """Returns why no work can be taken in, or None: really writes a row, and takes it back."""
        try:
            await self._run(_try_to_write)
        except SQLAlchemyError as error:
            return f"cannot write the operational state: {type(error).__name__}"
        return None

    async def accept(self, request: Request) -> Response:
        """Takes a workflow in while there is room; the same id again is answered the same and changes nothing."""
        order = await json_object(request) or {}
        telemetry.bind_contextvars(workflow=order["id"])
        if self._intake:
            self._intake.hold(order)
            return JSONResponse({"id": order["id"], "waiting": 0}, 202)
        try:
            with self._admission.entering():
                step, waiting = await self._write(lambda db: self._admission.take_in(db, order))
        except OverloadedError as error:
            self._log.warning("workflow.refused", reason=str(error))
            return JSONResponse({"error": "too much work waits", "retry_after_s": RETRY_AFTER_S}, 429)
        self._taken_in(order, step)
        return JSONResponse({"id": order["id"], "waiting": waiting}, 202)

    def _taken_in(self, order: dict[str, Any], step: Step | None) -> None:
        if step:
            self._log.info("workflow.enqueued", plan=order["plan"], for_release=order["release"])
            self._announce([step])

    async def _take_in(self, orders: list[dict[str, Any]]) -> None:
        for order in orders:
            self._taken_in(order, await self._write(partial(self._queue.accept, order=order)))

    async def read(self, request: Request) -> Response:
        """Returns the state of a workflow; whoever asks after one that waits is slowed down when many do."""
        identity, whole = request.path_params["id"], self._settings.defects.on("unbounded-history")
        if self._intake and (held := self._intake.shown(identity)):
            return JSONResponse(held)
        found, busy = await self._run(
            lambda db: (
                workflow_state.read(db, self._release, identity, with_history=whole),
                self._queue.waiting(db) >= BUSY,
            ),
            store.reading,
        )
        if found and busy and found["status"] in workflow_state.OPEN:
            await asyncio.sleep(BUSY_PAUSE_S)
        return JSONResponse(found) if found else JSONResponse({"error": "no such workflow"}, 404)

    async def lease(self, request: Request) -> Response:
        """Waits until there is a task for the agent that asks, or its time is over (204)."""
        asked = await json_object(request) or {}
        role, release = asked["role"], asked["release"]
        until = time.monotonic() + asked["wait_s"]
        gone = asyncio.create_task(_disconnected(request))
        try:
            while not (self._draining or gone.done()):
                event = self._waiting.setdefault((role, release), asyncio.Event())
                delivery = await self._next(role, release, asked)
                if delivery:
                    return JSONResponse(delivery)
                remaining_s = until - time.monotonic()
                if remaining_s <= 0:
                    return Response(status_code=204)
                woken = asyncio.create_task(event.wait())
                await asyncio.wait({woken, gone}, timeout=remaining_s, return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
        finally:
            gone.cancel()
        return JSONResponse({"error": "going away"}, 503)

    async def _next(self, role: str, release: str, asked: Any) -> dict[str, Any] | None:
        instance, speaks = asked["instance"], asked["speaks"]
        async with self._deliveries.asking(instance):
            if self._deliveries.is_past(asked):
                return None
            given = self._deliveries.again(asked)
            if given is not None:
                lease = given["lease"]
                if await self._write(lambda db: self._queue.renew(db, lease)):
                    return given
            endings = self._sharing.endings(role, release, instance)
            delivery, steps = await self._write(
                lambda db: self._queue.lease(db, role, release, instance, speaks, endings)
            )
            self._lost(steps)
            if delivery:
                self._deliveries.note(asked, delivery)
                self._queue_log.dispatch(delivery, instance)
                self._look_again_at(time.time() + delivery["lease_s"])
            return delivery

    async def renew(self, request: Request) -> Response:
        """Lengthens a lease."""
        asked = await json_object(request) or {}
        live = await self._write(lambda db: self._queue.renew(db, asked["lease"]))
        return JSONResponse({"live": True}) if live else LOST_LEASE

    async def complete(self, request: Request) -> Response:
        """Ends a task with what its agent found."""
        asked = await json_object(request) or {}
        lease, sent_at = asked.get("lease", ""), asked.get("sent_at", 0.0)
        try:
            step = await self._write(lambda db: self._queue.complete(db, lease, asked.get("found"), sent_at))
        except MessageFormatError as error:
            return await self._failed(lease, str(error))
        if step is None:
            return LOST_LEASE
        self._announce([step])
        return JSONResponse({"outcome": step.outcome})

    async def fail(self, request: Request) -> Response:
        """Notes a failed attempt and answers whether there will be another."""
        asked = await json_object(request) or {}
        unreadable = bool(asked.get("unreadable", False))
        return await self._failed(asked.get("lease", ""), str(asked.get("error")), unreadable=unreadable)

    async def _failed(self, lease: str, error: str, *, unreadable: bool = True) -> Response:
        def change(db: Connection) -> Step | None:
            budget = configuration.number(db, "task_attempts")
            return self._queue.fail(db, lease, error, budget, unreadable=unreadable)

        step = await self._write(change)
        if step is None:
            return LOST_LEASE
        self._announce([step])
        return JSONResponse({"outcome": step.outcome})

    async def give_back(self, request: Request) -> Response:
        """Queues again what an agent holds that is going away."""
        asked = await json_object(request) or {}
        self._sharing.left(asked["instance"])
        if self._settings.defects.on("no-graceful-shutdown"):
            await self._write(lambda db: self._queue.strike_off(db, asked["instance"]))
        steps = await self._write(lambda db: self._queue.give_back(db, asked["instance"]))
        self._lost(steps)
        return JSONResponse({"given_back": len(steps)})

    def _depth(self) -> float:
        try:
            with store.reading(self._engine) as db:
                return self._queue.depth(db)
        except SQLAlchemyError:
            return math.nan

    async def _watch_deadlines(self) -> None:
        while True:
            self._timetable.clear()
            moment: float | None = None
            try:
                steps, moment = await self._write(self._queue.expire)
                self._lost(steps)
            except SQLAlchemyError as error:
                moment = time.time() + 1.0
                self._log.error("deadlines.unread", operation="queue.expire", cause=f"{type(error).__name__}: {error}")
            self._wake_all()
            self._asleep_until = min(moment or math.inf, time.time() + LONGEST_SLEEP_S)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._timetable.wait(), max(0.005, self._asleep_until - time.time()))

    def _lost(self, steps: list[Step]) -> None:
        """Counts what no agent can count any more, because the agent is gone."""
        for step in steps:
            self._metrics.count_task(self._settings.names.component(step.role), step.outcome)
        self._announce(steps)

    def _announce(self, steps: list[Step]) -> None:
        """Logs and counts what was committed, and wakes the agents that it concerns."""
        for step in steps:
            if step.replayed:
                continue
            telemetry.Context(step.correlation_id, step.traceparent).bind(step.workflow_id)
            if step.outcome != "queued":
                self._queue_log.outcome(step)
            if step.workflow_outcome:
                self._metrics.workflows.labels(self._metrics.outcomes[step.workflow_outcome]).inc()
                self._metrics.workflow_seconds.observe(step.workflow_s)
                self._log.info("workflow.ended", outcome=step.workflow_outcome)
            if step.available_at > time.time():
                self._look_again_at(step.available_at)
            elif step.next_role:
                self._wake(step.next_role, step.release)
            if self._settings.defects.on("global-lock"):
                self._wake_all()

    def _look_again_at(self, moment: float) -> None:
        if moment < self._asleep_until:
            self._timetable.set()

    def _wake(self, role: str, release: str) -> None:
        event = self._waiting.pop((role, release), None)
        if event:
            event.set()

    def _wake_all(self) -> None:
        for role, release in list(self._waiting):
            self._wake(role, release)

    async def _write(self, change: Callable[[Connection], T]) -> T:
        return await self._run(change)

    async def _run(
        self,
        work: Callable[[Connection], T],
        scope: Callable[..., contextlib.AbstractContextManager[Connection]] = store.writing,
    ) -> T:
        def in_thread() -> T:
            with scope(self._engine) as db:
                return work(db)

        return await asyncio.get_running_loop().run_in_executor(self._thread, in_thread)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _try_to_write(db: Connection) -> None:
    with db.begin_nested() as savepoint:
        db.execute(store.weights.insert().values(release="readiness-probe", percent=0))
        savepoint.rollback()
