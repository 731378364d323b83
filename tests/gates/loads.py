"""What the files of load runs hold: arrivals that end well or otherwise, and what replicas use meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from readiness.load.plan import Plan
from readiness.load.samples import Outcome
from readiness.resources import CPU, DESCRIPTORS, FILE, MEMORY, TASK_SECONDS, TASKS
from tests.load.written import Written, served

if TYPE_CHECKING:
    from numpy.typing import NDArray

CALM_S = 0.3
Samples = Callable[[Plan], "NDArray[np.void]"]
Usage = Callable[[str, float], "Mapping[str, float] | None"]


def calm(plan: Plan, factor: float = 1.0, seed: int = 1) -> NDArray[np.void]:
    """All served in about 0.3 s: no two alike, as from a real deployment."""
    noise = np.random.default_rng(seed).normal(0, 0.1, plan.starts().size)
    return served(plan, CALM_S * factor * np.exp(noise))


def at_ease(_name: str, at_s: float) -> Mapping[str, float]:
    """What a replica uses: a fifth of a core, 100 MB with a garbage collector's sawtooth, 20 to 22 descriptors."""
    return {CPU: 0.2 * at_s, MEMORY: 100e6 + 1e6 * (at_s * 7 % 5), DESCRIPTORS: 20 + at_s * 3 % 3}


def stretch(plan: Plan, *stages: str) -> NDArray[np.bool_]:
    """Which arrivals lie in these stages."""
    names = [stage.name for stage in plan.stages]
    chosen: NDArray[np.bool_] = np.isin(plan.stage_of(plan.starts()), [names.index(stage) for stage in stages])
    return chosen


def first(mask: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
    """The first n of those that are chosen."""
    chosen: NDArray[np.bool_] = mask & (np.cumsum(mask) <= n)
    return chosen


def every(mask: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
    """Each n-th of those that are chosen, the n-th first."""
    chosen: NDArray[np.bool_] = mask & (np.cumsum(mask) % n == 0)
    return chosen


def ends(
    samples: NDArray[np.void], mask: NDArray[np.bool_], outcome: Outcome, latency_s: float, status: int = 0
) -> NDArray[np.void]:
    """Let the chosen arrivals end otherwise."""
    samples["outcome"][mask], samples["status"][mask] = outcome, status
    samples["ended_s"][mask] = samples["intended_s"][mask] + latency_s
    return samples


def slower(samples: NDArray[np.void], mask: NDArray[np.bool_], factor: float) -> NDArray[np.void]:
    """Let the chosen arrivals take so many times as long."""
    took = samples["ended_s"] - samples["intended_s"]
    samples["ended_s"] += np.where(mask, took * (factor - 1), 0)
    return samples


def capacity_of(rate: float) -> Samples:
    """A deployment that completes at most so many a second, one after the other."""

    def sampled(plan: Plan) -> NDArray[np.void]:
        samples, free_s = calm(plan), 0.0
        for number, alone_s in enumerate(samples["ended_s"].tolist()):
            free_s = samples["ended_s"][number] = max(alone_s, free_s + 1 / rate)
        return samples

    return sampled


@dataclass(frozen=True, slots=True)
class Load:
    """What the files of one load run hold."""

    samples: Samples = calm
    usage: Usage = at_ease
    written: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Written` that differ: lag, CPU of the generator, lost workers."""
    unfinished: Sequence[str] = ()
    """Ids of what was accepted and had not ended."""
    written_late_s: float = -5.0
    """When the plan was written, after the run's zero."""
    task_s: float | None = 0.08
    """The mean time of a task; None where no replica tells it."""

    def into(self, folder: Path, plan: Plan, zero_s: float, names: Sequence[str]) -> None:
        """Write the folder of a run whose second 0 was at an instant of the wall clock."""
        Written(plan, self.samples(plan), **self.written).into(folder)
        (folder / "zero.json").write_text(json.dumps({"wall_s": zero_s, "monotonic_s": 1.0}))
        told = json.loads((folder / "plan.json").read_text())
        told["written_at"] = datetime.fromtimestamp(zero_s + self.written_late_s, UTC).isoformat()
        (folder / "plan.json").write_text(json.dumps(told))
        rows = [json.dumps(self._row(zero_s, float(at_s), names)) for at_s in np.arange(0, plan.duration_s + 0.5)]
        (folder / FILE).write_text("\n".join(rows))
        lines = [json.dumps({"marker": f"rd-{one}", "id": one, "outcome": "LATE"}) for one in self.unfinished]
        (folder / "worker-0.unfinished.jsonl").write_text("\n".join(lines))

    def _row(self, zero_s: float, at_s: float, names: Sequence[str]) -> dict[str, object]:
        read = {name: self.usage(name, at_s) for name in names}
        shown = {name: {"service": name.rpartition("-")[0], **used} for name, used in read.items() if used is not None}
        tasks = {TASK_SECONDS: self.task_s * 8 * at_s, TASKS: 8 * at_s} if self.task_s is not None else {}
        return {"wall_s": zero_s + at_s, "instances": shown, **tasks}
