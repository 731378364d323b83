"""The stretch of a fault beside the calm before it and the time after it, from the traffic of one run.

What was under way at any time of the fault belongs to it; `before` ended before it began, `after` was handed in once
the window `after` had begun, which may be later than the lifting: the time between is the recovery's.

Shares carry one-sided 95 % Clopper-Pearson bounds (readiness.score.confidence), and a promise on a quantile is one on a
share: p95 <= 2 s says that at least 95 % take at most 2 s (the distribution-free interval of a quantile: W. J. Conover,
Practical Nonparametric Statistics, section 3.2). The difference of two shares has Newcombe's hybrid score interval
(R. G. Newcombe, Statistics in Medicine 17 (1998), 873-890, method 10), and that of two quantiles a percentile bootstrap
(B. Efron, Annals of Statistics 7 (1979), 1-26).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from readiness.score.confidence import LEVEL, lower_bound, upper_bound
from readiness.thresholds import LATENCIES, Criterion, parse
from readiness.units import format_duration
from readiness.workload import Transaction

WindowName = Literal["before", "fault", "after"]
NAMES: tuple[WindowName, ...] = ("before", "fault", "after")
STAGES: Mapping[str, WindowName] = {"during": "fault", "fault": "fault", "after": "after"}
"""How experiments call a window → its name; nothing is promised of the calm before."""
_SHARES = {name: float(name[1:]) / 100 for name in LATENCIES if name != "max"}
"""Quantile's name → the share of transactions that it speaks of."""
_Z = 1.959964
"""The two-sided 95 % point of the normal distribution."""
_RESAMPLES = 1000
_ENOUGH_FOR_BOOTSTRAP = 8


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a trial; several faults of one trial may each have their own."""

    name: WindowName
    began_at: datetime
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Figures:
    """What the callers saw in one window; latencies in seconds, of what ended as meant."""

    name: WindowName
    sent: int
    good: int
    """Ended as its variant is meant to."""
    share: float | None
    """Of `sent`; None where nothing was sent."""
    share_lo: float
    share_hi: float
    latencies_s: tuple[float, ...]
    """Sorted."""

    @property
    def bad(self) -> int:
        """How many did not end as meant."""
        return self.sent - self.good

    def quantile_s(self, share: float) -> float | None:
        """The nearest-rank quantile; None where nothing ended as meant."""
        n = len(self.latencies_s)
        return self.latencies_s[max(0, math.ceil(share * n) - 1)] if n else None


@dataclass(frozen=True, slots=True)
class Difference:
    """The fault window less the control window, with a 95 % interval; shares of 0 to 1, latencies in seconds."""

    what: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Promise:
    """What an experiment promises of a window, as it was written before the run."""

    window: WindowName
    criterion: Criterion


@dataclass(frozen=True, slots=True)
class Kept:
    """A promise beside what was seen: it holds, it is broken, or so few transactions cannot tell."""

    promise: Promise
    holds: bool | None
    text: str


def promises(raw: Mapping[str, Mapping[str, str]]) -> tuple[Promise, ...]:
    """Read `promises: {during: {errors: "<= 5%"}, after: {p95: "<= 2s"}}`; ValueError says what is allowed."""
    made = []
    for stage, thresholds in raw.items():
        if stage not in STAGES:
            raise ValueError(f"promises.{stage}: no such stretch of an experiment; allowed: during, after")
        if not isinstance(thresholds, Mapping):
            raise ValueError(f"promises.{stage}: {thresholds!r} is no mapping; write {{errors: '<= 5%'}}")
        made += [Promise(STAGES[stage], _criterion(stage, name, text)) for name, text in thresholds.items()]
    return tuple(made)


def figures(transactions: Sequence[Transaction], windows: Sequence[Window]) -> dict[WindowName, Figures]:
    """What was seen before, during and after the fault; an experiment without a fault window has none of them."""
    faults = [window for window in windows if window.name == "fault"]
    if not faults:
        return {}
    from_, to = min(window.began_at for window in faults), max(window.ended_at for window in faults)
    after = min((window.began_at for window in windows if window.name == "after"), default=to)
    kept: dict[WindowName, list[Transaction]] = {name: [] for name in NAMES}
    for one in transactions:
        name = _window(one, from_, to)
        if name != "after" or one.started_at >= after:
            kept[name].append(one)
    return {name: _figures(name, seen) for name, seen in kept.items()}


def judge(promise: Promise, seen: Mapping[WindowName, Figures]) -> Kept:
    """Hold a promise against its window: by the bounds of the share that kept it, never by the share alone."""
    one, criterion = seen.get(promise.window), promise.criterion
    word = "during the fault" if promise.window == "fault" else promise.window
    if one is None or not one.sent:
        return Kept(promise, None, f"{_asked(criterion)} {word}: no transaction was sent")
    total, kept, wanted = _counted(one, criterion)
    if not total:
        return Kept(promise, None, f"{_asked(criterion)} {word}: nothing ended as meant, so it has no latency")
    low, high = lower_bound(kept, total), upper_bound(kept, total)
    holds = True if low >= wanted else False if high < wanted else None
    text = f"{_asked(criterion)} {word}: {_measured(one, criterion, kept, total, low, high)}"
    if holds is None:
        text += f"; {total} cannot tell, {needed(wanted)} without one would"
    return Kept(promise, holds, text)


def needed(share: float, level: float = LEVEL) -> int:
    """How many in a row show that at least `share` of all would: the least n with share^n <= 1 - level."""
    return math.ceil(math.log(1 - level) / math.log(share) - 1e-9)


def differences(control: Figures, fault: Figures) -> tuple[Difference, ...]:
    """What the fault changed: the share that ended as meant, the median and the p95; what cannot be told is left out.

    The bootstrap takes transactions for independent, which those of one fault are not quite: its interval informs, and
    no verdict rests on it.
    """
    made = []
    if control.sent and fault.sent:
        low, high = newcombe((fault.good, fault.sent), (control.good, control.sent))
        assert fault.share is not None
        assert control.share is not None
        made.append(Difference("share as meant", fault.share - control.share, low, high))
    if min(len(control.latencies_s), len(fault.latencies_s)) >= _ENOUGH_FOR_BOOTSTRAP:
        made += [_latency_difference(name, _SHARES[name], control, fault) for name in ("p50", "p95")]
    return tuple(made)


def newcombe(one: tuple[int, int], other: tuple[int, int]) -> tuple[float, float]:
    """The 95 % interval of the difference of two shares (k of n each, n > 0): Newcombe's method 10."""
    (a, a_low, a_high), (b, b_low, b_high) = _wilson(*one), _wilson(*other)
    return (
        max(-1.0, a - b - math.hypot(a - a_low, b_high - b)),
        min(1.0, a - b + math.hypot(a_high - a, b - b_low)),
    )


def _criterion(stage: str, name: str, text: str) -> Criterion:
    criterion = parse(name, text)
    known = ("errors", *_SHARES)
    if criterion.metric not in known or criterion.stage:
        raise ValueError(f"promises.{stage}.{name}: not promised of an experiment; allowed: {', '.join(known)}")
    if criterion.bound != "at_most":
        raise ValueError(f"promises.{stage}.{name}: {text!r} is a lower bound; promise the most, as in '<= 5%'")
    if criterion.metric == "errors" and not 0 < criterion.value < 100:
        raise ValueError(f"promises.{stage}.{name}: {text!r} cannot be shown; promise more than 0% and less than 100%")
    return criterion


def _window(one: Transaction, from_: datetime, to: datetime) -> WindowName:
    """A transaction that never ended was under way until the end."""
    if one.started_at >= to:
        return "after"
    ended_at = one.ended_at
    return "before" if ended_at is not None and ended_at < from_ else "fault"


def _figures(name: WindowName, seen: Sequence[Transaction]) -> Figures:
    good = [one for one in seen if one.as_meant]
    n, k = len(seen), len(good)
    latencies = sorted(one.latency_s for one in good if one.latency_s is not None)
    lo, hi = (lower_bound(k, n), upper_bound(k, n)) if n else (0.0, 1.0)
    return Figures(name, n, k, k / n if n else None, lo, hi, tuple(latencies))


def _counted(one: Figures, criterion: Criterion) -> tuple[int, int, float]:
    """How many count, how many of them keep the promise, and the share of them that must."""
    if criterion.metric == "errors":
        return one.sent, one.good, 1 - criterion.value / 100
    kept = sum(latency_s <= criterion.value for latency_s in one.latencies_s)
    return len(one.latencies_s), kept, _SHARES[criterion.metric]


def _asked(criterion: Criterion) -> str:
    bound = format_duration(criterion.value) if criterion.unit == "s" else f"{criterion.value:g} %"
    return f"{criterion.metric} at most {bound}"


def _measured(one: Figures, criterion: Criterion, kept: int, total: int, low: float, high: float) -> str:
    if criterion.metric == "errors":
        return f"{total - kept} of {total} failed (95 % bounds {(1 - high):.1%} and {(1 - low):.1%})"
    found = one.quantile_s(_SHARES[criterion.metric])
    assert found is not None
    return f"{format_duration(found)} measured, {kept} of {total} kept the limit (95 % bounds {low:.1%} and {high:.1%})"


def _wilson(k: int, n: int) -> tuple[float, float, float]:
    share, zz = k / n, _Z * _Z
    middle, half = share + zz / (2 * n), _Z * math.sqrt(share * (1 - share) / n + zz / (4 * n * n))
    return share, (middle - half) / (1 + zz / n), (middle + half) / (1 + zz / n)


def _latency_difference(name: str, share: float, control: Figures, fault: Figures) -> Difference:
    rng = random.Random(1)

    def drawn(of: tuple[float, ...]) -> float:
        return sorted(rng.choices(of, k=len(of)))[math.ceil(share * len(of)) - 1]

    found = sorted(drawn(fault.latencies_s) - drawn(control.latencies_s) for _ in range(_RESAMPLES))
    measured = (fault.quantile_s(share) or 0.0) - (control.quantile_s(share) or 0.0)
    return Difference(f"{name} latency", measured, found[round(0.025 * _RESAMPLES)], found[round(0.975 * _RESAMPLES)])
