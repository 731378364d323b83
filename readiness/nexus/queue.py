"""The durable queue: workflows become tasks, tasks are leased, and each change is one transaction."""

from __future__ import annotations

import dataclasses
import json
import random
import time
import uuid
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, case, func, select

from readiness.nexus import access, handover, messages, store
from readiness.nexus.defects import Defects
from readiness.nexus.messages import Result, Task
from readiness.nexus.names import AGENT_ROLES
from readiness.nexus.queue_faults import QueueFaults, strike_off_from
from readiness.nexus.releases import Release
from readiness.nexus.settings import Settings
from readiness.nexus.sharing import ANY
from readiness.nexus.steps import Step, step_of
from readiness.nexus.store import tasks, workflows

LEASE_S = 5.0
MOST_DELIVERIES = 10
"""A task that has lost its agent so often is what kills them."""
FIRST_BACKOFF_S = 0.15


class Queue:
    """The rules of the queue for an orchestrator of one release, on an open transaction."""

    def __init__(
        self,
        release: Release,
        lease_key: str,
        *,
        lease_s: float = LEASE_S,
        most_leased: int | None = None,
        defects: Defects | None = None,
    ) -> None:
        self._format = release.message_format
        self._priorities = release.schema >= "0002"
        self._speaks = release.speaks
        self._key = lease_key
        self._lease_s, self._most_leased = lease_s, most_leased
        self._defects = defects or Defects()
        self._faults = QueueFaults(self._defects)

    @classmethod
    def of(cls, settings: Settings, release: Release) -> Queue:
        """Returns the rules of a deployment."""
        on = settings.defects.on
        lease_s, most = 90.0 if on("lease-outlives-agent") else LEASE_S, 2 if on("global-lock") else None
        key = settings.secret("lease.key")
        return cls(release, key, lease_s=lease_s, most_leased=most, defects=settings.defects)

    def knows(self, db: Connection, workflow_id: str) -> bool:
        """Tells whether a workflow was taken in already."""
        return db.execute(select(workflows.c.id).where(workflows.c.id == workflow_id)).first() is not None

    def accept(self, db: Connection, order: dict[str, Any]) -> Step | None:
        """Takes a workflow in and queues its first task; None when it was taken in before."""
        if self.knows(db, order["id"]):
            if not self._defects.on("duplicates-not-recognised"):
                return None
            order = order | {"id": f"{order['id']}.{uuid.uuid4().hex[:8]}"}
        now = time.time()
        columns = ("id", "caller", "plan", "input", "model", "release", "correlation_id", "traceparent")
        row = {name: order[name] for name in columns} | {"status": "queued", "created_at": now}
        if self._priorities:
            row["priority"] = order.get("priority", messages.NORMAL)
        db.execute(workflows.insert().values(row))
        task = Task(
            task_id=uuid.uuid4().hex,
            workflow_id=order["id"],
            role=AGENT_ROLES[0],
            plan=order["plan"],
            input=order["input"],
            model=order["model"],
            priority=order.get("priority", messages.NORMAL),
        )
        self._enqueue(db, task, order["release"], now)
        return step_of(row, task.role, "queued", next_role=task.role, available_at=now)

    def lease(
        self, db: Connection, role: str, release: str, instance: str, speaks: list[str], endings: str = ANY
    ) -> tuple[dict[str, Any] | None, list[Step]]:
        """Leases the next task of a role to an instance; returns the delivery, if any, and what changed.

        An instance asks only when it holds nothing, so whatever it held was lost with its last life. It is given
        tasks of workflows whose ids have one of the last digits alone.
        """
        steps = self._lost(db, tasks.c.instance == instance, forgotten=self._defects.on("task-dies-with-agent"))
        now = time.time()
        while (row := self._next_task(db, role, release, now, endings)) is not None:
            token = access.sign_lease(self._key, role, now + self._lease_s)
            try:
                task = messages.decode_task(json.loads(row["payload"]), self._format)
            except messages.MessageFormatError as error:
                steps.append(self._failed(db, row, str(error), retry=False))
                continue
            db.execute(
                tasks.update()
                .where(tasks.c.id == row["id"])
                .values(
                    status="leased",
                    lease_token=token,
                    lease_until=now + self._lease_s,
                    instance=instance,
                    attempts=row["attempts"] + 1,
                )
            )
            db.execute(workflows.update().where(workflows.c.id == task.workflow_id).values(status="running"))
            self._faults.handed_out(token, row["id"])
            workflow = self._workflow(db, task.workflow_id)
            common = max(set(speaks) & set(self._speaks), default=self._format)
            delivery = {
                "lease": token,
                "lease_s": self._lease_s,
                "waited_s": max(0.0, now - row["available_at"]),
                "format": common,
                "message": messages.encode_task(task, common),
                "attempt": row["attempts"] + 1,
                "correlation_id": workflow["correlation_id"],
                "traceparent": workflow["traceparent"],
            }
            return delivery, steps
        return None, steps

    def renew(self, db: Connection, token: str) -> bool:
        """Lengthens a live lease; False when it is lost."""
        renewed = db.execute(
            tasks.update()
            .where(tasks.c.lease_token == token, tasks.c.status == "leased")
            .values(lease_until=time.time() + self._lease_s)
        )
        return renewed.rowcount == 1

    def complete(self, db: Connection, token: str, found: Any, sent_at: float = 0.0) -> Step | None:
        """Ends a task and queues the next one or, after the last, writes the effect; None when the lease is lost.

        Raises MessageFormatError, before anything is changed, when what was found cannot be read.
        """
        row = self._leased(db, token)
        if row is None:
            return None
        again = self._faults.taken_again(row, token)
        if row["status"] == "done" and not again:
            return dataclasses.replace(self._ended(db, row, "done"), replayed=True)
        if row["status"] != "leased" and not again:
            return None
        task = messages.decode_task(json.loads(row["payload"]), self._format)
        following = handover.with_findings(task, found)
        ended = {"status": "done", "lease_until": None} | handover.spent(found)
        db.execute(tasks.update().where(tasks.c.id == row["id"]).values(ended))
        if self._faults.taken_for_old(sent_at):
            return self._ended(db, row, "done")
        if following.role == task.role:
            return self._finish(db, row, task)
        now = time.time()
        if again:
            strike_off_from(db, following)
        self._enqueue(db, following, row["release"], now)
        return self._ended(db, row, "done", next_role=following.role, available_at=now)

    def fail(self, db: Connection, token: str, error: str, budget: int, *, unreadable: bool = False) -> Step | None:
        """Notes a failed attempt: another one after a pause, or a dead letter; None when the lease is lost."""
        row = self._leased(db, token)
        if row is None or row["status"] == "done":
            return None
        if row["status"] != "leased":
            outcome = "failed" if row["status"] == "failed" else "retried"
            return dataclasses.replace(self._ended(db, row, outcome), replayed=True)
        if unreadable and self._defects.on("poison-retried-forever"):
            again = {"status": "queued", "available_at": time.time()}
            db.execute(tasks.update().where(tasks.c.id == row["id"]).values(again))
            return self._ended(db, row, "retried", next_role=row["role"], error=error)
        return self._failed(db, row, error, retry=row["failures"] + 1 < budget)

    def strike_off(self, db: Connection, instance: str) -> None:
        """Takes out what an instance holds."""
        db.execute(tasks.delete().where(tasks.c.instance == instance, tasks.c.status == "leased"))

    def give_back(self, db: Connection, instance: str) -> list[Step]:
        """Queues again whatever an instance holds."""
        return self._lost(db, tasks.c.instance == instance)

    def expire(self, db: Connection) -> tuple[list[Step], float | None]:
        """Queues again what was leased for too long; also returns when the next lease ends or pause is over."""
        now = time.time()
        steps = self._lost(db, tasks.c.lease_until <= now, forgotten=self._defects.on("task-dies-with-agent"))
        ends = select(func.min(tasks.c.lease_until)).where(tasks.c.status == "leased")
        pauses = select(func.min(tasks.c.available_at)).where(tasks.c.status == "queued", tasks.c.available_at > now)
        moments = [moment for moment in (db.scalar(ends), db.scalar(pauses)) if moment is not None]
        return steps, min(moments, default=None)

    def depth(self, db: Connection) -> int:
        """Counts the tasks that wait or run."""
        return self._count(db, "queued", "leased")

    def waiting(self, db: Connection) -> int:
        """Counts the tasks that no agent has taken yet."""
        return self._count(db, "queued")

    def _next_task(self, db: Connection, role: str, release: str, now: float, endings: str) -> RowMapping | None:
        if self._most_leased is not None and self._count(db, "leased") >= self._most_leased:
            return None
        waiting = select(tasks).where(
            tasks.c.status == "queued",
            tasks.c.role == role,
            tasks.c.release == release,
            tasks.c.available_at <= now,
        )
        if endings != ANY:
            waiting = waiting.where(func.substr(tasks.c.workflow_id, -1).in_(list(endings)))
        if self._priorities:
            rank = case({"high": 0, "low": 2}, value=workflows.c.priority, else_=1)
            waiting = waiting.join(workflows, workflows.c.id == tasks.c.workflow_id).order_by(rank)
        return db.execute(waiting.order_by(tasks.c.created_at).limit(1)).mappings().first()

    def _count(self, db: Connection, *states: str) -> int:
        return int(db.scalar(select(func.count()).select_from(tasks).where(tasks.c.status.in_(states))) or 0)

    def _enqueue(self, db: Connection, task: Task, release: str, now: float) -> None:
        db.execute(
            tasks.insert().values(
                id=task.task_id,
                workflow_id=task.workflow_id,
                position=AGENT_ROLES.index(task.role),
                role=task.role,
                status="queued",
                release=release,
                attempts=0,
                failures=0,
                available_at=now,
                payload=json.dumps(messages.encode_task(task, self._format)),
                created_at=now,
            )
        )

    def _finish(self, db: Connection, row: RowMapping, task: Task) -> Step:
        result = Result(task.draft, tuple(fact.id for fact in task.facts))
        now = time.time()
        # The effect's key is the workflow: a second one cannot be written, whoever runs this twice.
        effect = {"workflow_id": task.workflow_id, "content": task.draft, "created_at": now}
        db.execute(store.effects.insert().values(effect | self._faults.effect_key(db, task.workflow_id)))
        db.execute(
            workflows.update()
            .where(workflows.c.id == task.workflow_id)
            .values(
                status="done",
                result=json.dumps(messages.encode_result(result, self._format)),
                finished_at=now,
            )
        )
        return self._ended(db, row, "done", workflow_outcome="done", at=now)

    def _failed(self, db: Connection, row: RowMapping, error: str, *, retry: bool) -> Step:
        now, failures = time.time(), row["failures"] + 1
        if retry:
            pause_s = FIRST_BACKOFF_S * 2 ** (failures - 1) * random.uniform(0.5, 1.5)
            values = {"status": "queued", "failures": failures, "available_at": now + pause_s}
            db.execute(tasks.update().where(tasks.c.id == row["id"]).values(values))
            return self._ended(db, row, "retried", next_role=row["role"], available_at=now + pause_s, error=error)
        db.execute(tasks.update().where(tasks.c.id == row["id"]).values(status="failed", failures=failures))
        db.execute(
            store.dead_letters.insert().values(
                task_id=row["id"],
                workflow_id=row["workflow_id"],
                role=row["role"],
                payload=row["payload"],
                error=error,
                created_at=now,
            )
        )
        db.execute(
            workflows.update()
            .where(workflows.c.id == row["workflow_id"])
            .values(status="failed", error=f"{row['role']}: {error}", finished_at=now)
        )
        return self._ended(db, row, "failed", workflow_outcome="failed", at=now, error=error)

    def _lost(self, db: Connection, condition: ColumnElement[bool], *, forgotten: bool = False) -> list[Step]:
        steps: list[Step] = []
        if forgotten:
            db.execute(tasks.update().where(tasks.c.status == "leased", condition).values(lease_until=None))
            return steps
        for row in db.execute(select(tasks).where(tasks.c.status == "leased", condition)).mappings().all():
            if row["attempts"] >= MOST_DELIVERIES:
                steps.append(self._failed(db, row, f"lost its agent {row['attempts']} times", retry=False))
                continue
            values = {"status": "queued", "lease_token": None, "lease_until": None, "available_at": time.time()}
            db.execute(tasks.update().where(tasks.c.id == row["id"]).values(values))
            lost = f"agent {row['instance']} was lost"
            steps.append(self._ended(db, row, "retried", next_role=row["role"], error=lost))
        return steps

    def _leased(self, db: Connection, token: str) -> RowMapping | None:
        if access.lease_role(self._key, token) is None:
            return None
        return db.execute(select(tasks).where(self._faults.holder_of(token))).mappings().first()

    def _workflow(self, db: Connection, workflow_id: str) -> RowMapping:
        columns = [workflows.c[n] for n in ("id", "release", "correlation_id", "traceparent", "created_at")]
        return db.execute(select(*columns).where(workflows.c.id == workflow_id)).mappings().one()

    def _ended(self, db: Connection, row: RowMapping, outcome: str, *, at: float = 0.0, **more: Any) -> Step:
        workflow = self._workflow(db, row["workflow_id"])
        if at:
            more["workflow_s"] = at - workflow["created_at"]
        return step_of(dict(workflow) | {"release": row["release"]}, row["role"], outcome, **more)
