"""The work of one gate as events: steps, and for a drill also changes and traffic."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from readiness.history import Event
from readiness.model import GateInfo, Mode
from readiness.records import instant


def work(info: GateInfo, seconds: float, began: datetime, fails: tuple[str, ...]) -> Iterator[Event]:
    """Steps; for a drill also two changes and the traffic of every second, with a dent while something is broken."""
    told = [
        Event(
            began + timedelta(seconds=0.2 * seconds),
            "step",
            {"gate": info.id, "title": "look at it first", "seconds": round(0.2 * seconds, 3)},
        )
    ]
    if info.mode is Mode.DRILL:
        told += _changes(info, seconds, began)
        told += [
            Event(began + timedelta(seconds=seconds), "traffic", _second(info.id, began, n, seconds, fails))
            for n in range(int(seconds))
        ]
    told.append(
        Event(
            began + timedelta(seconds=0.95 * seconds),
            "step",
            {"gate": info.id, "title": "count what came of it", "seconds": round(0.7 * seconds, 3)},
        )
    )
    yield from sorted(told, key=lambda event: event.at)


def _changes(info: GateInfo, seconds: float, began: datetime) -> list[Event]:
    opened, closed = began + timedelta(seconds=0.25 * seconds), began + timedelta(seconds=0.7 * seconds)
    second = began + timedelta(seconds=0.5 * seconds)
    undo = [{"by": "procedure", "name": "rollback", "arguments": {"release": "2.2.4"}}]
    return [
        Event(
            opened,
            "change_opened",
            {
                "id": f"{info.id}-1",
                "gate": info.id,
                "what": "the candidate 2.3.1 is deployed",
                "service": None,
                "undo": undo,
            },
        ),
        Event(
            opened + timedelta(seconds=1),
            "change_witnessed",
            {"id": f"{info.id}-1", "detail": "gateway-1 answers 2.3.1"},
        ),
        Event(
            second,
            "change_opened",
            {
                "id": f"{info.id}-2",
                "gate": info.id,
                "what": "a replica of planner is killed",
                "service": "planner",
                "undo": [],
            },
        ),
        Event(
            second + timedelta(seconds=0.15 * seconds),
            "change_closed",
            {"id": f"{info.id}-2", "verified": True, "healed_by": "drill"},
        ),
        Event(closed, "change_closed", {"id": f"{info.id}-1", "verified": True, "healed_by": "undo"}),
    ]


def _second(gate: str, began: datetime, n: int, seconds: float, fails: tuple[str, ...]) -> dict[str, Any]:
    broken = 0.5 < n / seconds < 0.62
    p95_ms = 140 + 30 * math.sin(n * 1.3) + (420 if broken else 0)
    return {
        "gate": gate,
        "second": instant(began + timedelta(seconds=n)),
        "sent": 8,
        "ok": 6 if broken and gate in fails else 8,
        "failed": 2 if broken and gate in fails else 0,
        "p50_ms": round(p95_ms * 0.6, 1),
        "p95_ms": None if n == 2 else round(p95_ms, 1),
    }
