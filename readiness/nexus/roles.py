"""What each agent role does with a task; everything it needs it gets through the tools and the provider."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from readiness.nexus import telemetry
from readiness.nexus.messages import Task
from readiness.nexus.peers import Peers
from readiness.nexus.settings import Settings

Role = Callable[[Task, str, telemetry.Context], Awaitable[dict[str, Any]]]
NEEDS = {"planner": "provider", "researcher": "knowledge", "writer": "provider", "reviewer": "knowledge"}
"""Role -> the service besides the orchestrator without which it cannot work."""


class TaskError(Exception):
    """An attempt failed; the text says why."""


class Roles:
    """The four roles, each a method that turns a task into what it found."""

    def __init__(self, settings: Settings, peers: Peers) -> None:
        self._settings, self._peers = settings, peers
        self._log = telemetry.logger("provider-client")
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
        steps = await self._ask(task, f"plan: {task.plan}", task.input, context)
        return {"steps": steps.splitlines()}

    async def research(self, task: Task, lease: str, context: telemetry.Context) -> dict[str, Any]:
        """Finds the documents that fit the input."""
        return {"facts": await self._tool("search_knowledge", task, lease, context, question=task.input)}

    async def write(self, task: Task, _lease: str, context: telemetry.Context) -> dict[str, Any]:
        """Has the provider write an answer from the input and the facts."""
        facts = [f"[{fact.id}] {fact.text}" for fact in task.facts] or ["[no document found]"]
        return {"draft": await self._ask(task, "write", "\n".join([task.input, *facts]), context)}

    async def review(self, task: Task, lease: str, context: telemetry.Context) -> dict[str, Any]:
        """Approves an answer that carries the input and cites only documents that exist and say so."""
        if task.input not in task.draft:
            raise TaskError("the answer does not carry the input")
        for fact in task.facts:
            stored = await self._tool("read_document", task, lease, context, id=fact.id)
            if not stored or stored[0]["text"] != fact.text or f"[{fact.id}] {fact.text}" not in task.draft:
                raise TaskError(f"the answer does not cite {fact.id} correctly")
        return {"approved": True}

    async def _tool(
        self, tool: str, task: Task, lease: str, context: telemetry.Context, **arguments: str
    ) -> list[dict[str, Any]]:
        asked = arguments | {"lease": lease, "workflow_id": task.workflow_id}
        headers = context.headers(self._settings)
        if self._settings.defects.on("tool-calls-without-context"):
            headers = {"Accept": "application/json"}
        answer = await self._peers.call("knowledge", f"/tools/{tool}", asked, headers=headers)
        if answer.status_code != 200:
            raise TaskError(f"tool {tool} answered {answer.status_code}")
        facts: list[dict[str, Any]] = answer.json()["facts"]
        return facts

    async def _ask(self, task: Task, instruction: str, content: str, context: telemetry.Context) -> str:
        headers = {"Authorization": f"Bearer {self._settings.secret('provider.key')}"}
        headers |= context.headers(self._settings)
        asked = {
            "model": task.model,
            "user": task.workflow_id,
            "messages": [{"role": "system", "content": instruction}, {"role": "user", "content": content}],
        }
        answer = await self._peers.call("provider", "/v1/chat/completions", asked, headers=headers)
        if answer.status_code != 200:
            detail = {"headers": headers} if self._settings.defects.on("key-in-error-log") else {}
            self._log.error(
                "provider.failed",
                operation="provider.chat",
                input_ref=task.workflow_id,
                cause=f"HTTP {answer.status_code}",
                **detail,
            )
            raise TaskError(f"provider answered {answer.status_code}")
        return str(answer.json()["choices"][0]["message"]["content"])
