"""Writes load run folders as workers leave them, for tests that judge without sending anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from readiness.load.plan import Plan, Stage, to_data
from readiness.load.recorder import Recorder
from readiness.load.samples import DTYPE, Outcome
from readiness.thresholds import parse

if TYPE_CHECKING:
    from numpy.typing import NDArray

ZERO_S = 1_790_000_000.0
"""The wall clock at every written run's zero."""


def plan_of(*stages: Stage, thresholds: Mapping[str, str] | None = None, **others: Any) -> Plan:
    """Make a plan; without stages one of 20 s at 50/s, without thresholds `p95: <= 1s` and `errors: <= 1%`."""
    wanted = {"p95": "<= 1s", "errors": "<= 1%"} if thresholds is None else thresholds
    criteria = tuple(parse(name, text) for name, text in wanted.items())
    return Plan(
        profile=str(others.pop("profile", "steady")),
        stages=stages or (Stage("measure", 20.0, 50.0, 50.0),),
        criteria=criteria,
        **others,
    )


def served(plan: Plan, latency_s: float | Sequence[float] | NDArray[np.float64] = 0.05) -> NDArray[np.void]:
    """Give one record for every arrival of a plan, started on time and served after `latency_s`."""
    starts = plan.starts()
    samples = np.zeros(starts.size, DTYPE)
    samples["intended_s"] = samples["started_s"] = starts
    samples["ended_s"] = starts + latency_s
    samples["stage"] = plan.stage_of(starts)
    samples["status"] = 200
    return samples


def censor(samples: NDArray[np.void], after_s: float, end_s: float) -> NDArray[np.void]:
    """Let nothing that was meant to start after an instant end before the run does."""
    changed: NDArray[np.void] = samples.copy()
    late = changed["intended_s"] >= after_s
    changed["outcome"][late], changed["status"][late], changed["ended_s"][late] = Outcome.CENSORED, 0, end_s
    return changed


@dataclass
class Written:
    """A run to be written: each field is what its files would hold."""

    plan: Plan = field(default_factory=plan_of)
    samples: NDArray[np.void] | None = None
    """Default: every arrival served after 50 ms."""
    lost: frozenset[int] = frozenset()
    """Workers that never said goodbye."""
    silent: frozenset[int] = frozenset()
    """Workers without beats."""
    kinds: Mapping[int, str] = field(default_factory=dict)
    lag_ms: Sequence[float] = (0.3,)
    """One a beat, repeated as long as the run lasts; as are the others."""
    cpu: Sequence[float] = (0.2,)
    wall_jump_s: Mapping[float, float] = field(default_factory=dict)
    """Instant → how far the wall clock jumps then."""
    cap: int | None = None
    """Raw samples a worker; None: all."""
    reason: str = "complete"
    sha256: str | None = None

    def into(self, folder: Path) -> Path:
        """Write the folder and return it."""
        folder.mkdir(parents=True, exist_ok=True)
        told = {
            **to_data(self.plan),
            "sha256": self.plan.sha256 if self.sha256 is None else self.sha256,
            "written_at": "2026-11-24T12:00:00+00:00",
            "deployment": "tests",
            "keep_alive": True,
        }
        (folder / "plan.json").write_text(json.dumps(told))
        (folder / "zero.json").write_text(json.dumps({"wall_s": ZERO_S, "monotonic_s": 100.0}))
        samples = served(self.plan) if self.samples is None else self.samples
        for worker in range(self.plan.workers):
            self._worker(folder, worker, samples[worker :: self.plan.workers])
        return folder

    def but(self, **changes: Any) -> Written:
        """Change some fields."""
        return replace(self, **changes)

    def _worker(self, folder: Path, worker: int, samples: NDArray[np.void]) -> None:
        recorder = Recorder(folder, worker, cap=samples.size if self.cap is None else self.cap)
        numbers = {kind: recorder.kind(text) for kind, text in self.kinds.items()}
        ordered = samples[np.argsort(samples["ended_s"], kind="stable")]
        for intended_s, started_s, ended_s, stage, outcome, status, kind in ordered.tolist():
            recorder.add(intended_s, started_s, ended_s, stage, outcome, status, numbers.get(kind, 0))
        for beat in () if worker in self.silent else self._beats():
            recorder.beat({**beat, "started": samples.size, "scheduled": samples.size})
        recorder.end((worker, self.plan.workers), samples.size, self.reason)
        if worker in self.lost:
            _kill(folder / f"worker-{worker}")

    def _beats(self) -> list[dict[str, float]]:
        instants = np.arange(0, self.plan.duration_s + 1, 0.5).tolist()
        return [
            {
                "at_s": at_s,
                "wall_s": ZERO_S + at_s + sum(jump for after, jump in self.wall_jump_s.items() if at_s >= after),
                "lag_ms": self.lag_ms[number % len(self.lag_ms)],
                "cpu": self.cpu[number % len(self.cpu)],
                "ended": 0,
                "in_flight": 0,
                "rss_bytes": 50_000_000,
            }
            for number, at_s in enumerate(instants)
        ]


def _kill(stem: Path) -> None:
    """Leave what a worker leaves that was killed: no end, and its counts as the lines that it had written."""
    stem.with_name(f"{stem.name}.end.json").unlink()
    whole = stem.with_name(f"{stem.name}.rollup.json")
    if whole.is_file():
        rows = json.loads(whole.read_text())["rows"]
        stem.with_name(f"{stem.name}.rollup.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        whole.unlink()
