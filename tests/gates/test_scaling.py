"""The gates about replicas: whether more of them do more, and lose nothing while their number changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from readiness.gates.scaling import doubling_replicas_still_gains, more_replicas_do_more_work
from readiness.model import Outcome
from tests.gates.house import ended, failed
from tests.gates.loaded import Scene, Wall, judge
from tests.gates.loads import Load, capacity_of

if TYPE_CHECKING:
    from readiness.workload import Transaction


def doing(*per_s: float, **scene: Any) -> Scene:
    """What is done a second at 1, 2 and 4 replicas, of 2.5 a second offered to each."""
    loads = {f"scalability-{n}": Load(capacity_of(rate)) for n, rate in zip((1, 2, 4), per_s, strict=True)}
    return Scene(loads, **scene)


def dropped(one: Transaction) -> Transaction:
    """What the removed replica held is gone."""
    return replace(one, outcome="pending") if one.marker in ("rd-2", "rd-3") else one


@pytest.mark.parametrize(
    ("scene", "outcome", "told"),
    [
        (doing(2, 4, 8), Outcome.PASS, ""),
        (doing(2, 3.6, 6.72), Outcome.PASS, ""),
        (doing(2, 3, 4.48), Outcome.FAIL, "efficiency was 0.5"),
        (doing(2, 4, 4), Outcome.FAIL, "efficiency was 0.5"),
        (doing(2, 2, 2), Outcome.FAIL, "efficiency was 0.25"),
        (doing(2, 4, 8, sent=dropped), Outcome.FAIL, "lost in resize was 2"),
    ],
)
def test_each_replica_does_its_share(scene: Scene, outcome: Outcome, told: str, tmp_path: Path, clock: Wall) -> None:
    done = judge(more_replicas_do_more_work, tmp_path, clock, scene)
    assert done.outcome is outcome and told in done.told, done.told


@pytest.mark.parametrize(
    ("scene", "outcome"),
    [
        (doing(2, 4, 8), Outcome.PASS),
        (doing(2, 4, 6.72), Outcome.PASS),
        (doing(2, 4, 4.48), Outcome.FAIL),
        (doing(2, 2, 2), Outcome.FAIL),
    ],
)
def test_the_last_doubling_still_gains(scene: Scene, outcome: Outcome, tmp_path: Path, clock: Wall) -> None:
    done = judge(doubling_replicas_still_gains, tmp_path, clock, scene)
    assert done.outcome is outcome and "contention" in done.measured, done.told


def test_two_numbers_of_replicas_are_enough_for_the_gain(tmp_path: Path, clock: Wall) -> None:
    done = judge(doubling_replicas_still_gains, tmp_path, clock, doing(2, 4, 8), scaling__replicas=[1, 4])
    assert done.outcome is Outcome.PASS and "contention" not in done.measured and "last_gain" in done.measured


@pytest.mark.parametrize(
    ("scene", "outcome", "told"),
    [
        (
            doing(2, 4, 8, procedure={"scale": lambda *_: failed("scale", "no such service")}),
            Outcome.FAIL,
            "worker could not be scaled to 1: procedures.scale ended with 1 after 0.5 s: no such service",
        ),
        (
            doing(2, 4, 8, procedure={"scale": lambda *_: ended("scale")}),
            Outcome.FAIL,
            "after it was scaled to 1: ['worker has 2 replicas']",
        ),
        (Scene(), Outcome.UNKNOWN, "scaling.rate_per_replica: <slightly more than one replica can do>"),
        (
            Scene(loadtests=[{"profile": "scalability", "duration": "3s"}]),
            Outcome.UNKNOWN,
            "profile: scalability, duration: <longer>",
        ),
        (
            Scene({"scalability-2": Load(capacity_of(4), written={"lost": frozenset({0})})}),
            Outcome.UNKNOWN,
            "the load run scalability-2 is INVALID",
        ),
    ],
)
def test_what_cannot_be_measured_is_told_in_one_line(
    scene: Scene, outcome: Outcome, told: str, tmp_path: Path, clock: Wall
) -> None:
    for gate in (more_replicas_do_more_work, doubling_replicas_still_gains):
        done = judge(gate, tmp_path, clock, scene)
        assert done.outcome is outcome and told in done.told, done.told
