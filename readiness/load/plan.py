"""What a load run is going to send and when: stages of an arrival rate, known and hashed before the first request."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from readiness.thresholds import Criterion

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMAT = 1
FILE = "plan.json"
OPEN, CLOSED = "open", "closed"
CONSTANT, POISSON = "constant", "poisson"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of the run with one arrival rate, or a linear ramp from one to another (arrivals a second)."""

    name: str
    duration_s: float
    rate_from: float
    rate_to: float

    @property
    def arrivals(self) -> float:
        """How many transactions the stage asks for."""
        return (self.rate_from + self.rate_to) / 2 * self.duration_s


@dataclass(frozen=True, slots=True)
class Plan:
    """One load run as data: the same plan makes the same arrivals."""

    profile: str
    stages: tuple[Stage, ...]
    variant: str = "ok"
    """The synthetic transaction of the descriptor's `workload` that is sent."""
    model: str = OPEN
    """`open`: arrivals come on their schedule, whatever the system does; `closed`: `users` wait for each answer."""
    arrivals: str = CONSTANT
    """`constant` distances, or a `poisson` process of the same rate."""
    seed: int = 1
    """Of the Poisson arrivals."""
    users: int = 0
    """Closed model only: how many users send, each waiting for its answer."""
    drain_s: float = 30.0
    """How long transactions in flight are awaited after the last arrival; what still goes on is censored."""
    workers: int = 1
    """Processes that share the arrivals."""
    criteria: tuple[Criterion, ...] = field(default_factory=tuple)

    @property
    def duration_s(self) -> float:
        """The length of all stages."""
        return sum(stage.duration_s for stage in self.stages)

    def starts(self) -> NDArray[np.float64]:
        """The intended starts of all arrivals, in seconds since the run's zero, ascending.

        An arrival happens wherever the integral of the rate passes a whole number (`constant`), or a sum of
        exponential steps of mean 1 (`poisson`: time change of a unit-rate process, Cinlar 1975, ch. 4.7).
        """
        import numpy as np

        edges = np.concatenate([[0.0], np.cumsum([stage.arrivals for stage in self.stages])])
        if self.arrivals == POISSON:
            steps = np.random.default_rng(self.seed).exponential(size=int(edges[-1] * 1.5 + 50))
            marks = np.cumsum(steps)
        else:
            marks = np.arange(0, np.ceil(edges[-1] - 1e-9))
        marks = marks[marks < edges[-1] - 1e-9]
        found, began_s = [], 0.0
        for stage, low, high in zip(self.stages, edges, edges[1:], strict=False):
            inside = np.maximum(marks[(marks >= low - 1e-9) & (marks < high - 1e-9)] - low, 0.0)
            found.append(began_s + _when(stage, inside))
            began_s += stage.duration_s
        return np.concatenate(found) if found else np.empty(0)

    def stage_of(self, starts: NDArray[np.float64]) -> NDArray[np.intp]:
        """The index of the stage that each offset lies in (after the last: the last)."""
        import numpy as np

        ends = np.cumsum([stage.duration_s for stage in self.stages])
        return np.minimum(np.searchsorted(ends, starts, side="right"), len(self.stages) - 1)

    @property
    def sha256(self) -> str:
        """The digest of stages and criteria: what was promised before the run."""
        told = {name: value for name, value in to_data(self).items() if name not in ("seed", "workers", "users")}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


def to_data(plan: Plan) -> dict[str, Any]:
    """The plan as JSON data."""
    return {"format": FORMAT, **asdict(plan)}


def write(folder: Path, plan: Plan, **more: object) -> None:
    """Write what a run promises into its folder, safe on disk before the first request; `more` is told beside it."""
    written_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    told = {**to_data(plan), "sha256": plan.sha256, "written_at": written_at, **more}
    with (folder / FILE).open("w", encoding="utf-8") as stream:
        json.dump(told, stream, indent=1)
        stream.flush()
        os.fsync(stream.fileno())


def from_data(data: Mapping[str, Any]) -> Plan:
    """Read a plan; raise KeyError, TypeError or ValueError where it is none."""
    if data.get("format") != FORMAT:
        raise ValueError(f"format {data.get('format')!r} of a plan is not {FORMAT}")
    stages: Sequence[Mapping[str, Any]] = data["stages"]
    known = {name: data[name] for name in Plan.__dataclass_fields__ if name in data}
    known["stages"] = tuple(Stage(**stage) for stage in stages)
    known["criteria"] = tuple(Criterion(**criterion) for criterion in data.get("criteria", ()))
    return Plan(**known)


def _when(stage: Stage, arrived: NDArray[np.float64]) -> NDArray[np.float64]:
    """The instant at which a linear rate has made so many arrivals: solves r·t + (R - r)·t²/(2·d) = n for t."""
    import numpy as np

    slope = (stage.rate_to - stage.rate_from) / stage.duration_s
    if abs(slope) < 1e-12:
        return arrived / stage.rate_from
    root = np.sqrt(np.maximum(stage.rate_from**2 + 2 * slope * arrived, 0.0))
    # the form of the quadratic's root that loses no digits; a ramp from nothing has its first arrival at once
    return 2 * arrived / np.maximum(stage.rate_from + root, np.finfo(np.float64).tiny)
