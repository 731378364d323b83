"""Arrivals of a plan: how many, when, in which stage, and the same ones for the same plan."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from readiness.load.plan import POISSON, Plan, Stage, from_data, to_data

RATES = st.floats(min_value=0.0, max_value=400.0)
LENGTHS = st.floats(min_value=0.1, max_value=20.0)
STAGES = st.lists(st.tuples(LENGTHS, RATES, RATES), min_size=1, max_size=4)


def plan_of(stages: list[tuple[float, float, float]], **more: object) -> Plan:
    made = tuple(Stage(f"s{number}", *each) for number, each in enumerate(stages))
    return Plan("steady", made, **more)  # type: ignore[arg-type]


@given(STAGES)
def test_as_many_arrivals_as_the_rates_ask_for_ascending_and_within_the_run(
    stages: list[tuple[float, float, float]],
) -> None:
    plan = plan_of(stages)
    asked = sum(stage.arrivals for stage in plan.stages)
    assume(asked < 5000)
    starts = plan.starts()
    assert abs(len(starts) - asked) <= 1
    assert (np.diff(starts) >= 0).all()
    assert len(starts) == 0 or (starts[0] >= 0 and starts[-1] <= plan.duration_s + 1e-9)


@given(STAGES)
def test_each_stage_has_its_own_arrivals(stages: list[tuple[float, float, float]]) -> None:
    plan = plan_of(stages)
    assume(sum(stage.arrivals for stage in plan.stages) < 5000)
    starts = plan.starts()
    counts = np.bincount(plan.stage_of(starts), minlength=len(plan.stages))
    for count, stage in zip(counts, plan.stages, strict=True):
        assert abs(count - stage.arrivals) <= 2  # an arrival on the edge may lie on either side of it


@given(LENGTHS, st.floats(min_value=1.0, max_value=400.0), st.floats(min_value=1.0, max_value=400.0))
def test_the_rate_of_a_ramp_is_the_rate_at_each_instant(length_s: float, low: float, high: float) -> None:
    starts = plan_of([(length_s, low, high)]).starts()
    for earlier_s, later_s in pairwise(starts.tolist()):
        middle = low + (high - low) * (earlier_s + later_s) / 2 / length_s
        assert (later_s - earlier_s) * middle == pytest.approx(1.0, rel=1e-6)


def test_a_constant_rate_has_equal_distances() -> None:
    starts = plan_of([(10.0, 20.0, 20.0)]).starts()
    assert starts == pytest.approx(np.arange(200) / 20)


def test_a_stage_without_load_and_one_that_ramps_from_nothing() -> None:
    plan = plan_of([(5.0, 0.0, 0.0), (5.0, 0.0, 40.0)])
    starts = plan.starts()
    assert len(starts) == 100
    assert starts[0] >= 5.0


def test_poisson_arrivals_have_the_rate_and_the_spread_of_a_poisson_process() -> None:
    starts = plan_of([(200.0, 50.0, 50.0)], arrivals=POISSON, seed=7).starts()
    assert len(starts) == pytest.approx(10_000, abs=4 * 100)  # four standard deviations of a Poisson count
    distances = np.diff(starts)
    assert distances.std() / distances.mean() == pytest.approx(1.0, abs=0.05)
    assert (starts == plan_of([(200.0, 50.0, 50.0)], arrivals=POISSON, seed=7).starts()).all()
    assert len(plan_of([(200.0, 50.0, 50.0)], arrivals=POISSON, seed=8).starts()) != len(starts)


@given(st.integers(1, 5))
def test_workers_share_all_arrivals_and_none_twice(workers: int) -> None:
    starts = plan_of([(3.0, 33.0, 77.0)]).starts()
    shares = [starts[number::workers] for number in range(workers)]
    assert np.sort(np.concatenate(shares)).tolist() == starts.tolist()


def test_a_plan_is_read_as_it_was_written_and_its_digest_is_that_of_its_promise() -> None:
    plan = plan_of([(3.0, 5.0, 5.0)], workers=2)
    assert from_data(json.loads(json.dumps(to_data(plan)))) == plan
    assert plan_of([(3.0, 5.0, 5.0)], workers=4).sha256 == plan.sha256
    assert plan_of([(3.0, 5.0, 6.0)]).sha256 != plan.sha256
