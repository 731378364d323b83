"""Thresholds of a load run as people write them: `p95: <= 2s`, `errors: <= 1%`, `after.p99: <= 4s`."""

from __future__ import annotations

import re
from dataclasses import dataclass

LATENCIES = ("p50", "p90", "p95", "p99", "p99.9", "max")
SHARES = ("errors", "shed", "rate")
GROWTHS = {"memory": "MB/h", "descriptors": "/h"}
"""What a service may grow by in an hour, in its unit; judged where the deployment's resources are known."""
METRICS = (*LATENCIES, *SHARES, *GROWTHS)
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
    """`s` for latencies, `%` for shares, `MB/h` and `/h` for growth."""
    stage: str = ""

    @property
    def name(self) -> str:
        """How the threshold is written: `p95`, `after.p95`."""
        return f"{self.stage}.{self.metric}" if self.stage else self.metric

    def holds(self, value: float) -> bool:
        """Whether a measured value, in the threshold's own unit, keeps it."""
        return value <= self.value if self.bound == "at_most" else value >= self.value


def parse(name: str, text: str) -> Criterion:
    """Read one threshold; raise ValueError with one line that says what is allowed.

    Latencies (`p50` … `max`, from the intended start) take ms, s or m; `errors` and `shed` (of what was sent) and
    `rate` (served of requested) take %; `memory` takes MB/h and `descriptors` /h. Without a sign `rate` is a lower
    bound, everything else an upper one. The bound itself still holds, so `<` and `<=` are one. A stage is named in
    front of the last dot.
    """
    stage, metric = _stage_and_metric(name)
    found = _FORM.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"threshold {name}: {text!r} is no bound; write a sign, a number and a unit, as in '<= 400ms'")
    sign, number, unit = found[1] or (">=" if metric == "rate" else "<="), float(found[2]), found[3]
    allowed = tuple(_TIMES_S) if metric in LATENCIES else (GROWTHS.get(metric, "%"),)
    if unit not in allowed:
        given = f"the unit {unit!r}" if unit else "no unit"
        raise ValueError(f"threshold {name}: {text!r} has {given}; allowed: {', '.join(allowed)}")
    if unit == "%" and number > 100:
        raise ValueError(f"threshold {name}: {text!r} is more than all; allowed: 0% to 100%")
    bound = "at_most" if sign.startswith("<") else "at_least"
    return Criterion(metric, bound, number * _TIMES_S.get(unit, 1.0), "s" if metric in LATENCIES else unit, stage)


def _stage_and_metric(name: str) -> tuple[str, str]:
    # The longest first: `after.p99.9` would else be read as the metric `9` of a stage `after.p99`.
    for metric in sorted(METRICS, key=len, reverse=True):
        if name == metric:
            return "", metric
        if len(name) > len(metric) + 1 and name.endswith(f".{metric}"):
            return name[: -len(metric) - 1], metric
    raise ValueError(f"threshold {name!r}: {name.rpartition('.')[2]!r} is not measured; known: {', '.join(METRICS)}")
