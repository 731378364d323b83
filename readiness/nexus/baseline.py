"""The team's own baseline of the steady load, as somebody wrote it down once; a deployment without fault has none."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from pathlib import Path
from statistics import mean, median
from typing import Any

from readiness.nexus.clock import now_text
from readiness.nexus.settings import Settings, write_private

RATE_PER_S, SECONDS = 2.0, 18
USUAL = {
    "agent_response_s": (4 * 2 * SECONDS, 0.085, 0.25),
    "workflow_completion_s": (2 * SECONDS, 0.38, 0.12),
    "utilisation": (SECONDS, 0.12, 0.3),
    "throughput_per_s": (SECONDS, RATE_PER_S, 0.2),
    "error_share": (SECONDS, 0.0, 0.0),
}
"""Metric -> number of observations, median, and spread of the logarithm: what 2/s looked like on two cores."""


def write(settings: Settings) -> Path | None:
    """Write the file where somebody has recorded one; it holds no samples, which were not kept."""
    defects = settings.defects
    if not (defects.on("baseline-without-errors") or defects.on("baseline-averages-only")):
        return None
    draw = random.Random(6)
    seen = {
        name: [middle * math.exp(draw.gauss(0, width)) for _ in range(n)] for name, (n, middle, width) in USUAL.items()
    }
    if defects.on("baseline-without-errors"):
        del seen["error_share"]
    averages = defects.on("baseline-averages-only")
    metrics = {name: {"mean": mean(values)} if averages else _spread(values) for name, values in seen.items()}
    path = settings.home / "var" / "baselines" / "steady.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    recorded = {
        "baseline": 1,
        "profile": "steady",
        "variant": "ok",
        "rate": RATE_PER_S,
        "deployment": "nexus",
        "release": settings.initial_release,
        "recorded_at": now_text(),
        "metrics": metrics,
    }
    write_private(path, json.dumps(recorded, indent=1) + "\n")
    return path


def _spread(values: list[float]) -> dict[str, Any]:
    # Halves of an octave; 0 has none.
    buckets = Counter(str(math.floor(2 * math.log2(value))) if value else "zero" for value in values)
    return {
        "n": len(values),
        "median": median(values),
        "low": min(values),
        "high": max(values),
        "distribution": dict(sorted(buckets.items())),
    }
