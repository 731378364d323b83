"""The gates about baselines: what is missing, what varies, what has become worse, and files that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from readiness.gates.baselines import (
    nothing_became_worse_than_the_baseline,
    repeats_of_a_normal_load_agree,
    the_baseline_has_all_five_metrics,
)
from readiness.load.samples import Outcome as End
from readiness.model import Outcome
from tests.gates.loaded import Scene, Wall, judge
from tests.gates.loads import CALM_S, Load, Samples, Usage, at_ease, calm, ends, every, slower, stretch
from tests.load.written import served

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from readiness.load.plan import Plan

LONG: tuple[dict[str, Any], ...] = ({"profile": "steady", "duration": "200s", "thresholds": {"errors": "<= 30%"}},)
Change = Callable[[dict[str, Any]], object]


def recorded(folder: Path, clock: Wall, load: Load | None = None) -> Path:
    """Let a first run record its baseline, and give the file."""
    scene = Scene({"steady": load or Load()}, loadtests=LONG)
    first = judge(nothing_became_worse_than_the_baseline, folder, clock, scene)
    assert first.outcome is Outcome.NOT_APPLICABLE and "this run recorded one" in first.told
    return folder / "state" / "baselines" / "steady.json"


def changed(path: Path, change: Change, folder: Path) -> None:
    """Make the team's own baseline of a recorded one."""
    data = json.loads(path.read_text())
    data["run"] = "earlier"
    change(data)
    (folder / "team").mkdir(exist_ok=True)
    (folder / "team" / "steady.json").write_text(json.dumps(data))


def averages_alone(data: dict[str, Any]) -> None:
    data["metrics"] = {name: {"average": spread["median"]} for name, spread in data["metrics"].items()}


class TestFiveMetrics:
    def test_what_a_first_run_would_record_passes(self, tmp_path: Path, clock: Wall) -> None:
        done = judge(the_baseline_has_all_five_metrics, tmp_path, clock)
        assert done.outcome is Outcome.PASS, done.told
        assert not (tmp_path / "state").exists()

    @pytest.mark.parametrize(
        ("change", "outcome", "metrics"),
        [
            (lambda _data: None, Outcome.PASS, 5),
            (lambda data: data["metrics"].pop("error_share"), Outcome.FAIL, 4),
            (averages_alone, Outcome.FAIL, 0),
            (lambda data: data["metrics"]["utilisation"].update(n=3), Outcome.FAIL, 4),
            (lambda data: data["metrics"]["utilisation"].update(low=5), Outcome.FAIL, 4),
        ],
    )
    def test_the_teams_own_file(
        self, change: Change, outcome: Outcome, metrics: int, tmp_path: Path, clock: Wall
    ) -> None:
        changed(recorded(tmp_path, clock), change, tmp_path)
        done = judge(the_baseline_has_all_five_metrics, tmp_path, clock)
        assert done.outcome is outcome and done.measured["metrics"].value == metrics

    @pytest.mark.parametrize("text", ["", "no JSON", '{"baseline": 2}'])
    def test_a_file_that_is_no_baseline_is_unknown(self, text: str, tmp_path: Path, clock: Wall) -> None:
        (tmp_path / "team").mkdir()
        (tmp_path / "team" / "steady.json").write_text(text)
        for gate in (the_baseline_has_all_five_metrics, nothing_became_worse_than_the_baseline):
            done = judge(gate, tmp_path, clock)
            assert done.outcome is Outcome.UNKNOWN and "steady.json: not a baseline" in done.told

    @pytest.mark.parametrize(
        ("load", "changes", "told"),
        [
            (Load(task_s=None), {}, "signals.task_seconds_sum"),
            (Load(usage=lambda *_: None), {}, "services.<service>.limits: {cpu: …}"),
            (Load(), {"services__front__limits": None, "services__worker__limits": None}, "limits: {cpu: …}"),
        ],
    )
    def test_metrics_that_could_not_be_read_are_unknown(
        self, load: Load, changes: dict[str, Any], told: str, tmp_path: Path, clock: Wall
    ) -> None:
        done = judge(the_baseline_has_all_five_metrics, tmp_path, clock, Scene({"steady": load}), **changes)
        assert done.outcome is Outcome.UNKNOWN and told in done.told


def repeats(*factors: float) -> Samples:
    """The three repeats see the very same noise, each so many times slower; the warm-up is three times as slow."""

    def sampled(plan: Plan) -> NDArray[np.void]:
        index = plan.stage_of(plan.starts())
        noise = np.exp(np.random.default_rng(1).normal(0, 0.05, index.size))
        of_one = np.concatenate([noise[: int((index == stage).sum())] for stage in range(len(plan.stages))])
        return served(plan, CALM_S * of_one * np.array([3.0, *factors])[index])

    return sampled


class TestRepeats:
    @pytest.mark.parametrize(
        ("factors", "outcome"),
        [
            ((1.0, 1.0, 1.0), Outcome.PASS),
            ((0.88, 1.0, 1.12), Outcome.PASS),
            ((0.82, 1.0, 1.18), Outcome.UNKNOWN),
            ((1.0, 2.0, 1.0), Outcome.UNKNOWN),
            ((1.0, 1.3, 1.6), Outcome.UNKNOWN),
        ],
    )
    def test_what_varies_is_not_known(
        self, factors: tuple[float, ...], outcome: Outcome, tmp_path: Path, clock: Wall
    ) -> None:
        done = judge(repeats_of_a_normal_load_agree, tmp_path, clock, Scene({"steady": Load(repeats(*factors))}))
        assert done.outcome is outcome, done.told
        assert outcome is Outcome.PASS or "quiet machine" in done.told

    def test_too_few_transactions_are_told(self, tmp_path: Path, clock: Wall) -> None:
        scene = Scene(loadtests=[{"profile": "steady", "duration": "6s"}])
        done = judge(repeats_of_a_normal_load_agree, tmp_path, clock, scene)
        assert done.outcome is Outcome.UNKNOWN and "profile: steady, duration: <longer>" in done.told


def tail_doubles(plan: Plan) -> NDArray[np.void]:
    samples = calm(plan, seed=2)
    return slower(samples, every(samples["intended_s"] >= 0, 15), 2.5)


def uniform(factor: float) -> Samples:
    return lambda plan: served(plan, CALM_S * factor * np.exp(np.random.default_rng(3).normal(0, 0.005, 400)))


def one_in_ten_breaks(plan: Plan) -> NDArray[np.void]:
    samples = calm(plan, seed=2)
    return ends(samples, every(samples["intended_s"] >= 0, 10), End.ERROR, 0.2, 500)


def shed_at_once(plan: Plan) -> NDArray[np.void]:
    """Half is refused within a moment: that is no quick answer."""
    samples = calm(plan, seed=2)
    return ends(samples, every(samples["intended_s"] >= 0, 2), End.SHED, 0.001, 429)


def busier(name: str, at_s: float) -> dict[str, float]:
    return {**at_ease(name, at_s), "cpu_seconds_total": 0.3 * at_s}


class TestComparison:
    @pytest.mark.parametrize(
        ("before", "now", "outcome", "told"),
        [
            (calm, lambda plan: calm(plan, seed=2), Outcome.PASS, ""),
            (calm, tail_doubles, Outcome.FAIL, "p95 is"),
            (calm, lambda plan: calm(plan, 1.25, seed=2), Outcome.FAIL, "p50 is 1.2"),
            (calm, one_in_ten_breaks, Outcome.FAIL, "errors is"),
            (calm, shed_at_once, Outcome.FAIL, "throughput is 0.5"),
            (uniform(1.0), uniform(1.08), Outcome.PASS, ""),
            (uniform(1.0), uniform(1.12), Outcome.FAIL, "p50 is 1.12"),
        ],
    )
    def test_the_next_run_is_held_against_the_first(
        self, before: Samples, now: Samples, outcome: Outcome, told: str, tmp_path: Path, clock: Wall
    ) -> None:
        changed(recorded(tmp_path, clock, Load(before)), lambda _data: None, tmp_path)
        scene = Scene({"steady": Load(now)}, loadtests=LONG)
        done = judge(nothing_became_worse_than_the_baseline, tmp_path, clock, scene)
        assert done.outcome is outcome and told in done.told, done.told

    def test_more_processor_for_the_same_work_is_worse(self, tmp_path: Path, clock: Wall) -> None:
        changed(recorded(tmp_path, clock), lambda _data: None, tmp_path)
        usage: Usage = busier
        scene = Scene({"steady": Load(usage=usage)}, loadtests=LONG)
        done = judge(nothing_became_worse_than_the_baseline, tmp_path, clock, scene)
        assert done.outcome is Outcome.FAIL and "utilisation is 1.50" in done.told

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            (lambda data: data.update(samples=None), "no samples to compare with"),
            (lambda data: data.update(rate=5), "profile: steady, rate: 5/s"),
            (lambda data: data["samples"].update({name: [] for name in data["samples"]}), "too few to be compared"),
            (lambda data: data["samples"]["broken"].pop(), "offset_s, latency_s and broken have 359, 360 entries"),
            (lambda data: data["samples"]["offset_s"].append(1e300), "less than or equal to 604800"),
        ],
    )
    def test_a_baseline_that_cannot_be_compared_is_unknown(
        self, change: Change, told: str, tmp_path: Path, clock: Wall
    ) -> None:
        changed(recorded(tmp_path, clock), change, tmp_path)
        scene = Scene(loadtests=LONG)
        done = judge(nothing_became_worse_than_the_baseline, tmp_path, clock, scene)
        assert done.outcome is Outcome.UNKNOWN and told in done.told, done.told

    @pytest.mark.parametrize(
        ("load", "told"),
        [
            (Load(repeats(1.0, 2.0, 1.0)), "its repeats vary by"),
            (
                Load(lambda plan: ends(calm(plan), stretch(plan, "run-2"), End.ERROR, 0.1, 500)),
                "the run itself is FAIL",
            ),
            (Load(task_s=None), "it lacks agent_response_s"),
        ],
    )
    def test_what_is_no_ordinary_day_is_not_recorded(self, load: Load, told: str, tmp_path: Path, clock: Wall) -> None:
        done = judge(nothing_became_worse_than_the_baseline, tmp_path, clock, Scene({"steady": load}))
        assert done.outcome is Outcome.NOT_APPLICABLE and told in done.told and "not recorded" in done.told
        assert not (tmp_path / "state" / "baselines").exists()
