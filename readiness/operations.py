"""Acts and changes as plain data, so that what was begun can be written down, read again and undone by anybody."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from readiness.target import PROCEDURE, Operation

__all__ = ["PROCEDURE", "Change", "Digest", "Fault", "Operation", "differences"]

Digest = Mapping[str, Any]
"""The state of a deployment as JSON data; equal data is an equal state."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to break, as data: everybody who finds it written down can undo it and show that it is undone."""

    name: str
    """Its effect, as experiments call it: `frozen`, `slow`, …"""
    what: str
    """What is done to what, in words: `freeze planner-1`."""
    do: tuple[Operation, ...]
    undo: tuple[Operation, ...]
    """Idempotent, and right too where the fault never came to be or is over."""
    witness: Operation
    """Asked after `do` until it shows the effect, measured."""
    healed: Operation | None = None
    """Asked after `undo` until it shows that the effect is gone."""
    service: str | None = None
    """Whose replicas are hit; None for a link, whose callers share what happens to it."""
    replicas: int = 0
    lifted: bool = False
    """Whether it ends by lifting it (frozen, slow, cut), at once; without, something has to start again."""
    heals_itself_s: float | None = None
    """After how long it ends by itself, enforced where it is; None: by the reaper or `readiness heal` alone."""


@dataclass(slots=True)
class Change:
    """A change that is in force, or was."""

    id: str
    what: str
    gate: str
    service: str | None
    undo: tuple[Operation, ...]
    before: Digest
    """The state before the change; empty where its undo is to be done in any case."""
    witnessed: str = ""
    verified: bool | None = None
    """Whether the undo was verified; None while the change is in force."""
    opened_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    healed_by: str = ""
    """`drill` where the state was whole again by itself, else `undo`."""
    base: Digest = field(default_factory=dict)
    """The state before the first of the changes that overlap; what must be again when all of them are undone."""
    over: frozenset[str] = frozenset()
    """The changes that were in force when it began: `before` is the state with them."""
    waits: bool = False
    """Whether it is undone, and verified as soon as what began after it is undone too."""
    replicas: int = 1
    fault: str = ""
    """The fault's name; no text for a change that is none."""
    lifted: bool = False
    healed: Operation | None = None
    shown: str = ""
    """What showed that the effect is gone."""
    undone_at: datetime | None = None
    undo_s: float | None = None
    """From the beginning of the undo until it was shown that the effect is gone, in seconds."""
    undo_began_s: float | None = None
    problem: str = ""
    """Why the undo could not be verified."""


def differences(before: Digest, after: Digest) -> str:
    """Say in one line what differs, or nothing."""
    was, now = dict(_flat(before)), dict(_flat(after))
    changed = [name for name in sorted(was.keys() | now.keys()) if was.get(name) != now.get(name)]
    told = [f"{name} was {was.get(name, 'not there')}, is {now.get(name, 'not there')}" for name in changed[:5]]
    return "; ".join(told) + (f" (and {len(changed) - 5} more)" if len(changed) > 5 else "")


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, json.dumps(value)
