"""The picture of an experiment: its faults over what the callers saw, latency and failures a second."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from readiness.report.axis import HEIGHT, Band, Bar, Mark, Scale, Tick, bars, lanes, marks, path, place, step_s
from readiness.report.chaos_record import ChaosFault, ChaosSecond, Trial
from readiness.report.record import Change

WINDOW_WORDS = {"before": "control", "fault": "fault", "after": "after"}


@dataclass(frozen=True, slots=True)
class ChaosColumn:
    """One or several seconds: `ok` and `failed` as heights."""

    left: float
    width: float
    ok: float
    failed: float


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch or a moment of the axis, in percent."""

    left: float
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class ChaosPlot:
    """All that the picture of one experiment shows."""

    length_s: float
    step_s: int
    marks: tuple[Mark, ...]
    bands: tuple[Band, ...]
    bars: tuple[tuple[Bar, ChaosFault], ...]
    columns: tuple[ChaosColumn, ...]
    latency_paths: tuple[tuple[str, str], ...]
    ticks: tuple[Tick, ...]
    slowest_ms: float | None
    most_rate: float
    recovery: Span | None
    """Where the recovery lies, between its bounds."""
    limit: Span | None
    """Until when it had to be."""

    @property
    def lanes(self) -> int:
        """How many faults were in force at once, at most."""
        return lanes([bar for bar, _ in self.bars])


@dataclass(frozen=True, slots=True)
class _Group:
    """The seconds of one column."""

    from_s: int
    to_s: int
    seconds: tuple[ChaosSecond, ...]

    def rate(self, name: str) -> float:
        """The mean of a count over the seconds of the column."""
        return float(sum(getattr(second, name) for second in self.seconds)) / (self.to_s - self.from_s)

    def worst(self, name: str) -> float | None:
        """The percentile of the worst second."""
        return max((ms for second in self.seconds if (ms := getattr(second, name)) is not None), default=None)


_PERCENTILES = ("p50_ms", "p95_ms")


def chaos_plot(trial: Trial) -> ChaosPlot | None:
    """The picture of an experiment; None where neither a fault nor a second of traffic is known."""
    if not trial.faults and not trial.traffic:
        return None
    began, length_s = _span(trial)
    a_column_s = step_s(math.ceil(length_s))
    groups = _groups(trial.traffic, began, a_column_s)
    most = max((group.rate("ok") + group.rate("failed") for group in groups), default=0.0)
    scale = Scale.of([ms for group in groups for name in _PERCENTILES if (ms := group.worst(name)) is not None])
    return ChaosPlot(
        length_s=length_s,
        step_s=a_column_s,
        marks=marks(length_s),
        bands=_bands(trial, began, length_s),
        bars=_bars(trial.faults, began, length_s),
        columns=tuple(_column(group, length_s, most) for group in groups),
        latency_paths=tuple((name.removesuffix("_ms"), _path(groups, name, length_s, scale)) for name in _PERCENTILES),
        ticks=scale.ticks if scale else (),
        slowest_ms=scale.slowest_ms if scale else None,
        most_rate=most,
        recovery=_recovery(trial, began, length_s),
        limit=_limit(trial, began, length_s),
    )


def _span(trial: Trial) -> tuple[datetime, float]:
    begins = [one.began_at for one in trial.windows] + [fault.opened_at for fault in trial.faults]
    begins += [second.second for second in trial.traffic]
    began = min(begins)
    ends = [one.ended_at for one in trial.windows] + [fault.over_at or fault.opened_at for fault in trial.faults]
    ends_s = [(end - began).total_seconds() for end in ends]
    ends_s += [(second.second - began).total_seconds() + 1 for second in trial.traffic]
    return began, max(1.0, *ends_s)


def _groups(seconds: Sequence[ChaosSecond], began: datetime, a_column_s: int) -> list[_Group]:
    kept: dict[int, list[ChaosSecond]] = {}
    for second in sorted(seconds, key=lambda second: second.second):
        number = int((second.second - began).total_seconds()) // a_column_s
        kept.setdefault(number, []).append(second)
    return [
        _Group(number * a_column_s, (number + 1) * a_column_s, tuple(together)) for number, together in kept.items()
    ]


def _bands(trial: Trial, began: datetime, length_s: float) -> tuple[Band, ...]:
    """The windows; those of several faults are one, as the figures take them."""
    made = []
    for name, word in WINDOW_WORDS.items():
        windows = [one for one in trial.windows if one.name == name]
        if windows:
            left = place((min(one.began_at for one in windows) - began).total_seconds(), length_s)
            right = place((max(one.ended_at for one in windows) - began).total_seconds(), length_s)
            made.append(Band(word, left, max(0.0, round(right - left, 3))))
    return tuple(made)


def _bars(faults: Sequence[ChaosFault], began: datetime, length_s: float) -> tuple[tuple[Bar, ChaosFault], ...]:
    by_id = {str(number): fault for number, fault in enumerate(faults)}
    changes = [
        Change(id, "", fault.what, "", "", fault.opened_at, closed_at=fault.over_at, verified=fault.verified)
        for id, fault in by_id.items()
    ]
    return tuple((bar, by_id[bar.change.id]) for bar in bars(changes, began, length_s))


def _column(group: _Group, length_s: float, most: float) -> ChaosColumn:
    left, right = place(group.from_s, length_s), place(group.to_s, length_s)
    ok, failed = (round(group.rate(name) / most * HEIGHT, 2) if most else 0.0 for name in ("ok", "failed"))
    return ChaosColumn(left, round(right - left, 3), ok, failed)


def _path(groups: Sequence[_Group], name: str, length_s: float, scale: Scale | None) -> str:
    if scale is None:
        return ""
    return path(
        (
            place((group.from_s + group.to_s) / 2, length_s),
            None if (ms := group.worst(name)) is None else scale.height(ms),
        )
        for group in groups
    )


def _lifted_s(trial: Trial, began: datetime) -> float | None:
    """When the last fault was lifted, in seconds of the picture."""
    ends = [one.ended_at for one in trial.windows if one.name == "fault"]
    return (max(ends) - began).total_seconds() if ends else None


def _recovery(trial: Trial, began: datetime, length_s: float) -> Span | None:
    lifted_s = _lifted_s(trial, began)
    if trial.recovery is None or trial.recovery.hi_s is None or lifted_s is None:
        return None
    left = place(lifted_s + trial.recovery.lo_s, length_s)
    return Span(left, max(0.4, round(place(lifted_s + trial.recovery.hi_s, length_s) - left, 3)))


def _limit(trial: Trial, began: datetime, length_s: float) -> Span | None:
    lifted_s = _lifted_s(trial, began)
    if trial.recovery is None or trial.recovery.limit_s is None or lifted_s is None:
        return None
    until_s = lifted_s + trial.recovery.limit_s
    return Span(place(until_s, length_s)) if until_s < length_s else None
