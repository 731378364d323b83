"""Attempts of agents at tools, and the events that they leave in alerts, logs and the audit log."""

from __future__ import annotations

import functools
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from readiness.deployment import Deployment
from readiness.descriptor import Request
from readiness.evidence.audits import read_audit
from readiness.evidence.logs import read_time
from readiness.procedures import Ran
from readiness.templates import field_of
from readiness.together import at_once
from readiness.waiting import NotInTime, eventually

DENIED = 77
"""How `use_tool` ends when the tool was refused (EX_NOPERM of sysexits.h)."""
MOST_PAIRS = 24
"""The first attempt waits for the last: more of them would be taken for a late event."""
_AT_ONCE = 4
_TRIES_S = 5.0
_LOUD = frozenset({"WARN", "ERROR", "FATAL"})
Pair = tuple[str, str]
"""An agent's service, and a tool."""
Event = tuple[str, str]
"""The text of an event, and its kind: what it says apart from whom it is about."""
Look = Callable[[Sequence["Misuse"]], "list[list[Event]]"]
"""Gives the events that there are now of each attempt."""


@dataclass(frozen=True, slots=True)
class Misuse:
    """One attempt of an agent at a tool."""

    agent: str
    tool: str
    correlation: str
    decision: Literal["allowed", "denied", "error"]
    told: str
    at_s: float
    """When it began, on the monotonic clock."""
    at: datetime


def pairs(deployment: Deployment) -> tuple[list[Pair], list[Pair]]:
    """Give who may not use what, and who may; UNKNOWN where there is nothing to tell apart."""
    tools, services = deployment.descriptor.tools, deployment.descriptor.services
    named = {agent for agents in tools.values() for agent in agents}
    agents = [name for name, spec in services.items() if spec.part == "agent" or name in named]
    forbidden = [(agent, tool) for tool, may in tools.items() for agent in agents if agent not in may]
    allowed = [(agent, tool) for tool, may in tools.items() for agent in agents if agent in may]
    if not forbidden or not allowed:
        kind = "may use a tool" if not allowed else "is denied a tool"
        deployment.undecidable(
            f"no agent {kind}, so there is nothing to tell apart",
            "tools: {<tool>: [<service that may use it>]}, and services.<service>.part: agent",
        )
    if len(forbidden) > MOST_PAIRS:
        deployment.note(f"{MOST_PAIRS} of {len(forbidden)} combinations of agent and tool are tried")
    return forbidden[:MOST_PAIRS], allowed[:MOST_PAIRS]


def use_tools(deployment: Deployment, wanted: Sequence[Pair]) -> list[Misuse]:
    """Try each pair, a few at once; what is an error is tried again for a moment."""
    return at_once([functools.partial(_settled, deployment, agent, tool) for agent, tool in wanted], _AT_ONCE)


def _settled(deployment: Deployment, agent: str, tool: str) -> Misuse:
    try:
        return eventually(
            functools.partial(_use, deployment, agent, tool),
            within=deployment.deadline.within(_TRIES_S),
            every_s=0.5,
            until=lambda made: made.decision != "error",
        )
    except NotInTime as late:
        assert isinstance(late.last, Misuse)
        return late.last


def _use(deployment: Deployment, agent: str, tool: str) -> Misuse:
    correlation, at_s, at = str(uuid.uuid4()), time.monotonic(), datetime.now(UTC)
    ran = deployment.run("use_tool", service=agent, tool=tool, correlation=correlation)
    return Misuse(agent, tool, correlation, _decision(ran), ran.told(), at_s, at)


def _decision(ran: Ran) -> Literal["allowed", "denied", "error"]:
    return "allowed" if ran.ok else "denied" if ran.exit_code == DENIED else "error"


class Watch:
    """Looks for events from now on: in the alerts where they are declared, else in logs and audit log."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        declared = deployment.descriptor.evidence
        self._alerts = declared.alerts
        self._logs = declared.logs is not None and self._alerts is None
        self._audit = "audit" in deployment.descriptor.procedures and self._alerts is None
        kinds = {"the alerts": self._alerts, "the logs": self._logs, "the audit log": self._audit}
        self.where = " and ".join(name for name, there in kinds.items() if there)
        self._mark = deployment.log_mark() if self._logs else None
        self.found: dict[str, str] = {}
        """Correlation id → the text of its event."""

    def await_events(
        self, blocked: Sequence[Misuse], control: Sequence[Misuse], within_s: float
    ) -> tuple[dict[str, float], float]:
        """Give how long the event of each attempt took, by its id, and how long the last was waited for."""
        seen_s: dict[str, float] = {}
        last_s = max(one.at_s for one in blocked)

        def all_seen() -> bool:
            for look in self._sources():
                missing = [one for one in blocked if one.correlation not in seen_s]
                for one, text in self._telling(look, missing, control):
                    seen_s[one.correlation] = time.monotonic() - one.at_s
                    self.found[one.correlation] = text
            return len(seen_s) == len(blocked)

        try:
            eventually(all_seen, within=self._deployment.deadline.within(within_s), every_s=0.3)
        except NotInTime:
            return seen_s, time.monotonic() - last_s
        return seen_s, max(seen_s.values())

    def _sources(self) -> list[Look]:
        """Give the places to look in, the quickest first."""
        looks = [(self._alerts, self._in_alerts), (self._logs, self._in_logs), (self._audit, self._in_audit)]
        return [look for there, look in looks if there]

    def _telling(
        self, look: Look, missing: Sequence[Misuse], control: Sequence[Misuse]
    ) -> Iterator[tuple[Misuse, str]]:
        """Give the attempts with an event of a kind that no allowed use has."""
        if not missing:
            return
        common = {kind for events in look(control) for _, kind in events}
        for one, events in zip(missing, look(missing), strict=True):
            telling = [text for text, kind in events if kind not in common]
            if telling:
                yield one, telling[0]

    def _in_logs(self, attempts: Sequence[Misuse]) -> list[list[Event]]:
        assert self._mark is not None
        loud = [record for record in self._deployment.logs_since(self._mark) if record.level in _LOUD]
        return [
            [(record.text, f"{record.level} {record.value('message')}") for record in loud if _about(one, record.text)]
            for one in attempts
        ]

    def _in_audit(self, attempts: Sequence[Misuse]) -> list[list[Event]]:
        return at_once([functools.partial(self._audited, one) for one in attempts], _AT_ONCE)

    def _audited(self, one: Misuse) -> list[Event]:
        ran = self._deployment.run("audit", correlation=one.correlation, since=one.at.isoformat())
        fields = self._deployment.descriptor.audit_fields
        records = read_audit(ran.stdout).records if ran.ok else ()
        mine = [record for record in records if _about(one, json.dumps(record))]
        kinds = [f"{field_of(r, fields.operation)} {field_of(r, fields.outcome or 'outcome')}" for r in mine]
        return [(json.dumps(record), kind) for record, kind in zip(mine, kinds, strict=True)]

    def _in_alerts(self, attempts: Sequence[Misuse]) -> list[list[Event]]:
        """Read Alertmanager's API v2: an alert about an attempt names it, and began after it."""
        assert self._alerts is not None
        answer = self._deployment.http(Request(url=f"{self._alerts.alertmanager.rstrip('/')}/api/v2/alerts"))
        if not answer.ok or not isinstance(answer.json, list):
            self._deployment.undecidable(
                f"the alerts cannot be read: {answer.error or f'HTTP {answer.status}'}", "evidence.alerts.alertmanager"
            )
        alerts = [(json.dumps(alert), read_time(field_of(alert, "startsAt"))) for alert in answer.json]
        return [
            [(text, "alert") for text, at in alerts if _about(one, text) and (at is None or at >= one.at)]
            for one in attempts
        ]


def _about(one: Misuse, text: str) -> bool:
    """Whether a text is about an attempt: it carries its id and names the tool, or names agent and tool."""
    return one.tool in text and (one.correlation in text or re.search(rf"\b{re.escape(one.agent)}\b", text) is not None)
