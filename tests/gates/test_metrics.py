"""The gate about task counters: wrong counts and times are seen at the limit, and foreign work is set apart."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from readiness.gates.metrics import task_counters_match_the_work
from readiness.model import Outcome
from tests.gates.stage import Small, judge


def only(wanted: str, factor: float) -> Callable[[str, float], float]:
    return lambda meaning, n: n * factor if meaning == wanted else n


def test_the_healthy_system_passes(tmp_path: Path) -> None:
    assert judge(task_counters_match_the_work, tmp_path, Small())[0] is Outcome.PASS


@pytest.mark.parametrize(
    ("meaning", "factor"),
    [
        ("tasks_failed_total", 0),
        ("tasks_failed_total", 3),
        ("tasks_done_total", 0.988),
        ("tasks_done_total", 1.012),
        ("tasks_done_total", 2),
        ("task_seconds_sum", 1000),
        ("task_seconds_sum", 0.001),
        ("task_seconds_count", 2),
    ],
)
def test_wrong_counts_and_times_fail(meaning: str, factor: float, tmp_path: Path) -> None:
    outcome, told = judge(task_counters_match_the_work, tmp_path, Small(counted=only(meaning, factor)))
    assert outcome is Outcome.FAIL and "limit" in told


@pytest.mark.parametrize("factor", [0.992, 1.008])
def test_a_deviation_within_the_limit_passes(factor: float, tmp_path: Path) -> None:
    small = Small(counted=only("tasks_done_total", factor))
    assert judge(task_counters_match_the_work, tmp_path, small)[0] is Outcome.PASS


def test_a_task_that_is_counted_again_when_it_was_retried_fails(tmp_path: Path) -> None:
    counts = {"tasks_done_total": 2, "tasks_failed_total": 0}
    assert judge(task_counters_match_the_work, tmp_path, Small(), workload__retried__counts=counts)[0] is Outcome.PASS
    # the small system counts what a variant declares: with 51 tasks told apart, only the retried path is off
    small = Small(counted=lambda meaning, n: n + 1 if (meaning, n) == ("tasks_done_total", 51) else n)
    counts = {"tasks_done_total": 51, "tasks_failed_total": 0}
    outcome, told = judge(task_counters_match_the_work, tmp_path, small, workload__retried__counts=counts)
    assert outcome is Outcome.FAIL and "retried" in told


def test_a_failed_task_that_is_counted_as_done_fails(tmp_path: Path) -> None:
    outcome, told = judge(
        task_counters_match_the_work,
        tmp_path,
        Small(counted=only("tasks_failed_total", 0)),
        signals__tasks_done_total={"metric": "jobs_total", "labels": {"end": "good"}},
    )
    assert outcome is Outcome.FAIL and "failing" in told


@pytest.mark.parametrize(
    "gone", ["signals__tasks_failed_total", "evidence__metrics", "workload__slow", "workload__failing__counts"]
)
def test_what_is_not_declared_is_unknown_and_named(gone: str, tmp_path: Path) -> None:
    outcome, told = judge(task_counters_match_the_work, tmp_path, Small(), **{gone: None})
    assert outcome is Outcome.UNKNOWN and gone.replace("__", ".") in told


def test_a_violation_is_told_even_where_no_path_is_slow(tmp_path: Path) -> None:
    small = Small(counted=only("tasks_failed_total", 0))
    assert judge(task_counters_match_the_work, tmp_path, small, workload__slow=None)[0] is Outcome.FAIL


def test_work_of_others_is_unknown(tmp_path: Path) -> None:
    small = Small(counted=lambda _meaning, n: n * 2)
    submitted = {"metric": "handed_in_total"}
    counts = {"tasks_done_total": 2, "tasks_failed_total": 0, "workflows_submitted_total": 1}
    changes = {"signals__workflows_submitted_total": submitted, "workload__ok__counts": counts}
    assert judge(task_counters_match_the_work, tmp_path, small, **changes)[0] is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "changes",
    [{"services__worker": {"replicas": 2, "metrics": "/metrics"}}, {"services__helper": {"replicas": 1}}],
)
def test_a_replica_whose_counts_are_not_read_is_unknown(changes: dict[str, object], tmp_path: Path) -> None:
    signal = {"metric": "jobs_total", "labels": {"end": "good"}, "services": ["worker", *_named(changes)]}
    outcome, told = judge(task_counters_match_the_work, tmp_path, Small(), signals__tasks_done_total=signal, **changes)
    assert outcome is Outcome.UNKNOWN and "services." in told


def _named(changes: dict[str, object]) -> list[str]:
    return [key.partition("__")[2] for key in changes if key != "services__worker"]
