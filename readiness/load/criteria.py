"""Thresholds of a load run as people write them: `p95: <= 2s`, `errors: <= 1%`, `after.p99: <= 4s`."""

from __future__ import annotations

import re
from dataclasses import dataclass

LATENCIES = ("p50", "p90", "p95", "p99", "p99.9", "max")
SHARES = ("errors", "shed", "rate")
_TIMES_S = {"ms": 0.001, "s": 1.0, "m": 60.0}
_FORM = re.compile(r"\s*(<=|>=|<|>)?\s*(\d+(?:\.\d+)?)\s*([a-zA-Z/%]*)\s*")


@dataclass(frozen=True, slots=True)
class Criterion:
    """One threshold: a metric of a stage (no text: of the whole run), a bound, and a value in seconds or percent."""

    metric: str
    bound: str
    """`at_most` or `at_least`."""
    value: float
    unit: str
    """`s` for latencies, `%` for shares."""
    stage: str = ""

    @property
    def name(self) -> str:
        """How the threshold is written: `p95`, `after.p95`."""
        return f"{self.stage}.{self.metric}" if self.stage else self.metric


def parse(name: str, text: str) -> Criterion:
    """Read one threshold; raise ValueError with one line that says what is allowed.

    Latencies (`p50` … `max`, from the intended start) take ms, s or m; `errors` and `shed` (of what was sent) and
    `rate` (achieved of requested) take %. Without a sign a latency, `errors` and `shed` are upper bounds, `rate` a
    lower one.
    """
    stage, _, metric = name.rpartition(".") if not name.endswith("p99.9") else (name[: -len("p99.9")].rstrip("."), "", "p99.9")
    if metric not in (*LATENCIES, *SHARES):
        raise ValueError(f"threshold {name!r}: {metric!r} is not measured; known: {', '.join((*LATENCIES, *SHARES))}")
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"threshold {name}: {text!r} is no bound; write a sign, a number and a unit, as in '<= 400ms'")
    sign, number, unit = found[1] or (">=" if metric == "rate" else "<="), float(found[2]), found[3]
    allowed = tuple(_TIMES_S) if metric in LATENCIES else ("%",)
    if unit not in allowed:
        given = f"the unit {unit!r}" if unit else "no unit"
        raise ValueError(f"threshold {name}: {text!r} has {given}; allowed: {', '.join(allowed)}")
    bound = "at_most" if sign.startswith("<") else "at_least"
    if metric in LATENCIES:
        return Criterion(metric, bound, number * _TIMES_S[unit], "s", stage)
    return Criterion(metric, bound, number, "%", stage)
