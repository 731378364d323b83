"""The gates about room above the peak: processor, memory, rate, and one replica less."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from readiness.gates.capacity import the_peak_is_carried_with_one_replica_less, there_is_room_above_the_peak
from readiness.load.samples import Outcome as End
from readiness.model import Outcome
from readiness.resources import CPU, MEMORY
from tests.gates.house import failed
from tests.gates.loaded import QUICK, Loaded, Scene, Wall, judge
from tests.gates.loads import Load, Samples, Usage, at_ease, calm, capacity_of, ends, every, first, slower, stretch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from readiness.load.plan import Plan
    from readiness.procedures import Ran


def using(cpu: float = 0.2, memory: float = 0.4) -> Usage:
    """One replica uses so much of a core and of its 256 MB."""

    def used(name: str, at_s: float) -> Mapping[str, float]:
        mine = {CPU: cpu * at_s, MEMORY: memory * 256e6}
        return {**at_ease(name, at_s), **(mine if name == "worker-2" else {})}

    return used


def bursts(name: str, at_s: float) -> Mapping[str, float]:
    """A third of a core on average, and all of it for 1.5 of every 4 s."""
    busy_s = at_s // 4 * 1.5 + min(at_s % 4, 1.5)
    return {**at_ease(name, at_s), **({CPU: busy_s} if name == "front-1" else {})}


def cache_fills(name: str, at_s: float) -> Mapping[str, float]:
    return {**at_ease(name, at_s), **({MEMORY: min(217e6, 60e6 + 20e6 * at_s)} if name == "worker-1" else {})}


def away(name: str, at_s: float) -> Mapping[str, float] | None:
    return None if name == "worker-2" else at_ease(name, at_s)


@pytest.mark.parametrize(
    ("loads", "outcome", "told"),
    [
        ({}, Outcome.PASS, ""),
        ({"steady": Load(usage=using(cpu=0.64))}, Outcome.PASS, ""),
        ({"steady": Load(usage=using(cpu=0.76))}, Outcome.FAIL, "headroom of cpu was 24%"),
        ({"steady": Load(usage=bursts)}, Outcome.FAIL, "front-1 used 100%"),
        ({"steady": Load(usage=using(memory=0.64))}, Outcome.PASS, ""),
        ({"steady": Load(usage=using(memory=0.76))}, Outcome.FAIL, "headroom of memory was 24%"),
        ({"steady": Load(usage=cache_fills)}, Outcome.FAIL, "worker-1 used 85%"),
        ({"stress": Load(capacity_of(3.2))}, Outcome.PASS, ""),
        ({"stress": Load(capacity_of(2.6))}, Outcome.FAIL, "headroom of rate was 2"),
        ({"steady": Load(usage=away)}, Outcome.UNKNOWN, "services.worker.metrics: <path>"),
        ({"steady": Load(usage=lambda *_: None)}, Outcome.UNKNOWN, "services.<service>.limits: {cpu: …}"),
        ({"steady": Load(written={"lost": frozenset({0})})}, Outcome.UNKNOWN, "INVALID"),
        ({"stress": Load(written={"cap": 100})}, Outcome.UNKNOWN, "READINESS_LOAD_RAW_CAP"),
    ],
)
def test_headroom(loads: dict[str, Load], outcome: Outcome, told: str, tmp_path: Path, clock: Wall) -> None:
    done = judge(there_is_room_above_the_peak, tmp_path, clock, Scene(loads))
    assert done.outcome is outcome and told in done.told, done.told


def test_headroom_at_less_than_the_peak_is_unknown(tmp_path: Path, clock: Wall) -> None:
    scene = Scene(loadtests=[*QUICK[1:], {"profile": "steady", "duration": "30s", "rate": "1/s"}])
    done = judge(there_is_room_above_the_peak, tmp_path, clock, scene)
    assert done.outcome is Outcome.UNKNOWN and "profile: steady, rate: 2/s" in done.told


def while_lost(factor: float) -> Samples:
    return lambda plan: slower(calm(plan), stretch(plan, "lost"), factor)


def held_too_long(plan: Plan) -> NDArray[np.void]:
    """What the lost replica held is taken back only after the run."""
    return ends(calm(plan), first(stretch(plan, "lost"), 3), End.CENSORED, 60)


def broken(n: int, outcome: End = End.ERROR) -> Samples:
    return lambda plan: ends(calm(plan), first(every(stretch(plan, "lost"), 4), n), outcome, 0.05, 503)


def one_less(samples: Samples, **scene: Any) -> Scene:
    return Scene({"n-1": Load(samples)}, **scene)


@pytest.mark.parametrize(
    ("samples", "outcome", "told"),
    [
        (calm, Outcome.PASS, ""),
        (while_lost(4.5), Outcome.PASS, ""),
        (while_lost(7), Outcome.FAIL, "p95 with one less was"),
        (held_too_long, Outcome.FAIL, "unserved percent was"),
        (broken(1), Outcome.PASS, ""),
        (broken(2), Outcome.FAIL, "unserved percent was"),
        (broken(4, End.SHED), Outcome.FAIL, "unserved percent was"),
    ],
)
def test_one_replica_less(samples: Samples, outcome: Outcome, told: str, tmp_path: Path, clock: Wall) -> None:
    done = judge(the_peak_is_carried_with_one_replica_less, tmp_path, clock, one_less(samples))
    assert done.outcome is outcome and told in done.told, done.told
    assert done.stage is not None and done.stage.ran == ["stop front front-2", "stop worker worker-2"]
    assert {"recovery_of_front", "recovery_of_worker"} <= done.measured.keys()


def test_what_was_refused_at_once_is_no_quick_answer(tmp_path: Path, clock: Wall) -> None:
    def sampled(plan: Plan) -> NDArray[np.void]:
        lost = stretch(plan, "lost")
        return ends(slower(calm(plan), lost, 8), lost & ~every(lost, 3), End.SHED, 0.001, 429)

    done = judge(the_peak_is_carried_with_one_replica_less, tmp_path, clock, one_less(sampled))
    assert done.outcome is Outcome.FAIL and "p95 with one less was 2" in done.told


def slow_stop(stage: Loaded, _given: dict[str, str]) -> Ran | None:
    stage.clock.now_s += 40
    return None


@pytest.mark.parametrize(
    ("scene", "changes", "told"),
    [
        (
            one_less(calm, procedure={"stop": lambda *_: failed("stop", "no such instance")}),
            {},
            "front-2 could not be kept down: procedures.stop ended with 1 after 0.5 s: no such instance",
        ),
        (one_less(calm, procedure={"stop": slow_stop}), {}, "took longer than the load"),
        (one_less(calm), {"services__front__replicas": 1, "services__worker__replicas": 1}, "replicas: 2"),
        (one_less(calm), {"objectives__peak_rate": "0.1/s"}, "objectives.peak_rate: the rate of the busiest hour"),
        (Scene({"n-1": Load(written={"lost": frozenset({0})})}), {}, "the load run n-1 is INVALID"),
    ],
)
def test_a_loss_that_shows_nothing_is_unknown(
    scene: Scene, changes: dict[str, Any], told: str, tmp_path: Path, clock: Wall
) -> None:
    done = judge(the_peak_is_carried_with_one_replica_less, tmp_path, clock, scene, **changes)
    assert done.outcome is Outcome.UNKNOWN and told in done.told, done.told
