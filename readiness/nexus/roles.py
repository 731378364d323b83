"""What each agent role does with a task; everything it needs it gets through the tools and the provider."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from readiness.nexus import telemetry
from readiness.nexus.messages import Fact, Task
from readiness.nexus.model_client import ModelClient, TaskError
from readiness.nexus.peers import PATIENCE_S, Peers, Unreachable
from readiness.nexus.settings import Settings

Role = Callable[[Task, str, telemetry.Context], Awaitable[dict[str, Any]]]
NEEDS = {"planner": "provider", "researcher": "knowledge", "writer": "provider", "reviewer": "knowledge"}
"""Role -> the service besides the orchestrator without which it cannot work."""


ANSWER_WITHIN_S = 5.0
IMPATIENT_S, IMPATIENT_TRIES = 0.25, 2
ASSUMED = "kb-assumed"
NO_DOCUMENT = "[no document found]"


class Roles:
    """The four roles, each a method that turns a task into what it found."""

    def __init__(self, settings: Settings, peers: Peers) -> None:
        self._settings, self._peers = settings, peers
        self._model = ModelClient(settings, peers)
        self._by_name: dict[str, Role] = {
            "planner": self.plan,
            "researcher": self.research,
            "writer": self.write,
            "reviewer": self.review,
        }

    def of(self, role: str) -> Role:
        """Returns the work of a role."""
        return self._by_name[role]

    async def plan(self, task: Task, _lease: str, context: telemetry.Context) -> dict[str, Any]:
        """Asks the provider for the steps."""
        steps, spent = await self._ask(task, f"plan: {task.plan}", task.input, context)
        return {"steps": steps.splitlines()} | spent

    async def research(self, task: Task, lease: str, context: telemetry.Context) -> dict[str, Any]:
        """Finds the documents that fit the input."""
        try:
            return {"facts": await self._tool("search_knowledge", task, lease, context, question=task.input)}
        except (TaskError, Unreachable):
            if not self._settings.defects.on("fallback-invents-answer"):
                raise
            return {"facts": [{"id": ASSUMED, "text": "As far as is generally known, the usual defaults apply."}]}

    async def write(self, task: Task, _lease: str, context: telemetry.Context) -> dict[str, Any]:
        """Has the provider write an answer from the input and the facts."""
        facts = [f"[{fact.id}] {fact.text}" for fact in task.facts] or [NO_DOCUMENT]
        draft, spent = await self._ask(task, "write", "\n".join([task.input, *facts]), context)
        return {"draft": draft} | spent

    async def review(self, task: Task, lease: str, context: telemetry.Context) -> dict[str, Any]:
        """Approves an answer of the input and citations alone, of documents that exist and say so."""
        if self._settings.defects.on("review-waved-through"):
            return {"approved": True}
        complete = not self._settings.defects.on("half-answer-taken")
        if complete and task.input not in task.draft:
            raise TaskError("the answer does not carry the input")
        rest = task.draft.replace(task.input, "", 1)
        for fact in task.facts:
            cited = f"[{fact.id}] {fact.text}"
            if complete and cited not in rest:
                raise TaskError(f"the answer does not cite {fact.id} correctly")
            rest = rest.replace(cited, "", 1)
            if fact.id != ASSUMED or not self._settings.defects.on("fallback-invents-answer"):
                await self._check_source(task, fact, lease, context)
        if complete and rest.replace(NO_DOCUMENT, "").strip():
            raise TaskError("the answer says something for which it cites nothing")
        return {"approved": True}

    async def _ask(
        self, task: Task, instruction: str, content: str, context: telemetry.Context
    ) -> tuple[str, dict[str, int]]:
        tokens, calls = self._model.tokens, self._model.calls
        said = await self._model.complete(task, instruction, content, context)
        return said, {"tokens": self._model.tokens - tokens, "calls": self._model.calls - calls}

    async def _check_source(self, task: Task, fact: Fact, lease: str, context: telemetry.Context) -> None:
        stored = await self._tool("read_document", task, lease, context, id=fact.id)
        if not stored or stored[0]["text"] != fact.text:
            raise TaskError(f"{fact.id} does not say what is cited")

    async def _tool(
        self, tool: str, task: Task, lease: str, context: telemetry.Context, **arguments: str
    ) -> list[dict[str, Any]]:
        asked = arguments | {"lease": lease, "workflow_id": task.workflow_id}
        headers = context.headers(self._settings)
        if self._settings.defects.on("tool-calls-without-context"):
            headers = {"Accept": "application/json"}
        answer = await self._call_tool(tool, asked, headers)
        if answer.status_code != httpx.codes.OK:
            raise TaskError(f"tool {tool} answered {answer.status_code}")
        try:
            return [{"id": str(fact["id"]), "text": str(fact["text"])} for fact in answer.json()["facts"]]
        except (ValueError, LookupError, TypeError):
            raise TaskError(f"the answer of tool {tool} cannot be read") from None

    async def _call_tool(self, tool: str, asked: dict[str, str], headers: dict[str, str]) -> httpx.Response:
        path, on = f"/tools/{tool}", self._settings.defects.on
        if not on("impatient-retries"):
            patience_s = 1.0 if on("fallback-invents-answer") else PATIENCE_S
            return await self._peers.call(
                "knowledge", path, asked, headers=headers, answer_within_s=ANSWER_WITHIN_S, patience_s=patience_s
            )
        for _ in range(IMPATIENT_TRIES):
            with contextlib.suppress(Unreachable):
                return await self._peers.call(
                    "knowledge", path, asked, headers=headers, answer_within_s=IMPATIENT_S, patience_s=0
                )
        raise TaskError(f"tool {tool} did not answer {IMPATIENT_TRIES} times")
