"""What a deployment is filled with on trial: documents of a runbook's length, and workflows as they are when ended."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

from readiness.nexus import messages
from readiness.nexus.access import CALLER
from readiness.nexus.messages import Fact, Result, Task
from readiness.nexus.names import AGENT_ROLES
from readiness.nexus.provider import PLAN
from readiness.nexus.releases import Release
from readiness.nexus.seeds import DOCUMENTS

DOCUMENT_MARK = "fill-"
WORKFLOW_MARK = "f111ed" + "0" * 14
"""How the ids of what is filled in begin. The thirteenth digit of any other workflow's id is the version of its UUID,
4 or 5, so that none begins like this; tasks carry the same mark."""
SENTENCES, SENTENCES_OF_DOCUMENT, WORDS_OF_SENTENCE = 600, 11, 12
"""A document has about 900 characters, a paragraph of a runbook, and shares its sentences with others."""
ENDED_AGO_S, APART_S, TAKEN_S = 2 * 86_400.0, 60.0, 0.4
"""What is filled in ended days ago, one workflow a minute: in nobody's window of measurement."""
_SYLLABLES = (
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "je",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "ri",
    "so",
    "tu",
    "va",
    "we",
    "zi",
)
_TOPICS = tuple(dict.fromkeys(word for document in DOCUMENTS for word in document.title.lower().split()))


class Library:
    """Writes documents: words that nobody asks for, and in each a word of the knowledge base's own, as in a real one.

    One word in common keeps a document findable and ranks it below the one that a question is about.
    """

    def __init__(self) -> None:
        self._random = random.Random(6)
        words = ["".join(self._random.choices(_SYLLABLES, k=3)) for _ in range(2000)]
        self._sentences = [
            " ".join(self._random.choices(words, k=WORDS_OF_SENTENCE)).capitalize() + "." for _ in range(SENTENCES)
        ]

    def document(self, number: int) -> dict[str, str]:
        """Return the row of one document."""
        sentences = self._random.sample(self._sentences, SENTENCES_OF_DOCUMENT)
        topic = _TOPICS[number % len(_TOPICS)]
        return {
            "id": document_id(number),
            "title": f"{sentences[0].split()[0]} {number}",
            "body": f"{' '.join(sentences)} See also: {topic}.",
        }


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that some ended workflows have in each table."""

    workflows: list[dict[str, Any]]
    tasks: list[dict[str, Any]]
    effects: list[dict[str, Any]]


class Archivist:
    """Writes ended workflows as a release leaves them, in its format and at its schema."""

    def __init__(self, release: Release, now: float) -> None:
        self._release, self._now = release, now
        fact = Fact(DOCUMENTS[0].id, DOCUMENTS[0].body)
        self._draft = f"@input\n[{fact.id}] {fact.text}"
        steps, found = tuple(PLAN.splitlines()), (fact,)
        content: list[dict[str, Any]] = [
            {},
            {"steps": steps},
            {"steps": steps, "facts": found},
            {"steps": steps, "facts": found, "draft": self._draft},
        ]
        # Encoded once with placeholders: to encode each of 80000 messages would take longer than to store it.
        self._payloads = [self._payload(role, more) for role, more in zip(AGENT_ROLES, content, strict=True)]
        self._result = json.dumps(messages.encode_result(Result(self._draft, (fact.id,)), release.message_format))

    def rows(self, first: int, end: int) -> Rows:
        """Return the rows of the workflows with these numbers."""
        made = Rows([], [], [])
        for number in range(first, end):
            self._add(number, made)
        return made

    def _add(self, number: int, made: Rows) -> None:
        identity, asked = workflow_id(number), f"filled question {number}"
        finished_at = self._now - ENDED_AGO_S - number * APART_S
        created_at, version = finished_at - TAKEN_S, self._release.version
        made.workflows.append(
            {
                "id": identity,
                "caller": CALLER,
                "plan": "answer",
                "input": asked,
                "model": "standin",
                "status": "done",
                "release": version,
                "correlation_id": identity,
                "traceparent": f"00-{identity}-{identity[-16:]}-01",
                "result": self._result.replace("@input", asked),
                "created_at": created_at,
                "finished_at": finished_at,
            }
        )
        made.effects.append(
            {"workflow_id": identity, "content": self._draft.replace("@input", asked), "created_at": finished_at}
        )
        for position, (role, payload) in enumerate(zip(AGENT_ROLES, self._payloads, strict=True)):
            task_id = _task_id(number, position)
            begun_at = created_at + position * TAKEN_S / len(AGENT_ROLES)
            made.tasks.append(
                {
                    "id": task_id,
                    "workflow_id": identity,
                    "position": position,
                    "role": role,
                    "status": "done",
                    "release": version,
                    "attempts": 1,
                    "failures": 0,
                    "available_at": begun_at,
                    "lease_token": f"{role}.{begun_at:.3f}.{task_id}",
                    "instance": f"{role}-1-r{version}",
                    "payload": payload.replace("@task", task_id).replace("@id", identity).replace("@input", asked),
                    "created_at": begun_at,
                }
            )

    def _payload(self, role: str, more: dict[str, Any]) -> str:
        task = Task("@task", "@id", role, "answer", "@input", "standin", **more)
        return json.dumps(messages.encode_task(task, self._release.message_format))


def document_id(number: int) -> str:
    """Return the id of a document by its number."""
    return f"{DOCUMENT_MARK}{number:08d}"


def workflow_id(number: int) -> str:
    """Return the id of a workflow by its number."""
    return f"{WORKFLOW_MARK}{number:012x}"


def _task_id(number: int, position: int) -> str:
    return f"{WORKFLOW_MARK}{number * len(AGENT_ROLES) + position:012x}"
