"""What a finished task hands to the next one: read strictly, so that what is spoilt is found here and not there."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

from readiness.nexus.messages import Fact, MessageFormatError, Task
from readiness.nexus.names import AGENT_ROLES


def following(role: str) -> str | None:
    """Returns the role that comes after another, or None after the last."""
    position = AGENT_ROLES.index(role) + 1
    return AGENT_ROLES[position] if position < len(AGENT_ROLES) else None


def with_findings(task: Task, found: Any) -> Task:
    """Returns the next task, with what was found; after the last role, the task itself.

    Raises MessageFormatError when what was found cannot be read or is not what the role has to find.
    """
    try:
        findings = _findings(task.role, found)
    except (KeyError, TypeError, ValueError) as error:
        raise MessageFormatError(f"what the {task.role} found cannot be read: {error}") from error
    successor = following(task.role)
    if successor is None:
        return task
    return dataclasses.replace(task, task_id=uuid.uuid4().hex, role=successor, **findings)


def spent(found: dict[str, Any]) -> dict[str, int]:
    """Returns how many tokens and calls a task took at the provider."""
    taken = {name: found.get(name, 0) for name in ("tokens", "calls")}
    return {name: number for name, number in taken.items() if isinstance(number, int) and number >= 0}


def _findings(role: str, found: Any) -> dict[str, Any]:
    if role == "planner":
        return {"steps": tuple(_text(step) for step in _list(found["steps"]))}
    if role == "researcher":
        return {"facts": tuple(Fact(_text(fact["id"]), _text(fact["text"])) for fact in _list(found["facts"]))}
    if role == "writer":
        return {"draft": _text(found["draft"])}
    if found["approved"] is not True:
        raise ValueError("it was not approved")
    return {}


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{type(value).__name__} where a list was meant")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} where a text was meant")
    return value
