"""A run that dies at any write and any act: the next one heals it, and everything is as it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from readiness.operations import Fault
from tests.chaos_safety.model import Crash, Harness, Steps, World, frozen, killed, skewed, slow, squeezed

Course = Callable[[Harness], None]


def lifo(*faults: Fault) -> Course:
    def course(harness: Harness) -> None:
        changes = [harness.inject(fault) for fault in faults]
        for change in reversed(changes):
            harness.executor.lift(change)

    return course


def fifo(*faults: Fault) -> Course:
    def course(harness: Harness) -> None:
        for change in [harness.inject(fault) for fault in faults]:
            harness.executor.lift(change)

    return course


def one_after_the_other(*faults: Fault) -> Course:
    def course(harness: Harness) -> None:
        for fault in faults:
            harness.executor.lift(harness.inject(fault))

    return course


def all_at_once(*faults: Fault) -> Course:
    def course(harness: Harness) -> None:
        for fault in faults:
            harness.inject(fault)
        harness.executor.heal()

    return course


COURSES = {
    "frozen": lifo(frozen("planner-1")),
    "killed": lifo(killed("writer-1")),
    "killed and seen to run again": lifo(killed("writer-1", shown=True)),
    "squeezed to death": lifo(squeezed("planner-2")),
    "slow on three links": lifo(slow("a", "b", "c")),
    "skewed": lifo(skewed()),
    "flapping": one_after_the_other(slow("a"), slow("a"), slow("a")),
    "frozen, slow and killed, last first": lifo(frozen("planner-1"), slow("a", "b"), killed("writer-1")),
    "killed, slow and frozen, first first": fifo(killed("writer-1"), slow("a"), frozen("planner-1")),
    "two killed, first first": fifo(killed("writer-1"), killed("planner-1")),
    "all open, lifted at once": all_at_once(
        frozen("planner-1"), killed("planner-2"), slow("a", "b"), squeezed("writer-1")
    ),
}


def crash_points(home: Path, course: Course) -> int:
    """Play a course dying at every point of it in turn; the number of points."""
    at = 0
    while True:
        at += 1
        world, place = World(), home / str(at)
        first = world.data()
        dying = Harness(place, world, Steps(dies_at=at))
        with suppress(Crash):
            course(dying)
        dying.history.close()
        open_now = dying.state.opened()
        assert open_now or world.data() == first, f"point {at}: broken without being written down"
        healed = Harness(place, world)
        outcome = healed.executor.heal()
        healed.history.close()
        assert outcome.failures == (), f"point {at}: {outcome.failures}"
        assert world.data() == first, f"point {at}: it is not as it was"
        assert healed.state.opened() == [], f"point {at}: something is open still"
        if not dying.steps.dead:
            return at - 1


@pytest.mark.parametrize("name", COURSES)
def test_whatever_dies_is_healed(tmp_path: Path, name: str, record_property: Callable[[str, object], None]) -> None:
    points = crash_points(tmp_path, COURSES[name])
    record_property("crash_points", points)
    print(f"{name}: {points} crash points")
    assert points > 10


def test_whatever_dies_while_it_heals_is_healed(tmp_path: Path) -> None:
    at = 0
    while True:
        at += 1
        world, place = World(), tmp_path / str(at)
        first, dead = world.data(), Harness(place, world)
        for fault in (frozen("planner-1"), killed("planner-2"), slow("a", "b"), squeezed("writer-1")):
            dead.inject(fault)
        healing = Harness(place, world, Steps(dies_at=at))
        with suppress(Crash):
            healing.executor.heal()
        last = Harness(place, world)
        assert last.executor.heal().failures == (), f"point {at}"
        assert world.data() == first and last.state.opened() == [], f"point {at}: it is not as it was"
        for harness in (dead, healing, last):
            harness.history.close()
        if not healing.steps.dead:
            break
    print(f"healing: {at - 1} crash points")
    assert at > 20


def test_a_course_without_a_crash_leaves_nothing(tmp_path: Path) -> None:
    for number, (name, course) in enumerate(COURSES.items()):
        world = World()
        first, harness = world.data(), Harness(tmp_path / str(number), world)
        course(harness)
        harness.history.close()
        assert world.data() == first, name
        assert harness.executor.failures == [] and harness.executor.open == () and harness.state.opened() == [], name
        events = [line["event"] for line in harness.ledger()]
        assert events.count("opened") == events.count("closed") == events.count("witnessed"), name
