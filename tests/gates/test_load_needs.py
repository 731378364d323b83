"""What the gates of performance say where the descriptor lacks something, or the load says nothing of the system."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from readiness.deployment import Deployment
from readiness.gates import baselines, capacity, endurance, load, scaling, service_levels
from readiness.model import Outcome
from tests.gates.loaded import Scene, Wall, judge
from tests.gates.loads import Load

Gate = Callable[[Deployment], None]
NEEDS: list[tuple[Gate, list[str]]] = [
    (load.overload_is_refused_and_passes, ["workload.ok"]),
    (endurance.nothing_leaks_under_steady_load, ["signals.memory_bytes", "signals.open_descriptors"]),
    (load.a_spike_leaves_nothing_behind, ["workload.ok"]),
    (load.ten_times_the_data_is_not_slow, ["volume", "procedures.fill", "procedures.unfill", "procedures.inventory"]),
    (load.load_runs_can_be_trusted, ["objectives.peak_rate"]),
    (baselines.the_baseline_has_all_five_metrics, ["signals.task_seconds_sum", "signals.task_seconds_count"]),
    (baselines.repeats_of_a_normal_load_agree, ["objectives.peak_rate"]),
    (baselines.nothing_became_worse_than_the_baseline, ["signals.cpu_seconds_total"]),
    (capacity.there_is_room_above_the_peak, ["objectives.peak_rate", "signals.memory_bytes"]),
    (capacity.the_peak_is_carried_with_one_replica_less, ["procedures.stop", "procedures.start", "procedures.status"]),
    (scaling.more_replicas_do_more_work, ["scaling", "procedures.scale"]),
    (scaling.doubling_replicas_still_gains, ["scaling", "procedures.scale"]),
    (service_levels.the_dashboard_tells_what_callers_saw, ["procedures.sla", "workload.failing", "releases.candidate"]),
]


@pytest.mark.parametrize(("gate", "line"), [(gate, line) for gate, lines in NEEDS for line in lines])
def test_a_missing_line_is_named(gate: Gate, line: str, tmp_path: Path, clock: Wall) -> None:
    done = judge(gate, tmp_path, clock, **{line.replace(".", "__"): None})
    assert done.outcome is Outcome.UNKNOWN and f"{line}: " in done.told


@pytest.mark.parametrize("gate", [gate for gate, _ in NEEDS[:4] + NEEDS[5:8]])
def test_a_run_that_says_nothing_of_the_system_is_unknown(gate: Gate, tmp_path: Path, clock: Wall) -> None:
    profiles = ("stress", "spike", "endurance", "steady", "volume")
    lame = Load(written={"cpu": (0.95,)})
    done = judge(gate, tmp_path, clock, Scene(dict.fromkeys(profiles, lame)))
    assert done.outcome is Outcome.UNKNOWN and "is INVALID: the generator was at its limit" in done.told
    assert "processes: 2" in done.told


def test_the_load_is_run_once_for_all_who_ask(tmp_path: Path, clock: Wall) -> None:
    done = judge(capacity.there_is_room_above_the_peak, tmp_path, clock)
    assert done.stage is not None
    assert [run.label for run in done.stage.load_runs()] == ["steady", "stress"]
    assert done.stage.load("steady") is done.stage.load_runs()[0]
