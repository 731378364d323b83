"""A load run as its files tell it: stages, seconds, percentiles over all workers, errors by kind.

Percentiles come from the samples of all workers put together, or from their added histograms beyond the raw cap, and
never from averages. They are nearest-rank: the ceil(q·n)-th smallest value, which was really measured (Hyndman and
Fan 1996, definition 1).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from readiness.errors import UsageError
from readiness.load.buckets import Histogram
from readiness.load.merging import (
    Latencies,
    SecondRow,
    StageResult,
    by_kind,
    by_second,
    kinds_of,
    of_stage,
    rank,
)
from readiness.load.plan import CLOSED, FILE, Plan, from_data
from readiness.load.recordings import Beat, Rollup, json_lines, json_object, recordings
from readiness.load.samples import DTYPE, TIMED

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Beat", "Latencies", "LoadResult", "SecondRow", "StageResult", "read"]

_CANNOT = (KeyError, TypeError, ValueError, AttributeError)


@dataclass(frozen=True, slots=True, eq=False)
class LoadResult:
    """One load run, read from its folder."""

    plan: Plan
    folder: Path
    began_at: datetime | None
    """The run's zero on the wall clock; None where it never began."""
    total: StageResult
    stages: tuple[StageResult, ...]
    seconds: tuple[SecondRow, ...]
    errors: Mapping[str, int]
    """How often each kind of error came, and each kind of refusal; the most frequent first."""
    beats: tuple[Beat, ...]
    workers_expected: int
    workers_ended: int
    unfinished: tuple[Mapping[str, str], ...]
    raw: bool
    """Whether every transaction was kept as it was, beyond the raw cap of no worker."""
    resources: tuple[Mapping[str, Any], ...]
    """What the deployment used, as the harness looked at it."""
    written_at: datetime | None
    """When the plan was written."""
    sha256: str
    """The digest of the plan as it was written down."""
    stopped: bool = False
    """Whether somebody stopped it before the plan's end."""
    _samples: NDArray[np.void] = field(default_factory=lambda: np.empty(0, DTYPE), repr=False)
    _rollups: tuple[Rollup, ...] = field(default=(), repr=False)

    def samples(self) -> NDArray[np.void]:
        """Give all workers' records (`samples.DTYPE`), shape (n,), by intended start; empty when not all are raw."""
        return self._samples if self.raw else self._samples[:0]

    def recorded(self) -> NDArray[np.void]:
        """Give the records that were kept raw, also where later ones were only counted."""
        return self._samples

    def rolled(self) -> tuple[Rollup, ...]:
        """Give what was only counted, beyond the raw cap."""
        return self._rollups

    def timed(self) -> NDArray[np.bool_]:
        """Tell which of the raw records have a latency, shape (n,)."""
        return np.isin(self._samples["outcome"], TIMED)

    def latencies_s(self, stage: str | None = None) -> NDArray[np.float64]:
        """Give the raw latencies from the intended start in seconds, shape (n,), by intended start."""
        kept = _timed(self._of(stage))
        latencies: NDArray[np.float64] = kept["ended_s"] - kept["intended_s"]
        return latencies

    def quantile_s(
        self, q: float, stage: str | None = None, of: Literal["latency", "service"] = "latency"
    ) -> float | None:
        """Give the nearest-rank quantile in seconds: exact on raw samples, within 0.4 % where counts were kept.

        `latency` is from the intended start, `service` from the actual one. None where nothing has a latency; an
        unknown stage is a KeyError.
        """
        kept = _timed(self._of(stage))
        values: NDArray[np.float64] = kept["ended_s"] - kept["intended_s" if of == "latency" else "started_s"]
        wanted = None if stage is None else self._index(stage)
        rolled = [row for row in self._rollups if row.outcome in TIMED and wanted in (None, row.stage)]
        if not rolled:
            return float(np.partition(values, rank(q, values.size))[rank(q, values.size)]) if values.size else None
        merged = Histogram.of(values)
        for row in rolled:
            merged.merge(row.latency if of == "latency" else row.service)
        return merged.quantile(q)

    def omission_factor(self, q: float = 0.99) -> float | None:
        """Give how many times the latency from the intended start exceeds the service time at a quantile.

        1 is a system that never made arrivals wait for one another; it is what a closed loop leaves out (Tene's
        coordinated omission).
        """
        latency, service = self.quantile_s(q), self.quantile_s(q, of="service")
        return None if latency is None or service is None or service <= 0 else latency / service

    def corrected_s(self, q: float) -> float | None:
        """Give a closed run's quantile in seconds with the transactions added that a stall kept from being sent.

        HdrHistogram's correction (copyCorrectedForCoordinatedOmission): a value v above the expected interval I also
        stands for v - I, v - 2I, … down to I. I is what one user takes from start to start, users over throughput
        (Little 1961), of the median second, which a stall does not stretch. An estimate: an open model measures it.
        None for an open run, and where nothing was kept raw.
        """
        values = self.latencies_s()
        if self.plan.model != CLOSED or not values.size or not self.raw:
            return None
        per_second = float(np.median([row.started for row in self.seconds if row.started] or [0]))
        return _corrected(values, q, max(self.plan.users, 1) / per_second) if per_second else None

    def share_percent(self, metric: Literal["errors", "shed", "rate"], stage: str | None = None) -> float:
        """Give `errors` or `shed` in percent of what was started, or `rate`: served in percent of what was planned.

        NaN where there is nothing to divide by: nothing started, or no planned rate (closed model).
        """
        row = self.total if stage is None else self.stages[self._index(stage)]
        counted = {"errors": row.broken, "shed": row.shed, "rate": row.ok}[metric]
        of = row.planned if metric == "rate" else row.started
        return 100.0 * counted / of if of else math.nan

    def stage(self, name: str) -> StageResult:
        """Give a stage by name; an unknown one is a KeyError."""
        return self.stages[self._index(name)]

    def _index(self, stage: str) -> int:
        names = [row.name for row in self.plan.stages]
        if stage not in names:
            raise KeyError(stage)
        return names.index(stage)

    def _of(self, stage: str | None) -> NDArray[np.void]:
        if stage is None:
            return self._samples
        kept: NDArray[np.void] = self._samples[self._samples["stage"] == self._index(stage)]
        return kept


def read(folder: Path) -> LoadResult:
    """Read a load run's folder; a folder that is none is a UsageError in one line.

    Whatever a killed worker tore off (half a record, half a line, no end) is passed over here and judged elsewhere.
    """
    written = json_object(folder / FILE)
    if not written:
        raise UsageError(f"{folder}: not a load run: no readable {FILE} in it{_nearby(folder)}")
    try:
        plan = from_data(written)
    except _CANNOT as error:
        raise UsageError(f"{folder / FILE}: not a plan of this version ({error}); run the profile again") from None
    workers = recordings(folder, len(plan.stages))
    samples, kinds = kinds_of(workers)
    rollups = tuple(row for worker in workers for row in worker.rollups)
    zero = json_object(folder / "zero.json").get("wall_s")
    return LoadResult(
        plan=plan,
        folder=folder,
        began_at=datetime.fromtimestamp(zero, UTC) if isinstance(zero, int | float) else None,
        total=of_stage(plan, None, samples, rollups),
        stages=tuple(of_stage(plan, index, samples, rollups) for index in range(len(plan.stages))),
        seconds=by_second(plan, samples, rollups),
        errors=by_kind(samples, kinds, rollups),
        beats=tuple(beat for worker in workers for beat in worker.beats),
        workers_expected=max(plan.workers, len(workers)),
        workers_ended=sum(worker.ended for worker in workers),
        unfinished=tuple(each for worker in workers for each in worker.unfinished),
        raw=not rollups,
        resources=tuple(json_lines(folder / "resources.jsonl")),
        written_at=_instant(written.get("written_at")),
        sha256=str(written.get("sha256", "")),
        stopped=any(worker.stopped for worker in workers),
        _samples=samples,
        _rollups=rollups,
    )


def _timed(samples: NDArray[np.void]) -> NDArray[np.void]:
    kept: NDArray[np.void] = samples[np.isin(samples["outcome"], TIMED)]
    return kept


def _corrected(values: NDArray[np.float64], q: float, interval_s: float) -> float:
    """Find the quantile by bisection, since the added values may be too many to be written out."""
    added = np.maximum(np.floor(values / interval_s) - 1, 0)
    most = values.size + added.sum()
    allowed_above = most - max(1, math.ceil(q * most - 1e-9))
    low, high = 0.0, float(values.max())
    for _ in range(60):
        middle = (low + high) / 2
        over = values > middle
        above = np.minimum(np.ceil((values[over] - middle) / interval_s), added[over] + 1).sum()
        low, high = (low, middle) if above <= allowed_above else (middle, high)
    return high


def _instant(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _nearby(folder: Path) -> str:
    known = sorted(path.parent for pattern in ("*", "load/*") for path in folder.glob(f"{pattern}/{FILE}"))
    listed = ", ".join(map(str, known[:5]))
    return f"; give one of {listed}" if known else "; give a folder such as reports/latest/load/steady"
