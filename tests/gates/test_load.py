"""The gates about overload, leaks, spikes, volume and the load runs themselves, on runs that are already measured."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from readiness.deployment import Deployment
from readiness.gates.endurance import nothing_leaks_under_steady_load
from readiness.gates.load import (
    a_spike_leaves_nothing_behind,
    load_runs_can_be_trusted,
    overload_is_refused_and_passes,
    ten_times_the_data_is_not_slow,
)
from readiness.load.samples import Outcome as End
from readiness.model import Outcome
from readiness.resources import CPU, DESCRIPTORS, MEMORY
from tests.gates.house import ended, failed
from tests.gates.loaded import QUICK, Scene, Wall, judge
from tests.gates.loads import CALM_S, Load, Samples, Usage, at_ease, calm, ends, every, first, slower, stretch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from readiness.load.plan import Plan
    from readiness.workload import Transaction

DROPPED_S = 15.0
"""The stress load drops so long after its beginning."""


def overloaded(plan: Plan) -> NDArray[np.void]:
    """Served slowly, or refused, as long as the overload lasts."""
    hard = stretch(plan, "overload")
    samples = slower(calm(plan), stretch(plan, "ramp", "overload"), 6)
    return ends(samples, hard & ~every(hard, 4), End.SHED, 0.01, 429)


def wedged(plan: Plan) -> NDArray[np.void]:
    return ends(overloaded(plan), stretch(plan, "after"), End.SHED, 0.01, 429)


def never_calm(plan: Plan) -> NDArray[np.void]:
    return slower(overloaded(plan), stretch(plan, "after"), 8)


def forgetful(plan: Plan) -> NDArray[np.void]:
    hard = stretch(plan, "overload")
    return ends(overloaded(plan), every(hard, 4) & ~every(hard, 8), End.LATE, 30)


def refused(one: Transaction) -> Transaction:
    return replace(one, outcome="error", accepted=False, error="HTTP 429")


def stress(samples: Samples = overloaded, **scene: Any) -> Scene:
    unfinished = scene.pop("unfinished", ())
    return Scene({"stress": Load(samples, unfinished=unfinished)}, **scene)


def breaks(n: int) -> Samples:
    """So many of an overload's arrivals are answered with an error."""
    return lambda plan: ends(overloaded(plan), first(stretch(plan, "overload"), n), End.ERROR, 0.2, 500)


def slow_for(seconds: float) -> Scene:
    """Calm comes back so long after the load had dropped."""
    return stress(never_calm, latency_s=lambda after_s: 3.0 if after_s < DROPPED_S + seconds else CALM_S)


class TestOverload:
    def test_refusals_and_a_calm_after_them_pass(self, tmp_path: Path, clock: Wall) -> None:
        done = judge(overload_is_refused_and_passes, tmp_path, clock, stress(unfinished=["late"]))
        assert done.outcome is Outcome.PASS, done.told
        assert done.measured["recovery_s"].value == 0 and done.measured["accepted_and_lost"].value == 0

    def test_what_refuses_everything_after_the_overload_fails(self, tmp_path: Path, clock: Wall) -> None:
        done = judge(overload_is_refused_and_passes, tmp_path, clock, stress(wedged, sent=refused))
        assert done.outcome is Outcome.FAIL and "not within 300 s" in done.told

    def test_accepted_work_that_never_ends_fails(self, tmp_path: Path, clock: Wall) -> None:
        scene = stress(forgetful, unfinished=["a", "b"], pending=frozenset({"b"}))
        done = judge(overload_is_refused_and_passes, tmp_path, clock, scene)
        assert done.outcome is Outcome.FAIL and done.measured["accepted_and_lost"].value == 1 and "rd-b" in done.told

    @pytest.mark.parametrize(
        ("scene", "outcome"),
        [
            (slow_for(240), Outcome.PASS),
            (slow_for(360), Outcome.FAIL),
            (stress(breaks(6)), Outcome.PASS),
            (stress(breaks(9)), Outcome.FAIL),
        ],
    )
    def test_the_limits_are_held(self, scene: Scene, outcome: Outcome, tmp_path: Path, clock: Wall) -> None:
        done = judge(overload_is_refused_and_passes, tmp_path, clock, scene)
        assert done.outcome is outcome, done.told

    def test_a_load_that_does_not_overload_shows_nothing(self, tmp_path: Path, clock: Wall) -> None:
        scene = Scene(loadtests=[{"profile": "stress", "duration": "25s", "factor": 2.5}])
        done = judge(overload_is_refused_and_passes, tmp_path, clock, scene)
        assert done.outcome is Outcome.UNKNOWN and "profile: stress, factor: <higher>" in done.told

    def test_too_few_transactions_before_show_no_calm(self, tmp_path: Path, clock: Wall) -> None:
        scene = Scene(loadtests=[{"profile": "stress", "duration": "10s", "factor": 20}])
        done = judge(overload_is_refused_and_passes, tmp_path, clock, scene)
        assert done.outcome is Outcome.UNKNOWN and "duration: <longer>" in done.told


def growing(meaning: str, per_hour: float, of: str = "worker-2") -> Usage:
    """One replica's use of memory (bytes) or descriptors grows, and nothing else moves."""

    def used(name: str, at_s: float) -> Mapping[str, float]:
        return {CPU: 0.0, MEMORY: 1e8, DESCRIPTORS: 20.0, meaning: 2e8 + per_hour * at_s / 3600 * (name == of)}

    return used


def leaking(name: str, at_s: float) -> Mapping[str, float]:
    """50 KB of each of eight tasks a second stay, below the collector's sawtooth."""
    used = at_ease(name, at_s)
    return {**used, MEMORY: used[MEMORY] + (0.4e6 * at_s if name.startswith("worker") else 0)}


def descriptors_left_open(name: str, at_s: float) -> Mapping[str, float]:
    return {**at_ease(name, at_s), DESCRIPTORS: 20 + (int(4 * at_s) if name.startswith("front") else 0)}


def restarted(name: str, at_s: float) -> Mapping[str, float] | None:
    """One replica is away for some seconds, and is another one afterwards."""
    if name != "worker-1" or at_s < 12:
        return at_ease(name, at_s)
    return None if at_s < 15 else {**at_ease(name, at_s - 15), MEMORY: 90e6}


def blind(name: str, at_s: float) -> Mapping[str, float] | None:
    return None if name.startswith("front") else at_ease(name, at_s)


BUDGETED = [{"profile": "endurance", "duration": "30s", "thresholds": {"memory": "<= 1000MB/h", "p95": "<= 2s"}}]


class TestEndurance:
    @pytest.mark.parametrize("usage", [at_ease, restarted])
    def test_sawtooth_and_restart_are_no_leak(self, usage: Usage, tmp_path: Path, clock: Wall) -> None:
        done = judge(nothing_leaks_under_steady_load, tmp_path, clock, Scene({"endurance": Load(usage=usage)}))
        assert done.outcome is Outcome.PASS, done.told

    @pytest.mark.parametrize(
        ("usage", "told"), [(leaking, "memory mb per h"), (descriptors_left_open, "descriptors per h")]
    )
    def test_leaks_fail(self, usage: Usage, told: str, tmp_path: Path, clock: Wall) -> None:
        done = judge(nothing_leaks_under_steady_load, tmp_path, clock, Scene({"endurance": Load(usage=usage)}))
        assert done.outcome is Outcome.FAIL and told in done.told

    @pytest.mark.parametrize(
        ("meaning", "per_hour", "loadtests", "outcome"),
        [
            (MEMORY, 1.6e6, QUICK, Outcome.PASS),
            (MEMORY, 2.4e6, QUICK, Outcome.FAIL),
            (DESCRIPTORS, 8.0, QUICK, Outcome.PASS),
            (DESCRIPTORS, 12.0, QUICK, Outcome.FAIL),
            (MEMORY, 800e6, BUDGETED, Outcome.PASS),
            (MEMORY, 1200e6, BUDGETED, Outcome.FAIL),
        ],
    )
    def test_budgets_are_held(
        self, meaning: str, per_hour: float, loadtests: Any, outcome: Outcome, tmp_path: Path, clock: Wall
    ) -> None:
        scene = Scene({"endurance": Load(usage=growing(meaning, per_hour))}, loadtests=loadtests)
        done = judge(nothing_leaks_under_steady_load, tmp_path, clock, scene)
        assert done.outcome is outcome, done.told

    def test_a_service_that_shows_nothing_is_unknown_and_named(self, tmp_path: Path, clock: Wall) -> None:
        done = judge(nothing_leaks_under_steady_load, tmp_path, clock, Scene({"endurance": Load(usage=blind)}))
        assert done.outcome is Outcome.UNKNOWN and "services.front.metrics" in done.told

    def test_a_leak_is_told_though_another_service_shows_nothing(self, tmp_path: Path, clock: Wall) -> None:
        def both(name: str, at_s: float) -> Mapping[str, float] | None:
            return None if name.startswith("front") else leaking(name, at_s)

        done = judge(nothing_leaks_under_steady_load, tmp_path, clock, Scene({"endurance": Load(usage=both)}))
        assert done.outcome is Outcome.FAIL

    def test_too_short_a_load_is_unknown(self, tmp_path: Path, clock: Wall) -> None:
        scene = Scene(loadtests=[{"profile": "endurance", "duration": "6s"}])
        done = judge(nothing_leaks_under_steady_load, tmp_path, clock, scene)
        assert done.outcome is Outcome.UNKNOWN and "longer loadtests: endurance" in done.told


def pool_stays_saturated(plan: Plan) -> NDArray[np.void]:
    return slower(calm(plan), stretch(plan, "spike", "after"), 5)


def breaker_stays_open(plan: Plan) -> NDArray[np.void]:
    return ends(calm(plan), stretch(plan, "after"), End.ERROR, 0.01, 503)


def unserved(n: int) -> Samples:
    return lambda plan: ends(calm(plan), first(stretch(plan, "spike"), n), End.SHED, 0.01, 429)


class TestSpike:
    def test_a_spike_that_is_served_passes(self, tmp_path: Path, clock: Wall) -> None:
        done = judge(a_spike_leaves_nothing_behind, tmp_path, clock)
        assert done.outcome is Outcome.PASS, done.told

    @pytest.mark.parametrize(
        ("samples", "scene", "told"),
        [
            (pool_stays_saturated, {"latency_s": lambda _: 1.5}, "recovery s was not there"),
            (breaker_stays_open, {"sent": refused}, "unserved percent"),
        ],
    )
    def test_what_a_spike_leaves_behind_fails(
        self, samples: Samples, scene: Any, told: str, tmp_path: Path, clock: Wall
    ) -> None:
        done = judge(a_spike_leaves_nothing_behind, tmp_path, clock, Scene({"spike": Load(samples)}, **scene))
        assert done.outcome is Outcome.FAIL and told in done.told

    @pytest.mark.parametrize(("n", "outcome"), [(11, Outcome.PASS), (15, Outcome.FAIL)])
    def test_the_error_budget_is_held(self, n: int, outcome: Outcome, tmp_path: Path, clock: Wall) -> None:
        done = judge(a_spike_leaves_nothing_behind, tmp_path, clock, Scene({"spike": Load(unserved(n))}))
        assert done.outcome is outcome, done.told

    def test_nobody_knows_when_calm_came_back_if_nobody_looked(self, tmp_path: Path, clock: Wall) -> None:
        def late(plan: Plan) -> NDArray[np.void]:
            clock.now_s += 1000  # other gates ran in between
            return pool_stays_saturated(plan)

        done = judge(a_spike_leaves_nothing_behind, tmp_path, clock, Scene({"spike": Load(late)}))
        assert done.outcome is Outcome.UNKNOWN and "run this gate alone" in done.told


def volume(factor: float, **scene: Any) -> Scene:
    return Scene({"volume-whole": Load(lambda plan: calm(plan, factor))}, **scene)


def answers_grow(plan: Plan) -> NDArray[np.void]:
    """Each look at the work brings all of the caller's history: the more was sent, the slower."""
    samples = calm(plan)
    samples["ended_s"] += 0.03 * samples["intended_s"] + 0.2
    return samples


class TestVolume:
    @pytest.mark.parametrize(
        ("factor", "outcome"), [(1.0, Outcome.PASS), (1.28, Outcome.PASS), (1.92, Outcome.FAIL), (5.0, Outcome.FAIL)]
    )
    def test_ten_times_the_data(self, factor: float, outcome: Outcome, tmp_path: Path, clock: Wall) -> None:
        done = judge(ten_times_the_data_is_not_slow, tmp_path, clock, volume(factor))
        assert done.outcome is outcome, done.told
        assert done.stage is not None and done.stage.ran == ["fill 100", "fill 1000"]

    def test_answers_without_a_limit_fail(self, tmp_path: Path, clock: Wall) -> None:
        done = judge(ten_times_the_data_is_not_slow, tmp_path, clock, Scene({"volume-whole": Load(answers_grow)}))
        assert done.outcome is Outcome.FAIL and "slower ratio" in done.told

    @pytest.mark.parametrize(
        ("fill", "told"),
        [
            (lambda _stage, _given: ended("fill"), "nothing shows that it took effect"),
            (lambda _stage, _given: failed("fill", "disk full"), "disk full | procedures.fill must end with 0"),
            (lambda _stage, given: None if given["items"] == "100" else ended("fill"), "it holds 113 items, not the 1"),
            (lambda _stage, given: None if given["items"] == "100" else failed("fill", "disk full"), "disk full"),
        ],
    )
    def test_a_fill_that_does_not_fill_is_unknown(self, fill: Any, told: str, tmp_path: Path, clock: Wall) -> None:
        done = judge(ten_times_the_data_is_not_slow, tmp_path, clock, Scene(procedure={"fill": fill}))
        assert done.outcome is Outcome.UNKNOWN and told in done.told

    def test_a_tenth_that_is_slow_already_is_unknown(self, tmp_path: Path, clock: Wall) -> None:
        @functools.wraps(ten_times_the_data_is_not_slow)
        def after_the_steady_load(deployment: Deployment) -> None:
            deployment.load("steady")
            ten_times_the_data_is_not_slow(deployment)

        held_up = {name: Load(lambda plan: calm(plan, 2.5)) for name in ("volume-tenth", "volume-whole")}
        done = judge(after_the_steady_load, tmp_path, clock, Scene(held_up))
        assert done.outcome is Outcome.UNKNOWN and "not calm enough to compare" in done.told

    def test_too_few_transactions_are_unknown(self, tmp_path: Path, clock: Wall) -> None:
        scene = volume(5, loadtests=[{"profile": "volume", "duration": "4s", "thresholds": {"errors": "<= 1%"}}])
        done = judge(ten_times_the_data_is_not_slow, tmp_path, clock, scene)
        assert done.outcome is Outcome.UNKNOWN and "profile: volume, duration: <longer>" in done.told


def without(n: int) -> Samples:
    """The generator leaves the last n arrivals out."""
    return lambda plan: calm(plan)[:-n]


class TestTrust:
    @pytest.mark.parametrize(
        "load", [Load(), Load(written={"cpu": (0.64,)}), Load(without(1)), Load(written={"lag_ms": (20.0,)})]
    )
    def test_a_run_that_was_promised_before_and_sent_as_planned_passes(
        self, load: Load, tmp_path: Path, clock: Wall
    ) -> None:
        done = judge(load_runs_can_be_trusted, tmp_path, clock, Scene({"steady": load}))
        assert done.outcome is Outcome.PASS, done.told

    @pytest.mark.parametrize(
        ("load", "told"),
        [
            (Load(written={"sha256": "0" * 64}), "the plan is not what was hashed"),
            (Load(written_late_s=0.5), "written before was False"),
            (Load(written={"cpu": (0.96,)}), "generator cpu was 96%"),
            (Load(written={"cpu": (0.85,)}), "generator cpu was 85%"),
            (Load(without(3)), "achieved was 95%"),
            (Load(written={"lost": frozenset({0})}), "were lost"),
            (Load(written={"silent": frozenset({0})}), "generator cpu was not there"),
            (Load(written={"lag_ms": (40.0,)}), "event loop lagged"),
        ],
    )
    def test_a_run_that_flatters_fails(self, load: Load, told: str, tmp_path: Path, clock: Wall) -> None:
        done = judge(load_runs_can_be_trusted, tmp_path, clock, Scene({"steady": load}))
        assert done.outcome is Outcome.FAIL and told in done.told

    def test_a_run_without_criteria_fails(self, tmp_path: Path, clock: Wall) -> None:
        scene = Scene(loadtests=[{"profile": "steady", "duration": "30s", "thresholds": {}}])
        done = judge(load_runs_can_be_trusted, tmp_path, clock, scene)
        assert done.outcome is Outcome.FAIL and "criteria was 0" in done.told
