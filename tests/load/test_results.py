"""A load run is read as its files tell it, torn ones too, and percentiles are those of all workers' samples."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.errors import UsageError
from readiness.load.plan import CLOSED, Stage
from readiness.load.results import read
from readiness.load.samples import DTYPE, Outcome
from tests.load.written import ZERO_S, Written, plan_of, served


@given(
    st.lists(st.floats(1e-4, 10), min_size=1, max_size=60),
    st.integers(1, 4),
    st.sampled_from([0.5, 0.9, 0.95, 0.99, 0.999, 1.0]),
)
@settings(max_examples=30, deadline=None)
def test_workers_merged_are_the_single_stream(latencies: list[float], workers: int, q: float) -> None:
    stage = Stage("only", float(len(latencies)), 1.0, 1.0)
    with tempfile.TemporaryDirectory() as folder:
        one, many = Path(folder, "one"), Path(folder, "many")
        alone = read(Written(plan_of(stage), served(plan_of(stage), latencies)).into(one))
        split = plan_of(stage, workers=workers)
        merged = read(Written(split, served(split, latencies)).into(many))
    assert merged.total == alone.total
    assert merged.seconds == alone.seconds
    assert np.array_equal(merged.latencies_s(), alone.latencies_s())
    kept = np.sort(alone.latencies_s())
    assert merged.quantile_s(q) == kept[min(math.ceil(q * kept.size - 1e-9), kept.size) - 1]


@pytest.mark.parametrize("cap", [0, 100])
def test_counts_beyond_the_cap_merge_exactly_and_err_within_the_stated_share(tmp_path: Path, cap: int) -> None:
    latencies = np.random.default_rng(3).lognormal(-3, 1, 1000)
    plan = plan_of(workers=2)
    exact = read(Written(plan, served(plan, latencies)).into(tmp_path / "exact"))
    counted = read(Written(plan, served(plan, latencies), cap=cap).into(tmp_path / "counted"))
    alone = read(Written(plan_of(), served(plan_of(), latencies), cap=cap).into(tmp_path / "alone"))
    assert exact.raw
    assert not counted.raw
    assert counted.samples().size == 0
    assert counted.recorded().size == cap * 2
    assert (counted.total.started, counted.total.ok) == (exact.total.started, exact.total.ok)
    assert [row.started for row in counted.seconds] == [row.started for row in exact.seconds]
    for q in (0.5, 0.95, 0.99, 0.999):
        true_s, told_s = exact.quantile_s(q), counted.quantile_s(q)
        assert true_s is not None
        assert told_s is not None
        assert abs(told_s / true_s - 1) <= 0.008
        assert told_s == alone.quantile_s(q)


def test_a_freeze_shows_from_the_intended_start_and_not_in_the_service_time(tmp_path: Path) -> None:
    plan = plan_of(Stage("measure", 10.0, 100.0, 100.0))
    samples = served(plan, 0.001)
    frozen = (samples["intended_s"] >= 4) & (samples["intended_s"] < 5)
    samples["started_s"][frozen] = 5.0
    samples["ended_s"][frozen] = 5.001
    result = read(Written(plan, samples).into(tmp_path))
    assert result.quantile_s(0.99) == pytest.approx(0.911, abs=0.011)
    assert result.quantile_s(0.99, of="service") == pytest.approx(0.001)
    assert result.omission_factor() == pytest.approx(900, rel=0.02)
    worst = max(result.seconds, key=lambda row: row.p99_ms or 0)
    assert worst.second == 4


def test_every_outcome_is_counted_where_it_belongs(tmp_path: Path) -> None:
    plan = plan_of(Stage("a", 4.0, 1.0, 1.0), Stage("b", 4.0, 1.0, 1.0))
    samples = served(plan)
    samples["outcome"] = [*Outcome, Outcome.OK]
    samples["status"] = [200, 200, 429, 400, 500, 202, 0, 200]
    samples["kind"] = [0, 1, 0, 0, 2, 0, 0, 0]
    result = read(Written(plan, samples, kinds={1: "wrong result", 2: "HTTP 500 from submit"}).into(tmp_path))
    total = result.total
    assert (total.planned, total.started, total.ended, total.ok, total.shed, total.broken) == (8, 8, 7, 3, 1, 4)
    assert total.latency.n == 6
    assert (total.planned_rate, total.achieved_rate) == (1.0, 3 / 8)
    assert [(stage.name, stage.ok, stage.broken) for stage in result.stages] == [("a", 2, 1), ("b", 1, 3)]
    assert result.errors == {
        "wrong result": 1,
        "shed: HTTP 429": 1,
        "HTTP 500 from submit": 1,
        "late: HTTP 202": 1,
        "censored": 1,
    }
    assert result.share_percent("errors") == 50.0
    assert result.share_percent("shed", "a") == 25.0
    assert result.share_percent("rate") == 37.5
    assert result.stage("b").started == 4
    with pytest.raises(KeyError):
        result.quantile_s(0.5, "c")


def test_workers_number_their_error_kinds_each_for_themselves(tmp_path: Path) -> None:
    plan = plan_of(Stage("a", 4.0, 1.0, 1.0), workers=2)
    for worker, text in enumerate(["refused", "reset"]):
        samples = served(plan)[worker::2]
        samples["outcome"], samples["kind"] = Outcome.ERROR, 1
        samples.tofile(tmp_path / f"worker-{worker}.samples")
        (tmp_path / f"worker-{worker}.beats.jsonl").write_text(json.dumps({"kind": 1, "text": text}) + "\n")
    Written(plan, np.empty(0, DTYPE)).into(tmp_path / "other")
    (tmp_path / "other" / "plan.json").rename(tmp_path / "plan.json")
    assert read(tmp_path).errors == {"refused": 2, "reset": 2}


def test_what_a_killed_worker_tore_off_is_passed_over(tmp_path: Path) -> None:
    plan = plan_of(workers=2)
    folder = Written(plan, lost=frozenset({1}), cap=400).into(tmp_path)
    with (folder / "worker-1.samples").open("ab") as samples:
        samples.write(b"half a record")
    for name in ("worker-1.beats.jsonl", "worker-1.rollup.jsonl"):
        with (folder / name).open("a") as lines:
            lines.write('{"at_s": 3')
    (folder / "resources.jsonl").write_text('{"at_s": 1.0, "services": {}}\n{"at')
    result = read(folder)
    assert (result.workers_expected, result.workers_ended) == (2, 1)
    assert result.total.started == 1000
    assert len(result.resources) == 1
    assert result.began_at is not None
    assert result.began_at.timestamp() == ZERO_S
    assert result.written_at is not None
    assert result.sha256 == plan.sha256


def test_a_closed_run_has_the_corrected_view_beside_it(tmp_path: Path) -> None:
    """One user, 10 ms a request, 100 s; the server freezes for 1 s once in ten: 10 % of the time is slow."""
    starts, at_s = [], 0.0
    while at_s < 100:
        starts.append(at_s)
        at_s += 1.01 if at_s % 10 < 5 <= (at_s + 0.01) % 10 else 0.01
    samples = np.zeros(len(starts), DTYPE)
    samples["intended_s"] = samples["started_s"] = starts
    samples["ended_s"] = [*starts[1:], at_s]
    plan = plan_of(Stage("measure", 100.0, 0.0, 0.0), model=CLOSED, users=1)
    result = read(Written(plan, samples).into(tmp_path))
    assert result.quantile_s(0.99) == pytest.approx(0.01, rel=0.01)
    assert result.corrected_s(0.99) == pytest.approx(0.91, abs=0.03)
    assert result.corrected_s(0.5) == pytest.approx(0.01, rel=0.02)
    assert result.total.planned == 0
    assert math.isnan(result.share_percent("rate"))
    assert read(Written().into(tmp_path / "open")).corrected_s(0.99) is None


def test_no_load_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not a load run: no readable plan\.json in it; give a folder"):
        read(tmp_path)
    Written().into(tmp_path / "load" / "steady")
    with pytest.raises(UsageError, match=r"give one of .*steady"):
        read(tmp_path)
    (tmp_path / "plan.json").write_text('{"format": 99}')
    with pytest.raises(UsageError, match="not a plan of this version"):
        read(tmp_path)


def test_records_of_another_plan_are_refused(tmp_path: Path) -> None:
    folder = Written(plan_of(Stage("a", 5.0, 2.0, 2.0), Stage("b", 5.0, 2.0, 2.0))).into(tmp_path / "two")
    Written(plan_of(Stage("a", 5.0, 2.0, 2.0))).into(tmp_path / "one")
    (tmp_path / "one" / "plan.json").replace(folder / "plan.json")
    with pytest.raises(UsageError, match="another plan"):
        read(folder)
