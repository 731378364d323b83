"""PASS and FAIL come from criteria that were there before the run; what the generator spoiled is INVALID."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from readiness.load.plan import CLOSED, Plan, Stage
from readiness.load.results import read
from readiness.load.samples import DTYPE, Outcome
from readiness.load.verdict import LoadOutcome, LoadVerdict, judge
from tests.load.written import Written, censor, plan_of, served


def verdict(written: Written, folder: Path) -> LoadVerdict:
    return judge(read(written.into(folder)))


def failing(plan: Plan, share: float, outcome: Outcome, status: int = 0, lasted_s: float = 0.05) -> Written:
    samples = served(plan, lasted_s)
    broken = np.random.default_rng(1).random(samples.size) < share
    samples["outcome"][broken], samples["status"][broken] = outcome, status
    return Written(plan, samples)


def test_criteria_that_hold_pass(tmp_path: Path) -> None:
    told = verdict(Written(), tmp_path)
    assert (told.outcome, told.reasons) == (LoadOutcome.PASS, ())
    assert [(each.criterion.name, each.holds) for each in told.measured] == [("p95", True), ("errors", True)]
    assert told.measured[0].value == pytest.approx(0.05)


def test_a_broken_criterion_fails_with_what_was_measured(tmp_path: Path) -> None:
    told = verdict(Written(samples=served(plan_of(), 1.5)), tmp_path)
    assert told.outcome is LoadOutcome.FAIL
    assert told.reasons == ("p95: 1.5 s (limit at most 1.0 s)",)


def test_a_criterion_of_a_stage_looks_at_that_stage(tmp_path: Path) -> None:
    stages = Stage("before", 10.0, 50.0, 50.0), Stage("after", 10.0, 50.0, 50.0)
    plan = plan_of(*stages, thresholds={"before.p95": "<= 1s", "after.p99.9": "<= 1s"})
    slow_after = served(plan, np.where(served(plan)["stage"] == 1, 2.0, 0.1))
    told = verdict(Written(plan, slow_after), tmp_path)
    assert told.outcome is LoadOutcome.FAIL
    assert [reason.partition(":")[0] for reason in told.reasons] == ["after.p99.9"]


def test_a_server_that_hung_at_the_end_fails_with_its_censored_requests(tmp_path: Path) -> None:
    """The last 4 s of 20 s: stock tools tell 0 failures and a p99 of 6 ms."""
    told = verdict(Written(samples=censor(served(plan_of(), 0.005), 16.0, 50.0)), tmp_path)
    assert told.outcome is LoadOutcome.FAIL
    assert "200 transactions were still open at the end of the run" in " ".join(told.reasons)


@pytest.mark.parametrize("cap", [None, 300])
def test_a_hang_at_the_end_fails_even_where_criteria_do_not_look_at_it(tmp_path: Path, cap: int | None) -> None:
    plan = plan_of(thresholds={"p50": "<= 1s"})
    told = verdict(Written(plan, censor(served(plan, 0.005), 18.0, 50.0), cap=cap), tmp_path)
    assert told.outcome is LoadOutcome.FAIL
    assert "hung at the end" in told.reasons[0]


@pytest.mark.parametrize(("outcome", "lasted_s"), [(Outcome.LATE, 10.0), (Outcome.ERROR, 0.001)])
def test_what_timed_out_or_was_gone_at_the_end_fails_too(outcome: Outcome, lasted_s: float, tmp_path: Path) -> None:
    plan = plan_of(thresholds={"p50": "<= 1s"})
    samples = served(plan, 0.005)
    gone = samples["intended_s"] >= 18
    samples["outcome"][gone], samples["status"][gone] = outcome, 0
    samples["ended_s"][gone] = samples["started_s"][gone] + lasted_s
    told = verdict(Written(plan, samples), tmp_path / "gone")
    assert told.outcome is LoadOutcome.FAIL
    assert "hung at the end: none of the last 5" in told.reasons[0]
    samples["outcome"][-3], samples["status"][-3] = Outcome.OK, 200
    assert verdict(Written(plan, samples), tmp_path / "back").outcome is LoadOutcome.PASS


def test_work_that_was_merely_under_way_at_the_end_is_no_hang(tmp_path: Path) -> None:
    plan = plan_of(thresholds={"p50": "<= 3s"}, drain_s=0.5)
    told = verdict(Written(plan, censor(served(plan, 2.0), 18.0, 20.5)), tmp_path)
    assert told.outcome is LoadOutcome.PASS


def test_a_hang_that_stalled_the_generator_too_is_still_the_systems(tmp_path: Path) -> None:
    samples = censor(served(plan_of(), 0.005), 10.0, 50.0)
    told = verdict(Written(samples=samples[:960], lag_ms=[0.3, 0.3, 60.0], cpu=[0.95]), tmp_path)
    assert told.outcome is LoadOutcome.FAIL
    assert any(reason.startswith("beside that: the generator was at its limit") for reason in told.reasons)


def test_a_hang_lets_later_stages_of_closed_users_go_unrun_and_fails(tmp_path: Path) -> None:
    plan = plan_of(Stage("a", 10.0, 0.0, 0.0), Stage("b", 10.0, 0.0, 0.0), model=CLOSED, users=5)
    samples = served(plan_of(Stage("a", 10.0, 20.0, 20.0)))
    samples["outcome"][-5:], samples["ended_s"][-5:] = Outcome.CENSORED, 50.0
    assert verdict(Written(plan, samples), tmp_path).outcome is LoadOutcome.FAIL


def test_what_a_saturated_generator_shows_is_invalid_and_neither_pass_nor_fail(tmp_path: Path) -> None:
    slow = Written(samples=served(plan_of(), 1.5), cpu=[0.99], lag_ms=[80.0])
    assert verdict(slow, tmp_path / "slow").outcome is LoadOutcome.INVALID
    fast = Written(cpu=[0.99])
    assert verdict(fast, tmp_path / "fast").outcome is LoadOutcome.INVALID


def test_errors_that_the_system_spoke_itself_fail_on_a_saturated_generator_too(tmp_path: Path) -> None:
    spoken = failing(plan_of(), 0.3, Outcome.ERROR, 500).but(cpu=[0.99])
    assert verdict(spoken, tmp_path / "spoken").outcome is LoadOutcome.FAIL
    timed_out = failing(plan_of(), 0.3, Outcome.LATE, 202, lasted_s=1.0).but(cpu=[0.99], lag_ms=[80.0])
    assert verdict(timed_out, tmp_path / "late").outcome is LoadOutcome.INVALID


def test_a_lost_worker_is_invalid_whatever_the_others_saw(tmp_path: Path) -> None:
    lost = failing(plan_of(workers=2), 0.3, Outcome.ERROR, 500).but(lost=frozenset({0}))
    assert verdict(lost, tmp_path).outcome is LoadOutcome.INVALID


def test_a_host_that_is_down_is_a_finding(tmp_path: Path) -> None:
    down = failing(plan_of(), 2.0, Outcome.ERROR)
    told = verdict(down, tmp_path)
    assert told.outcome is LoadOutcome.FAIL
    assert "p95: nothing to measure (limit at most 1.0 s)" in told.reasons
    assert "errors: 100 % (limit at most 1 %)" in told.reasons


def test_a_system_that_may_refuse_is_not_broken_by_refusing(tmp_path: Path) -> None:
    shedding = failing(plan_of(), 0.3, Outcome.SHED, 429)
    assert verdict(shedding, tmp_path / "may").outcome is LoadOutcome.PASS
    strict = failing(plan_of(thresholds={"shed": "<= 5%"}), 0.3, Outcome.SHED, 429)
    assert verdict(strict, tmp_path / "may not").outcome is LoadOutcome.FAIL


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (Written(plan_of(thresholds={})), "no criterion was written before the run"),
        (Written(plan_of(thresholds={"later.p95": "<= 1s"})), "names no stage of the plan; known: measure"),
        (Written(sha256="0" * 64), "its digest differs"),
        (Written(samples=np.empty(0, DTYPE)), "nothing was sent"),
        (
            Written(plan_of(thresholds={"rate": ">= 98%"}, model=CLOSED, users=3), served(plan_of())),
            "a closed model has no planned rate",
        ),
    ],
)
def test_what_cannot_be_answered_is_invalid(tmp_path: Path, written: Written, said: str) -> None:
    told = verdict(written, tmp_path)
    assert told.outcome is LoadOutcome.INVALID
    assert said in " ".join(told.reasons)
