"""Experiments as the harness tells them: one withstood, one that lost work, one that shows nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from readiness.records import instant

BEGAN = datetime.fromisoformat("2026-11-24T09:32:00+00:00")
JOURNAL = "chaos/agent-frozen/journal.json"


def at(seconds: float) -> str:
    return instant(BEGAN + timedelta(seconds=seconds))


def second(n: int, bad: int = 0, slowed: float = 1.0) -> dict[str, Any]:
    p50_ms = round((180 + 40 * math.sin(n * 1.4)) * slowed, 1)
    known = bad < 3
    return {
        "second": at(n),
        "sent": 3,
        "ok": 3 - bad,
        "failed": bad,
        "p50_ms": p50_ms if known else None,
        "p95_ms": round(p50_ms * 1.9, 1) if known else None,
    }


def fault(what: str, from_s: float, to_s: float, **more: object) -> dict[str, Any]:
    return {
        "name": "frozen",
        "what": what,
        "witness": "planner-1 (pid 4711) is stopped: state T in /proc",
        "opened_at": at(from_s),
        "undone_at": at(to_s),
        "undo_s": 0.083,
        "closed_at": at(to_s + 0.4),
        "verified": True,
        "heals": "by the reaper within a second, or by readiness heal",
        **more,
    }


def windows(from_s: float, to_s: float, until_s: float) -> list[dict[str, Any]]:
    rows = (("before", 0.0, from_s), ("fault", from_s, to_s), ("after", to_s, until_s))
    return [{"name": name, "began_at": at(began), "ended_at": at(ended)} for name, began, ended in rows]


def figures(good: Sequence[int], sent: Sequence[int]) -> list[dict[str, Any]]:
    return [
        {"name": name, "sent": n, "good": k, "share_lo": 0.61, "share_hi": 0.99, "p50_ms": 184.0, "p95_ms": 402.5}
        for name, k, n in zip(("before", "fault", "after"), good, sent, strict=True)
    ]


def invariant(name: str, holds: bool | None, detail: str, **more: object) -> dict[str, Any]:
    return {"name": name, "holds": holds, "detail": detail, "asked": True, "offenders": [], **more}


WITHSTOOD: dict[str, Any] = {
    "experiment": "agent-frozen",
    "gate": "ARC-ORC-003",
    "title": "An agent is frozen with work in hand",
    "failure_mode": "agent-frozen",
    "outcome": "PASS",
    "reasons": ["freeze planner-1: witnessed, and undone", "recovered between 0.3 s and 0.9 s, objective 20.0 s"],
    "hypothesis_before": True,
    "hypothesis_after": True,
    "vacuous": False,
    "windows": windows(8, 20, 32),
    "faults": [fault("freeze planner-1", 8, 20)],
    "recovery": {"lo_s": 0.3, "hi_s": 0.9, "limit_s": 20.0, "holds": True, "text": "recovered between 0.3 s and 0.9 s"},
    "promises": [{"window": "fault", "text": "errors at most 20 % during the fault: 1 of 36 failed", "holds": True}],
    "invariants": [
        invariant("everything that was accepted ends, or is reported as failed", True, "96 of 96"),
        invariant("no effect happens twice", True, "96 of 96"),
        invariant("cost is bounded", None, "workload.bounds.cost is not declared", asked=False),
    ],
    "figures": figures((24, 35, 36), (24, 36, 36)),
    "differences": [
        {"what": "share as meant", "value": -0.0278, "low": -0.142, "high": 0.101},
        {"what": "p95 latency", "value": 0.34, "low": 0.12, "high": 0.61},
    ],
    "lost": 0,
    "done_twice": 0,
    "journal": JOURNAL,
    "traffic": [second(n, int(n == 11), 3.0 if 8 <= n < 20 else 1.0) for n in range(32)],
}
LOST: dict[str, Any] = {
    **WITHSTOOD,
    "experiment": "queue-link-flapping",
    "title": "The link to the queue is cut and restored, again and again",
    "failure_mode": "link-flapping",
    "gate": "OPS-REC-004",
    "outcome": "FAIL",
    "reasons": ["not true that everything that was accepted ends: 2 of 90: rd-5f-7 was accepted and had not ended"],
    "hypothesis_after": False,
    "windows": windows(6, 24, 40),
    "faults": [fault(f"cut planner-to-queue, time {n + 1}", 6 + 3 * n, 8 + 3 * n) for n in range(6)],
    "recovery": {"lo_s": 9.5, "hi_s": None, "limit_s": 10.0, "holds": False, "text": "not seen to recover"},
    "promises": [{"window": "after", "text": "errors at most 20 % after: 9 of 48 failed", "holds": None}],
    "invariants": [
        invariant("everything that was accepted ends", False, "2 of 90: rd-5f-7 …", offenders=["rd-5f-7", "rd-5f-9"]),
        invariant("no effect happens twice", None, "cannot be told of 1 of 90"),
    ],
    "lost": 2,
    "done_twice": None,
    "journal": "../elsewhere/journal.json",
    "traffic": [second(n, 3 if n % 3 == 0 and 6 <= n < 24 else int(n in (26, 27, 33)), 1.0) for n in range(40)],
}
SHOWS_NOTHING: dict[str, Any] = {
    "experiment": "provider-hangs",
    "gate": "XYZ-CHA-001",
    "outcome": "UNKNOWN",
    "reasons": ["nothing showed that the fault was in force: hang the provider"],
    "faults": [fault("hang the provider", 5, 5, witness="", undone_at=None, closed_at=None, verified=None)],
}
"""All that an experiment which broke off can tell; its gate is none of the catalogue's."""
TRIALS = (WITHSTOOD, LOST, SHOWS_NOTHING, {"experiment": "never-began", "outcome": "UNKNOWN"})


def hostile_trial(trial: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The experiment with an attacker's text wherever text stands, and a journal that leads out of the run."""
    return {
        **trial,
        **dict.fromkeys(("experiment", "title", "failure_mode"), text),
        "reasons": [text],
        "journal": "javascript:alert(1)//../..",
        "faults": [
            {**one, **dict.fromkeys(("name", "what", "witness", "heals"), text)} for one in trial.get("faults", ())
        ],
        "promises": [{"window": "after", "text": text, "holds": False}],
        "invariants": [invariant(text, False, text, offenders=[text]), invariant(text, None, text, asked=False)],
        "differences": [{"what": text, "value": 1, "low": 0, "high": 2}],
        "recovery": {"text": text},
    }
