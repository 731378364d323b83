"""Deliveries: an agent that asks for work and does not hear the answer is given the same again, and nothing more.

Each asking has the life of its agent and a turn. The same turn again, be it repeated or delivered twice, gets the same
task; a turn of the past gets none.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Given:
    life: str
    turn: int
    delivery: dict[str, Any]


class Deliveries:
    """What each agent was given last."""

    def __init__(self) -> None:
        self._given: dict[str, _Given] = {}
        self._asking: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def asking(self, instance: str) -> asyncio.Lock:
        """Returns the lock under which one asking of an agent at a time is answered."""
        return self._asking[instance]

    def again(self, asked: dict[str, Any]) -> dict[str, Any] | None:
        """Returns what this asking was given already, or None."""
        given = self._of(asked)
        return given.delivery if given and given.turn == asked["turn"] else None

    def is_past(self, asked: dict[str, Any]) -> bool:
        """Tells whether the agent has been given something at a later asking."""
        given = self._of(asked)
        return given is not None and given.turn > asked["turn"]

    def note(self, asked: dict[str, Any], delivery: dict[str, Any]) -> None:
        """Remembers what an asking was given."""
        if "turn" in asked:
            self._given[asked["instance"]] = _Given(asked["life"], asked["turn"], delivery)

    def _of(self, asked: dict[str, Any]) -> _Given | None:
        given = self._given.get(asked["instance"])
        return given if given and "turn" in asked and given.life == asked["life"] else None
