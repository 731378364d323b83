"""Steps: what a transaction of the queue changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction changed, for the log, the metrics and those who wait."""

    workflow_id: str
    role: str
    release: str
    outcome: str  # done, failed, retried, or queued for a new task
    correlation_id: str
    traceparent: str
    next_role: str | None = None
    available_at: float = 0.0
    workflow_outcome: str | None = None
    workflow_s: float = 0.0
    error: str | None = None
    replayed: bool = False


def step_of(workflow: dict[str, Any], role: str, outcome: str, **more: Any) -> Step:
    """Describes a change of a workflow's task."""
    return Step(
        workflow_id=workflow["id"],
        role=role,
        release=workflow["release"],
        outcome=outcome,
        correlation_id=workflow["correlation_id"],
        traceparent=workflow["traceparent"],
        **more,
    )
