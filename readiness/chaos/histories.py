"""A history as callers saw it: what was handed in, what they were told, and what came of it, of any system."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Kind(StrEnum):
    """What happened to a workflow, as its caller saw it."""

    HANDED_IN = "handed_in"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    """The caller was told no."""
    ERROR = "error"
    """The caller was told nothing that counts: it may have been accepted or not."""
    OPEN = "open"
    """Somebody looked, and it had not ended."""
    ENDED = "ended"
    """Its end was told."""
    READ = "read"
    """Its end was looked at again, later."""


@dataclass(frozen=True, slots=True)
class Event:
    """One operation of a history; what does not belong to its kind, or is not known, is None."""

    workflow: str
    kind: Kind
    at: datetime
    within_s: float | None = None
    """HANDED_IN: how long it may take until its end, in seconds."""
    marker: str | None = None
    """HANDED_IN: text that its own answer carries, and no other answer."""
    expected: tuple[str, ...] = ()
    """HANDED_IN: texts that an honest answer contains."""
    effects_meant: int = 1
    """HANDED_IN: how often its effect happens where all is well."""
    success: bool | None = None
    """ENDED, READ: whether it was reported as done; False is reported as failed."""
    answer: str | None = None
    correlation: str | None = None
    """HANDED_IN: the id that went in; ENDED, READ: the id that came out."""
    effects: int | None = None
    """How often its effect had happened by then."""
    steps: float | None = None
    tokens: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class Workflow:
    """All that a history tells of one piece of work."""

    id: str
    events: tuple[Event, ...]

    def of(self, *kinds: Kind) -> tuple[Event, ...]:
        """Its events of some kinds."""
        return tuple(event for event in self.events if event.kind in kinds)

    @property
    def handed_in(self) -> Event | None:
        """Its beginning; None where the history does not tell it."""
        return next(iter(self.of(Kind.HANDED_IN)), None)

    @property
    def accepted(self) -> bool:
        """Whether its caller was promised that it will be done."""
        return bool(self.of(Kind.ACCEPTED))

    @property
    def refused(self) -> bool:
        """Whether its caller was told no, and nothing else."""
        return bool(self.of(Kind.REFUSED)) and not self.accepted

    @property
    def told(self) -> tuple[Event, ...]:
        """Its ends, and what was read of them later."""
        return self.of(Kind.ENDED, Kind.READ)

    @property
    def succeeded(self) -> bool:
        """Whether it was ever reported as done."""
        return any(event.success for event in self.told)

    def most(self, account: str) -> float | None:
        """The most that any look at it told of an account."""
        known = [value for event in self.events if (value := getattr(event, account)) is not None]
        return max(known, default=None)


def workflows(history: Iterable[Event]) -> list[Workflow]:
    """The pieces of work of a history, each with its events in their order."""
    kept: dict[str, list[Event]] = {}
    for event in history:
        kept.setdefault(event.workflow, []).append(event)
    return [Workflow(id, tuple(events)) for id, events in kept.items()]


def names_in(text: str, names: Iterable[str]) -> set[str]:
    """The names that stand in a text as whole words: `order-1` does not stand in `order-12`."""
    return {name for name in names if name in text and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)}
