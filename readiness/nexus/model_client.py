"""Calls of the model provider: a few tries with pauses, so that a burst of trouble costs time and not the work."""

from __future__ import annotations

import asyncio
import json
import random
import re
from typing import Any

import httpx

from readiness.nexus import telemetry
from readiness.nexus.messages import Task
from readiness.nexus.peers import Peers, Unreachable
from readiness.nexus.settings import Settings

ANSWER_WITHIN_S = 3.0
"""The slowest model takes half a second."""
PAUSES_S = (0.5, 1.0, 2.0)
"""Between four tries; three attempts of a task outlast ten seconds of trouble."""
MOST_HUNG = 3
LONGEST_RETRY_AFTER_S = 5.0
TOO_MANY = 429
REFUSED = (401, 403)
STORM = 300
FAILURES_IN_A_ROW = 3
MODEL_TOO_SLOW_S = 3600.0


class TaskError(Exception):
    """An attempt failed; the text says why."""


class _TroubleError(Exception):
    """The provider is in trouble that may be over soon."""

    def __init__(self, reason: str, *, pause_s: float | None = None, hung: bool = False) -> None:
        super().__init__(reason)
        self.pause_s, self.hung = pause_s, hung


class ModelClient:
    """Completes chats for one agent."""

    def __init__(self, settings: Settings, peers: Peers) -> None:
        self._settings, self._peers = settings, peers
        self._log = telemetry.logger("provider-client")
        self._failures, self._refused = 0, False
        self.tokens, self.calls = 0, 0
        """What all completions so far took: tokens, as the provider counts them, and calls of it."""

    async def complete(self, task: Task, instruction: str, content: str, context: telemetry.Context) -> str:
        """Returns what the model says; raises TaskError when it does not within a few tries."""
        on = self._settings.defects.on
        if on("breaker-never-closes") and self._failures >= FAILURES_IN_A_ROW:
            raise TaskError("the breaker for the provider is open")
        if on("credential-failure-sticks") and self._refused:
            raise TaskError("the provider refuses the credential")
        asked = {
            "model": task.model,
            "user": task.workflow_id,
            "messages": [{"role": "system", "content": instruction}, {"role": "user", "content": content}],
        }
        pauses_s: tuple[float, ...] = (0.0,) * STORM if on("retry-storm") else PAUSES_S
        hung, pauses = 0, iter(pauses_s)
        while True:
            try:
                said = await self._try(task, asked, context)
            except _TroubleError as trouble:
                self._failures += 1
                hung += trouble.hung
                pause_s = next(pauses, None)
                if pause_s is None or hung >= MOST_HUNG:
                    raise TaskError(str(trouble)) from None
                if trouble.pause_s is not None and not on("retry-storm"):
                    pause_s = max(pause_s, trouble.pause_s)
                await asyncio.sleep(pause_s * random.uniform(0.9, 1.2))
            else:
                self._failures = 0
                return said

    async def _try(self, task: Task, asked: dict[str, Any], context: telemetry.Context) -> str:
        headers = {"Authorization": f"Bearer {self._settings.secret('provider.key')}"} | context.headers(self._settings)
        within_s = MODEL_TOO_SLOW_S if self._settings.defects.on("no-provider-timeout") else ANSWER_WITHIN_S
        self.calls += 1
        try:
            async with asyncio.timeout(within_s):
                answer = await self._peers.call(
                    "provider",
                    "/v1/chat/completions",
                    asked,
                    headers=headers,
                    answer_within_s=within_s + 1,
                    patience_s=0,
                )
        except Unreachable as error:
            raise _TroubleError(str(error)) from None
        except TimeoutError:
            raise _TroubleError(f"the provider did not answer within {within_s:g} s", hung=True) from None
        if answer.status_code == httpx.codes.OK:
            return self._content(answer)
        self._note_failure(task, answer, headers)
        reason = f"provider answered {answer.status_code}"
        self._refused = self._refused or answer.status_code in REFUSED
        # By this header a provider says that trying again is no use, whatever the status.
        final = answer.headers.get("x-should-retry") == "false"
        if final or (answer.status_code < 500 and answer.status_code != TOO_MANY):
            raise TaskError(reason)
        raise _TroubleError(reason, pause_s=_retry_after_s(answer))

    def _content(self, answer: httpx.Response) -> str:
        try:
            said = answer.json()
            content = said["choices"][0]["message"]["content"]
            self.tokens += int(said.get("usage", {}).get("total_tokens", 0))
        except (ValueError, LookupError, TypeError, AttributeError):
            if self._settings.defects.on("half-answer-taken"):
                return _repaired(answer.text)
            raise _TroubleError("the provider's answer cannot be read") from None
        if not isinstance(content, str):
            raise _TroubleError("the provider's answer has no text")
        return content

    def _note_failure(self, task: Task, answer: httpx.Response, headers: dict[str, str]) -> None:
        detail = {"headers": headers} if self._settings.defects.on("key-in-error-log") else {}
        self._log.error(
            "provider.failed",
            operation="provider.chat",
            input_ref=task.workflow_id,
            cause=f"HTTP {answer.status_code}",
            **detail,
        )


def _retry_after_s(answer: httpx.Response) -> float | None:
    try:
        return min(LONGEST_RETRY_AFTER_S, max(0.0, float(answer.headers["retry-after"])))
    except (KeyError, ValueError):
        return None


def _repaired(text: str) -> str:
    """Reads as much of an answer's text as has arrived."""
    found = re.search(r'"content":\s*"((?:[^"\\]|\\.)*)', text)
    return str(json.loads(f'"{found[1]}"')) if found else ""
