"""The picture of a load run: latency, rate and errors on one time axis, with its stages and the faults of its time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from readiness.report.axis import HEIGHT, Band, Bar, Mark, Scale, Tick, bars, lanes, marks, path, place, step_s
from readiness.report.load_record import Load, LoadSecond
from readiness.report.record import Change


@dataclass(frozen=True, slots=True)
class LoadColumn:
    """One or several seconds: `started`, `ok` and `shed` as heights of the rate panel, `broken` of its own."""

    left: float
    width: float
    started: float
    ok: float
    shed: float
    broken: float


@dataclass(frozen=True, slots=True)
class LoadPlot:
    """All that the picture of one load run shows; rates are a second."""

    length_s: int
    known_s: int
    """The end of the last second that was told."""
    step_s: int
    """Seconds a column: counts are their mean, latencies those of the worst second among them."""
    marks: tuple[Mark, ...]
    bands: tuple[Band, ...]
    bars: tuple[Bar, ...]
    columns: tuple[LoadColumn, ...]
    planned_path: str
    """Empty for a closed model, which plans no rate."""
    latency_paths: tuple[tuple[str, str], ...]
    """Percentile's name → its line, on a logarithmic scale."""
    ticks: tuple[Tick, ...]
    slowest_ms: float | None
    most_rate: float
    most_broken: float

    @property
    def lanes(self) -> int:
        """How many changes were in force at once, at most."""
        return lanes(self.bars)


@dataclass(frozen=True, slots=True)
class _Group:
    """The seconds of one column."""

    left: float
    right: float
    seconds: tuple[LoadSecond, ...]
    lasted_s: int

    def rate(self, count: Callable[[LoadSecond], int]) -> float:
        """The mean of a count over the seconds of the column."""
        return sum(map(count, self.seconds)) / self.lasted_s

    def worst(self, percentile: str) -> float | None:
        """The percentile of the worst second: a mean of percentiles is none."""
        known = [ms for second in self.seconds if (ms := getattr(second, percentile)) is not None]
        return max(known, default=None)


def load_plot(load: Load, changes: Sequence[Change]) -> LoadPlot | None:
    """The picture of a load run among the changes of its run; None where no second of it was measured."""
    if not load.seconds:
        return None
    length_s = _length_s(load)
    a_column_s = step_s(length_s)
    groups = _groups(load, length_s, a_column_s)
    planned = [0.0 if load.closed else group.rate(lambda second: second.planned) for group in groups]
    rates = [max(g.rate(lambda s: s.started), g.rate(lambda s: s.ok + s.shed)) for g in groups]
    most_rate, most_broken = max([*planned, *rates]), max(group.rate(lambda s: s.broken) for group in groups)
    scale = Scale.of([ms for group in groups for name in _PERCENTILES if (ms := group.worst(name)) is not None])
    return LoadPlot(
        length_s=length_s,
        known_s=_known_s(load),
        step_s=a_column_s,
        marks=marks(length_s),
        bands=_bands(load, length_s),
        bars=_bars(load, changes, length_s),
        columns=tuple(_column(group, most_rate, most_broken) for group in groups),
        planned_path=_steps_path(groups, planned, most_rate) if any(planned) else "",
        latency_paths=tuple((name.removesuffix("_ms"), _latency_path(groups, name, scale)) for name in _PERCENTILES),
        ticks=scale.ticks if scale else (),
        slowest_ms=scale.slowest_ms if scale else None,
        most_rate=most_rate,
        most_broken=most_broken,
    )


_PERCENTILES = ("p50_ms", "p95_ms", "p99_ms")


def _known_s(load: Load) -> int:
    return max(second.second for second in load.seconds) + 1


def _length_s(load: Load) -> int:
    return max(math.ceil(round(sum(stage.duration_s for stage in load.stages), 3)), _known_s(load))


def _groups(load: Load, length_s: int, a_column_s: int) -> list[_Group]:
    kept: dict[int, list[LoadSecond]] = {}
    for second in sorted(load.seconds, key=lambda second: second.second):
        kept.setdefault(second.second // a_column_s, []).append(second)
    made = []
    for number, seconds in kept.items():
        from_s, to_s = number * a_column_s, min((number + 1) * a_column_s, length_s)
        made.append(_Group(place(from_s, length_s), place(to_s, length_s), tuple(seconds), to_s - from_s))
    return made


def _bands(load: Load, length_s: int) -> tuple[Band, ...]:
    made, from_s = [], 0.0
    for stage in load.stages:
        left, right = place(from_s, length_s), place(from_s + stage.duration_s, length_s)
        made.append(Band(stage.name, left, round(right - left, 3)))
        from_s += stage.duration_s
    return tuple(made)


def _bars(load: Load, changes: Sequence[Change], length_s: int) -> tuple[Bar, ...]:
    """The changes that were in force at some time of the run."""
    began = load.began_at
    if began is None:
        return ()
    overlapping = [
        change
        for change in changes
        if (change.opened_at - began) < timedelta(seconds=length_s)
        and (change.closed_at is None or change.closed_at > began)
    ]
    return bars(overlapping, began, length_s)


def _column(group: _Group, most_rate: float, most_broken: float) -> LoadColumn:
    def height(count: Callable[[LoadSecond], int], most: float) -> float:
        return round(group.rate(count) / most * HEIGHT, 2) if most else 0.0

    return LoadColumn(
        left=group.left,
        width=round(group.right - group.left, 3),
        started=height(lambda second: second.started, most_rate),
        ok=height(lambda second: second.ok, most_rate),
        shed=height(lambda second: second.shed, most_rate),
        broken=height(lambda second: second.broken, most_broken),
    )


def _steps_path(groups: Sequence[_Group], rates: Sequence[float], most: float) -> str:
    points: list[tuple[float, float | None]] = []
    for group, rate in zip(groups, rates, strict=True):
        if points and points[-1][0] != group.left:
            points.append((group.left, None))
        height = rate / most * HEIGHT
        points += [(group.left, height), (group.right, height)]
    return path(points)


def _latency_path(groups: Sequence[_Group], percentile: str, scale: Scale | None) -> str:
    if scale is None:
        return ""
    return path(
        ((group.left + group.right) / 2, None if (ms := group.worst(percentile)) is None else scale.height(ms))
        for group in groups
    )
