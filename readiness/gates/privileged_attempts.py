"""What the gates about access have in common: attempts at privileged operations, a few at once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from readiness.attempts import Attempt, MadeUp
from readiness.deployment import Deployment
from readiness.waiting import NotInTime, eventually

_NOT_THERE = (404, 405, 410, 501)
_BUSY = (429, 502, 503, 504)
_BUSY_S = 5.0
AT_ONCE = 4
"""Privileged attempts that are made at a time."""
_SHOWN = 4


def cell(deployment: Deployment, operation: str, level: str, made_up: MadeUp | None = None) -> Callable[[], Attempt]:
    """Give the attempt at one operation as one level ("" for nobody); made again while the deployment is busy."""

    def attempt() -> Attempt:
        return deployment.attempt(operation, level, correlation=str(uuid.uuid4()), made_up=made_up)

    return lambda: until_decided(attempt, deployment)


def until_decided(attempt: Callable[[], Attempt], deployment: Deployment) -> Attempt:
    """Make an attempt again while the deployment says that it is busy."""
    within = deployment.deadline.within(_BUSY_S)
    try:
        return eventually(attempt, within=within, every_s=0.5, until=lambda made: made.code not in _BUSY)
    except NotInTime as late:
        assert isinstance(late.last, Attempt)
        return late.last


def is_not_there(attempt: Attempt) -> bool:
    """Whether the deployment has no such operation at all, which is a refusal too where nobody may do it."""
    return attempt.code in _NOT_THERE


def some(lines: Sequence[str]) -> str:
    """Give the first few lines, and how many more there are."""
    more = f" (and {len(lines) - _SHOWN} more)" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more
