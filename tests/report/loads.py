"""Load runs as the harness tells them: a spike that broke its promise, a closed one, and two that say nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Stages = Sequence[tuple[str, float, float]]
"""Name, seconds and planned arrivals a second."""


def load_run(
    profile: str, gate: str, stages: Stages, slowed: Callable[[int], float], lost: float = 0.0, **more: object
) -> dict[str, Any]:
    """The data of a load event; `slowed` is how many times as slow second n is, and `lost` the share never sent."""
    seconds = [_second(n, rate, slowed(n), lost) for n, rate in enumerate(_rates(stages))]
    told, begins = [], 0
    for name, duration_s, rate in stages:
        rows = seconds[begins : begins + int(duration_s)]
        told.append(_stage(name, duration_s, rate, rows))
        begins += int(duration_s)
    length_s = sum(duration_s for _, duration_s, _ in stages)
    planned = sum(row["planned"] for row in seconds)
    total = _stage("", length_s, planned / length_s, seconds)
    return {
        "profile": profile,
        "gate": gate,
        "folder": f"load/{profile}",
        "outcome": "PASS",
        "reasons": [],
        "model": "open",
        "arrivals": "poisson",
        "variant": "ok",
        "sha256": "5f" * 32,
        "written_at": "2026-11-24T09:29:58.000Z",
        "command": ["locust", "-f", f"loadtests/{profile}.py", "--headless"],
        "stages": told,
        "total": total,
        "omission_factor": round(total["p99_ms"] / total["service_p99_ms"], 3),
        "errors": {},
        "limited_by": "the planned rate: nothing else was at its limit",
        "criteria": [
            {"text": "p95 at most 2 s", "stage": "", "value": total["p95_ms"] / 1000, "unit": "s", "holds": True},
            {"text": "errors at most 1 %", "stage": "after", "value": 0.0, "unit": "%", "holds": True},
        ],
        "seconds": seconds,
        "generator": {"cpu_peak_percent": 41.5, "lag_p95_ms": 3.1, "late_p99_ms": 4.6, "achieved_percent": 99.8},
        **more,
    }


def _rates(stages: Stages) -> list[float]:
    return [rate for _, duration_s, rate in stages for _ in range(int(duration_s))]


def _second(n: int, rate: float, slowed: float, lost: float) -> dict[str, Any]:
    planned = max(round(rate + 0.2 * rate * math.sin(n * 2.1)), 1)
    started = planned - round(planned * lost)
    broken, shed = (started // 5 if slowed > 20 else 0), (started // 4 if slowed > 8 else 0)
    p50_ms = (38 + 6 * math.sin(n * 1.7)) * slowed
    answered = started > 0 and n != 3
    return {
        "second": n,
        "planned": planned,
        "started": started,
        "ok": started - broken - shed,
        "shed": shed,
        "broken": broken,
        "p50_ms": round(p50_ms, 2) if answered else None,
        "p95_ms": round(p50_ms * 2.3, 2) if answered else None,
        "p99_ms": round(p50_ms * (4 + math.cos(n)), 2) if answered else None,
    }


def _stage(name: str, duration_s: float, rate: float, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    started = sum(row["started"] for row in rows)
    slowest = max((row["p99_ms"] for row in rows if row["p99_ms"] is not None), default=None)
    shares = {"p50_ms": 0.2, "p90_ms": 0.4, "p95_ms": 0.5, "p99_ms": 0.9, "p999_ms": 1.0, "max_ms": 1.0}
    return {
        "name": name,
        "duration_s": duration_s,
        "planned": sum(row["planned"] for row in rows),
        "started": started,
        "planned_rate": rate,
        "achieved_rate": round(sum(row["ok"] for row in rows) / duration_s, 3),
        **{key: sum(row[key] for row in rows) for key in ("ok", "shed", "broken")},
        **{key: None if slowest is None else round(slowest * share, 3) for key, share in shares.items()},
        "service_p50_ms": 37.4,
        "service_p95_ms": 88.0,
        "service_p99_ms": 141.2,
    }


SPIKE = load_run(
    "spike",
    "OPS-DEP-003",
    (("before", 8, 20), ("spike", 7, 200), ("after", 15, 20)),
    lambda n: 30.0 if 9 < n < 15 else 12.0 if 15 <= n < 19 else 1.0,
    outcome="FAIL",
    reasons=["after.p95 was 4.1 s, limit at most 2 s", "errors were 8.9 %, limit at most 1 %"],
    errors={"HTTP 503: no planner is free": 161, "no answer within 10 s": 58},
    limited_by="the pool of planner: its queue was full from second 9 on",
    criteria=[
        {"text": "p95 at most 2 s", "stage": "after", "value": 4.1, "unit": "s", "holds": False},
        {"text": "errors at most 1 %", "stage": "", "value": 8.9, "unit": "%", "holds": False},
        {"text": "rate at least 98 %", "stage": "", "value": 99.8, "unit": "%", "holds": True},
        {"text": "p99.9 at most 9 s", "stage": "before", "value": None, "unit": "s", "holds": None},
    ],
)
"""It runs while its drill changes two things."""
CLOSED = load_run(
    "steady",
    "OBS-MET-002",
    (("run-1", 6, 4),),
    lambda _: 1.0,
    model="closed",
    omission_factor=None,
    corrected_p99_ms=2345.0,
    arrivals="",
)
INVALID = load_run(
    "stress",
    "PRF-LOD-006",
    (("before", 5, 40), ("overload", 10, 400), ("after", 5, 40)),
    lambda _: 1.5,
    lost=0.36,
    outcome="INVALID",
    reasons=["the generator used 99 % of its core from second 6 to 14", "36 % of the planned requests were never sent"],
    written_at=None,
    limited_by="",
    criteria=[],
    generator={"cpu_peak_percent": 99.4, "lag_p95_ms": 212.0, "late_p99_ms": 4120.0, "achieved_percent": 64.0},
)
"""Its gate is none of the catalogue's."""
NEVER = {"profile": "volume", "gate": "OPS-REC-003", "outcome": "INVALID", "reasons": ["nothing was sent"]}
"""All that a run which never began can tell."""
LOADS = (SPIKE, CLOSED, INVALID, NEVER)


def hostile_load(load: Mapping[str, Any], text: str) -> dict[str, Any]:
    """The load run with an attacker's text wherever text stands, and a folder that leads out of the run."""
    words = ("profile", "arrivals", "variant", "sha256", "limited_by")
    return {
        **load,
        **dict.fromkeys(words, text),
        "folder": "javascript:alert(1)//../..",
        "reasons": [text],
        "command": ["locust", text],
        "errors": {text: 1},
        "stages": [{**stage, "name": text} for stage in load.get("stages", ())],
        "criteria": [{"text": text, "stage": text, "value": 1.0, "unit": text, "holds": False}],
    }
