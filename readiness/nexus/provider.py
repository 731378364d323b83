"""Stands in for the model provider: the OpenAI-compatible chat interface, deterministic, with models that misbehave."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from readiness.nexus import telemetry
from readiness.nexus.access import bearer
from readiness.nexus.hop import json_object
from readiness.nexus.settings import Settings

MODELS = ("standin", "standin-flaky", "standin-slow", "standin-broken")
SLOW_S = 0.5
MOST_REMEMBERED = 10_000
PLAN = "search the knowledge base\nwrite the answer\nreview the answer"


class Provider:
    """Answers chat completions: a fixed plan for a planner, the given material for a writer."""

    def __init__(self, settings: Settings) -> None:
        self._key = settings.secret("provider.key")
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._log = telemetry.logger("chat")
        self.routes = [Route("/v1/chat/completions", self.chat, methods=["POST"])]

    async def start(self) -> None:
        """Needs nothing."""

    async def stop(self) -> None:
        """Holds nothing."""

    def drain(self) -> None:
        """Answers are short: nothing waits here."""

    async def ready(self) -> str | None:
        """Is ready as soon as it answers."""
        return None

    async def chat(self, request: Request) -> Response:
        """Serves one completion, whole or as a stream of server-sent events."""
        given = bearer(request.headers.get("Authorization"))
        if not hmac.compare_digest(given.encode(), self._key.encode()):
            return _error(401, "invalid api key")
        asked = await json_object(request) or {}
        model, messages, user = asked.get("model"), asked.get("messages"), str(asked.get("user", ""))
        if model not in MODELS or not isinstance(messages, list) or not messages:
            return _error(400, f"model must be one of {', '.join(MODELS)}, and messages a non-empty list")
        status = await self._behave(model, user)
        self._log.info("chat.answered", model=model, status=status)
        if status != 200:
            return _error(status, "the model is overloaded" if status == 503 else "the model crashed", final=True)
        content = _answer(messages)
        if asked.get("stream"):
            return StreamingResponse(_events(model, content), media_type="text/event-stream")
        choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
        return JSONResponse(
            _envelope("chat.completion", model, content) | {"choices": [choice], "usage": _usage(asked, content)}
        )

    async def _behave(self, model: str, user: str) -> int:
        if model == "standin-slow":
            await asyncio.sleep(SLOW_S)
        if model == "standin-broken":
            return 500
        if model == "standin-flaky" and user not in self._seen:
            self._seen[user] = None
            if len(self._seen) > MOST_REMEMBERED:
                self._seen.popitem(last=False)
            return 503
        return 200


def _answer(messages: list[dict[str, Any]]) -> str:
    said = {str(message.get("role")): str(message.get("content", "")) for message in messages}
    return PLAN if said.get("system", "").startswith("plan") else said.get("user", "")


def _envelope(kind: str, model: str, content: str) -> dict[str, Any]:
    identity = hashlib.sha256(f"{model}\n{content}".encode()).hexdigest()[:24]
    return {"id": f"chatcmpl-{identity}", "object": kind, "created": 0, "model": model}


def _usage(asked: dict[str, Any], content: str) -> dict[str, int]:
    prompt = sum(len(str(message.get("content", "")).split()) for message in asked["messages"])
    answer = len(content.split())
    return {"prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": prompt + answer}


async def _events(model: str, content: str) -> AsyncIterator[str]:
    envelope = _envelope("chat.completion.chunk", model, content)
    for word in content.splitlines(keepends=True):
        yield _event(envelope | {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
    yield _event(envelope | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    yield "data: [DONE]\n\n"


def _event(chunk: dict[str, Any]) -> str:
    return f"data: {json.dumps(chunk)}\n\n"


def _error(status: int, text: str, *, final: bool = False) -> Response:
    # The header by which OpenAI's interface tells its clients whether the same request may be worth another try.
    headers = {"x-should-retry": "false"} if final else {}
    return JSONResponse({"error": {"message": text, "type": "standin"}}, status, headers)
