"""Each reason for INVALID is found, and what comes near it is let be."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from readiness.load.plan import CLOSED, Stage
from readiness.load.results import read
from readiness.load.samples import DTYPE
from readiness.load.validity import Flaw, flaws, generator, invalid
from tests.load.written import Written, plan_of, served

TWO = plan_of(workers=2)
STAGES = plan_of(Stage("before", 10.0, 50.0, 50.0), Stage("spike", 2.0, 500.0, 500.0), Stage("after", 8.0, 50.0, 50.0))
SLOW = plan_of(Stage("before", 10.0, 1.0, 1.0), Stage("after", 10.0, 1.0, 1.0))


def without(count: int) -> Written:
    """The whole plan of 1000 but for so many arrivals, taken out all over it."""
    samples = served(plan_of())
    return Written(samples=np.delete(samples, np.linspace(0, samples.size - 1, count).astype(int)))


def late(count: int, late_s: float, latency_s: float = 0.05) -> Written:
    samples = served(plan_of(), latency_s)
    samples["started_s"][:count] += late_s
    samples["ended_s"][:count] = np.maximum(samples["ended_s"][:count], samples["started_s"][:count] + latency_s)
    return Written(samples=samples)


FOUND = {
    "zero requests": (Written(samples=np.empty(0, DTYPE)), Flaw.NOTHING_SENT, "planned: 1000"),
    "a worker was lost": (Written(TWO, lost=frozenset({1})), Flaw.WORKER_LOST, "1 of 2 workers"),
    "somebody stopped it": (Written(reason="stopped"), Flaw.STOPPED, "its end of 20.0 s"),
    "the spike never ran": (
        Written(STAGES, served(STAGES)[served(STAGES)["stage"] != 1]),
        Flaw.STAGE_SKIPPED,
        "stage spike did not run: 1000 transactions were planned",
    ),
    "a lower rate than planned": (without(21), Flaw.OFF_THE_PLAN, "started 979 of 1000"),
    "one stage slower than planned": (
        Written(STAGES, np.delete(served(STAGES), np.s_[1500:1530])),
        Flaw.OFF_THE_PLAN,
        "stage after",
    ),
    "started late": (late(15, 0.2), Flaw.LATE_STARTS, "p99 200 ms"),
    "the event loop lagged": (Written(lag_ms=[0.3] * 9 + [40.0]), Flaw.HUB_LAG, "p95 40 ms"),
    "a core in full use for 3 s": (Written(cpu=[0.2] * 10 + [0.95] * 7), Flaw.GENERATOR_CPU, "95% of a core"),
    "the wall clock jumped": (Written(wall_jump_s={7.0: 0.4}), Flaw.CLOCK_JUMP, "0.40 s apart"),
    "the wall clock jumped back": (Written(wall_jump_s={7.0: -0.4}), Flaw.CLOCK_JUMP, "worker 0"),
    "a worker that told nothing": (Written(TWO, silent=frozenset({0})), Flaw.UNWATCHED, "1 of 2 workers"),
}

NEAR_MISSES = {
    "as planned": Written(),
    "two workers": Written(TWO),
    "98 % of the plan": without(20),
    "a few started late": late(10, 0.2),
    "late by less than a tenth of the latency": late(500, 0.15, latency_s=2.0),
    "one arrival of a small stage is missing": Written(SLOW, np.delete(served(SLOW), np.s_[12:13])),
    "a lag at its limit": Written(lag_ms=[25.0]),
    "one beat that lagged": Written(lag_ms=[0.3] * 20 + [400.0] + [0.3] * 30),
    "lag that a slow system outweighs": Written(samples=served(plan_of(), 0.9), lag_ms=[40.0]),
    "a busy core for 2 s": Written(cpu=[0.2] * 10 + [0.99] * 4 + [0.2] * 50),
    "a core at 89 %": Written(cpu=[0.89]),
    "a wall clock that drifts": Written(wall_jump_s={2.0: 0.1, 12.0: 0.1}),
    "transactions that were only counted, beyond the cap": Written(cap=300),
}


@pytest.mark.parametrize("name", FOUND)
def test_found(tmp_path: Path, name: str) -> None:
    written, flaw, said = FOUND[name]
    found = dict(flaws(read(written.into(tmp_path))))
    assert flaw in found
    assert said in found[flaw]
    assert set(found) - {flaw} <= ({Flaw.OFF_THE_PLAN} if flaw is Flaw.STAGE_SKIPPED else set())


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_near_miss(tmp_path: Path, name: str) -> None:
    assert invalid(read(NEAR_MISSES[name].into(tmp_path))) == ()


def test_closed_runs_have_no_plan_to_keep_and_stages_all_the_same(tmp_path: Path) -> None:
    plan = plan_of(Stage("a", 10.0, 0.0, 0.0), Stage("b", 10.0, 0.0, 0.0), model=CLOSED, users=5)
    samples = served(plan_of(Stage("a", 10.0, 7.0, 7.0), Stage("b", 10.0, 3.0, 3.0)))
    assert invalid(read(Written(plan, samples).into(tmp_path / "whole"))) == ()
    found = flaws(read(Written(plan, samples[samples["stage"] == 0]).into(tmp_path / "half")))
    assert [flaw for flaw, _ in found] == [Flaw.STAGE_SKIPPED]


def test_the_generators_health_is_measured(tmp_path: Path) -> None:
    health = generator(read(Written(cpu=[0.5], lag_ms=[1.0] * 9 + [7.0]).into(tmp_path)))
    assert health.cpu_peak == pytest.approx(0.5)
    assert (health.lag_p95_ms, health.late_p99_ms, health.achieved_percent) == (7.0, 0.0, 100.0)


def test_a_run_without_any_workers_files_is_invalid(tmp_path: Path) -> None:
    folder = Written(TWO).into(tmp_path / "run")
    for path in folder.glob("worker-*"):
        path.unlink()
    assert [flaw for flaw, _ in flaws(read(folder))] == [Flaw.WORKER_LOST, Flaw.NOTHING_SENT]
    shutil.rmtree(folder)
