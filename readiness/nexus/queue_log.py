"""What the orchestrator writes of the changes of its queue."""

from __future__ import annotations

from typing import Any

from readiness.nexus import telemetry
from readiness.nexus.settings import Settings
from readiness.nexus.steps import Step


class QueueLog:
    """Writes one record for each change, in the context of its workflow."""

    def __init__(self, settings: Settings) -> None:
        self._names = settings.names
        self._log = telemetry.logger("queue")

    def outcome(self, step: Step) -> None:
        """Tells what became of an attempt."""
        role = self._names.component(step.role)
        if step.outcome == "failed":
            self._log.error(
                "task.failed", operation=f"task.{role}", input_ref=step.workflow_id, cause=step.error, role=role
            )
        elif step.outcome == "retried":
            self._log.warning("task.retried", role=role, reason=step.error)
        else:
            self._log.info("task.completed", role=role)

    def dispatch(self, delivery: dict[str, Any], instance: str) -> None:
        """Tells which agent was given a task."""
        telemetry.Context(delivery["correlation_id"], delivery["traceparent"]).bind()
        self._log.info("task.dispatched", to=instance, attempt=delivery["attempt"])
