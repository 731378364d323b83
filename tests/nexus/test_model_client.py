"""Calls of the provider under trouble: bounded, with pauses, and how each defect of the client shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from readiness.nexus import model_client, telemetry
from readiness.nexus.defects import Defects
from readiness.nexus.messages import Fact, Task
from readiness.nexus.model_client import ModelClient, TaskError
from readiness.nexus.peers import Unreachable
from readiness.nexus.roles import NO_DOCUMENT, Roles
from readiness.nexus.settings import Settings

FACT = Fact("kb-1", "It takes 5 minutes.")
TASK = Task("t", "w", "writer", "answer", "how long", "standin", facts=(FACT,))
DRAFT = f"{TASK.input}\n[{FACT.id}] {FACT.text}"
GOOD = httpx.Response(200, json={"choices": [{"message": {"content": DRAFT}}]})
HALF = httpx.Response(200, content=GOOD.content[: len(GOOD.content) // 2])
CONTEXT = telemetry.Context.accept(None, None)


class Answers:
    """Stands in for the peers: answers one after the other, the last for ever; notes what was asked."""

    def __init__(self, *answers: httpx.Response | Exception | Callable[[], Any]) -> None:
        self._answers = list(answers)
        self.calls: list[str] = []

    async def call(self, service: str, path: str, _body: Any = None, **_options: Any) -> httpx.Response:
        self.calls.append(f"{service}{path}")
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        await answer()
        raise AssertionError("it hung to its end")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited; none of them passes."""
    waited: list[float] = []
    pause = asyncio.sleep

    async def sleep(seconds: float) -> None:
        waited.append(seconds)
        await pause(0)

    monkeypatch.setattr("readiness.nexus.model_client.asyncio.sleep", sleep)
    return waited


def settings(tmp_path: Path, *defects: str) -> Settings:
    return Settings.create(tmp_path / "home", defects=Defects.parse(defects))


def ask(configured: Settings, answers: Answers, times: int = 1) -> list[str]:
    client = ModelClient(configured, answers)  # type: ignore[arg-type]

    async def asking() -> list[str]:
        said = []
        for _ in range(times):
            try:
                said.append(await client.complete(TASK, "write", "x", CONTEXT))
            except TaskError as error:
                said.append(f"failed: {error}")
        return said

    return asyncio.run(asking())


def review(configured: Settings, answers: Answers, draft: str, facts: tuple[Fact, ...] = (FACT,)) -> str:
    task = Task("t", "w", "reviewer", "answer", TASK.input, "standin", facts=facts, draft=draft)
    roles = Roles(configured, answers)  # type: ignore[arg-type]
    try:
        asyncio.run(roles.review(task, "lease", CONTEXT))
    except TaskError as error:
        return str(error)
    return "approved"


def found(*facts: Fact) -> httpx.Response:
    return httpx.Response(200, json={"facts": [{"id": fact.id, "text": fact.text} for fact in facts]})


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.Response(429),
        httpx.Response(503),
        httpx.Response(500),
        Unreachable("cut"),
        HALF,
        httpx.Response(200, json={"choices": []}),
        httpx.Response(200, json={"choices": [{"message": {"content": None}}]}),
        httpx.Response(200, json=[]),
    ],
)
def test_trouble_that_passes_costs_time_and_not_the_attempt(
    tmp_path: Path, pauses: list[float], trouble: httpx.Response | Exception
) -> None:
    answers = Answers(trouble, trouble, trouble, GOOD)
    assert ask(settings(tmp_path), answers) == [DRAFT]
    assert len(pauses) == 3
    assert sum(pauses) > 3


@pytest.mark.parametrize("trouble", [httpx.Response(429), httpx.Response(503), Unreachable("cut"), HALF])
def test_trouble_that_stays_costs_four_calls(
    tmp_path: Path, pauses: list[float], trouble: httpx.Response | Exception
) -> None:
    answers = Answers(trouble)
    assert ask(settings(tmp_path), answers)[0].startswith("failed")
    assert len(answers.calls) == 4
    assert len(pauses) == 3


def test_retry_after_is_honoured_up_to_a_bound(tmp_path: Path, pauses: list[float]) -> None:
    asks = [httpx.Response(429, headers={"Retry-After": text}) for text in ("4", "3600", "tomorrow")]
    assert ask(settings(tmp_path), Answers(*asks, GOOD)) == [DRAFT]
    assert pauses[0] >= 4 * 0.9
    assert pauses[1] <= model_client.LONGEST_RETRY_AFTER_S * 1.2
    assert pauses[2] <= model_client.PAUSES_S[2] * 1.2


@pytest.mark.parametrize(
    "answer", [httpx.Response(401), httpx.Response(400), httpx.Response(503, headers={"x-should-retry": "false"})]
)
def test_what_another_try_cannot_mend_is_not_tried_again(
    tmp_path: Path, pauses: list[float], answer: httpx.Response
) -> None:
    answers = Answers(answer)
    assert ask(settings(tmp_path), answers)[0].startswith("failed")
    assert len(answers.calls) == 1
    assert pauses == []


def test_a_call_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_client, "ANSWER_WITHIN_S", 0.05)
    monkeypatch.setattr(model_client, "PAUSES_S", (0.0, 0.0, 0.0))
    for_ever = asyncio.Event()
    answers = Answers(for_ever.wait)
    assert ask(settings(tmp_path), answers)[0].startswith("failed: the provider did not answer")
    assert len(answers.calls) == model_client.MOST_HUNG


def test_a_storm_of_retries_does_not_pause(tmp_path: Path, pauses: list[float]) -> None:
    answers = Answers(httpx.Response(503))
    ask(settings(tmp_path, "retry-storm"), answers)
    assert len(answers.calls) == model_client.STORM + 1
    assert sum(pauses) == 0


@pytest.mark.parametrize(
    ("defect", "trouble"),
    [("breaker-never-closes", httpx.Response(503)), ("credential-failure-sticks", httpx.Response(401))],
)
@pytest.mark.parametrize("on", [False, True])
@pytest.mark.usefixtures("pauses")
def test_an_agent_comes_back_when_the_provider_does(
    tmp_path: Path, defect: str, trouble: httpx.Response, *, on: bool
) -> None:
    calls = 1 if trouble.status_code == 401 else 4
    said = ask(settings(tmp_path, *([defect] if on else [])), Answers(*[trouble] * calls, GOOD), times=2)
    assert said[0].startswith("failed")
    assert (said[1] == DRAFT) is not on


@pytest.mark.usefixtures("pauses")
def test_half_an_answer_is_taken_for_a_whole_one_only_by_defect(tmp_path: Path) -> None:
    half = httpx.Response(200, content=GOOD.content[: GOOD.content.index(b"5 min")])
    lax = settings(tmp_path, "half-answer-taken")
    draft = ask(lax, Answers(half))[0]
    assert DRAFT.startswith(draft)
    assert draft != DRAFT
    assert review(lax, Answers(found(FACT)), draft) == "approved"
    assert review(settings(tmp_path / "strict"), Answers(found(FACT)), draft) != "approved"


@pytest.mark.parametrize(
    "draft",
    ["All is well.", TASK.input, f"{DRAFT}\nAll is well.", DRAFT.replace("5", "6"), f"[{FACT.id}] {FACT.text}", ""],
)
def test_a_plausible_but_wrong_answer_is_refused_unless_it_is_waved_through(tmp_path: Path, draft: str) -> None:
    assert review(settings(tmp_path), Answers(found(FACT)), draft) != "approved"
    assert review(settings(tmp_path / "lax", "review-waved-through"), Answers(found(FACT)), draft) == "approved"


def test_a_right_answer_is_approved(tmp_path: Path) -> None:
    assert review(settings(tmp_path), Answers(found(FACT)), DRAFT) == "approved"
    assert review(settings(tmp_path / "none"), Answers(found()), f"{TASK.input}\n{NO_DOCUMENT}", ()) == "approved"


def test_a_fact_that_the_knowledge_service_does_not_know_is_refused(tmp_path: Path) -> None:
    assert "does not say" in review(settings(tmp_path), Answers(found()), DRAFT)


def test_without_knowledge_nothing_is_made_up_unless_by_defect(tmp_path: Path) -> None:
    def research(configured: Settings) -> dict[str, Any]:
        roles = Roles(configured, Answers(Unreachable("cut")))  # type: ignore[arg-type]
        return asyncio.run(roles.research(TASK, "lease", CONTEXT))

    with pytest.raises(Unreachable):
        research(settings(tmp_path))
    lax = settings(tmp_path / "lax", "fallback-invents-answer")
    invented = Fact(**research(lax)["facts"][0])
    draft = f"{TASK.input}\n[{invented.id}] {invented.text}"
    assert review(lax, Answers(found()), draft, (invented,)) == "approved"
    assert review(settings(tmp_path / "strict"), Answers(found()), draft, (invented,)) != "approved"


def test_an_impatient_client_asks_twice_at_once(tmp_path: Path) -> None:
    answers = Answers(Unreachable("slow"))
    roles = Roles(settings(tmp_path, "impatient-retries"), answers)  # type: ignore[arg-type]
    with pytest.raises(TaskError):
        asyncio.run(roles.research(TASK, "lease", CONTEXT))
    assert len(answers.calls) == 2


@pytest.mark.parametrize("body", [b"", b"{", json.dumps({"facts": [{"id": "kb-1"}]}).encode(), b'{"facts": 7}'])
def test_a_tool_s_answer_that_is_spoilt_fails_the_attempt(tmp_path: Path, body: bytes) -> None:
    roles = Roles(settings(tmp_path), Answers(httpx.Response(200, content=body)))  # type: ignore[arg-type]
    with pytest.raises(TaskError, match="cannot be read"):
        asyncio.run(roles.research(TASK, "lease", CONTEXT))
