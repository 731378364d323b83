"""The two formats of task messages and of workflow results, and the way between them in both directions.

Format v1 (release 2.2) is flat; format v2 (since 2.3) groups its fields and carries a priority, which v1 cannot hold.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

NORMAL = "normal"
PRIORITIES = ("high", NORMAL, "low")


class MessageFormatError(ValueError):
    """A message is not in the format in which it has to be."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A document that a researcher found."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Task:
    """What an agent is told: the work of one step and what the steps before it found."""

    task_id: str
    workflow_id: str
    role: str
    plan: str
    input: str
    model: str
    priority: str = NORMAL
    steps: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    draft: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished workflow answers."""

    answer: str
    citations: tuple[str, ...] = field(default_factory=tuple)


def encode_task(task: Task, version: str) -> dict[str, Any]:
    """Writes a task in a format; v1 loses the priority."""
    facts = [asdict(fact) for fact in task.facts]
    if version == "v1":
        flat = {key: value for key, value in asdict(task).items() if key != "priority"}
        return flat | {"steps": list(task.steps), "facts": facts}
    return {
        "format": "v2",
        "task": {"id": task.task_id, "role": task.role},
        "workflow": {"id": task.workflow_id, "plan": task.plan, "model": task.model, "priority": task.priority},
        "content": {"input": task.input, "steps": list(task.steps), "facts": facts, "draft": task.draft},
    }


def decode_task(message: dict[str, Any], version: str) -> Task:
    """Reads a task that must be in the given format; raises MessageFormatError when it is not."""
    try:
        if version == "v1":
            facts = tuple(Fact(**fact) for fact in message["facts"])
            return Task(**{**message, "facts": facts, "steps": tuple(message["steps"])})
        task, workflow, content = message["task"], message["workflow"], message["content"]
        return Task(
            task_id=task["id"],
            role=task["role"],
            workflow_id=workflow["id"],
            plan=workflow["plan"],
            model=workflow["model"],
            priority=workflow["priority"],
            input=content["input"],
            steps=tuple(content["steps"]),
            facts=tuple(Fact(**fact) for fact in content["facts"]),
            draft=content["draft"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise MessageFormatError(f"task message is not in format {version}: {error}") from error


def encode_result(result: Result, version: str) -> dict[str, Any]:
    """Writes a workflow's result in a format."""
    if version == "v1":
        return {"answer": result.answer, "citations": list(result.citations)}
    return {"format": "v2", "document": {"text": result.answer, "sources": list(result.citations)}}


def decode_result(stored: dict[str, Any], version: str) -> Result:
    """Reads a workflow's result that must be in the given format; raises MessageFormatError when it is not."""
    try:
        if version == "v1":
            return Result(stored["answer"], tuple(stored["citations"]))
        return Result(stored["document"]["text"], tuple(stored["document"]["sources"]))
    except (KeyError, TypeError) as error:
        raise MessageFormatError(f"result is not in format {version}: {error}") from error


def format_of(message: dict[str, Any]) -> str:
    """Tells the format of a message or result."""
    return str(message.get("format", "v1"))


def convert_task(message: dict[str, Any], version: str) -> dict[str, Any]:
    """Rewrites a task message, in whichever format it is, in the given one."""
    return encode_task(decode_task(message, format_of(message)), version)


def convert_result(stored: dict[str, Any], version: str) -> dict[str, Any]:
    """Rewrites a result, in whichever format it is, in the given one."""
    return encode_result(decode_result(stored, format_of(stored)), version)
