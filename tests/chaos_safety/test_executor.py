"""What the executor refuses, in which order it writes, and what it says of undos that fail."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from readiness import undoing
from readiness.errors import Missing, Undecidable, UsageError
from readiness.healing import refuse_if_broken
from readiness.history import History
from readiness.operations import Operation
from readiness.waiting import Deadline
from tests.chaos_safety.model import Harness, World, descriptor, frozen, killed, skewed, slow, squeezed

PLANNER = frozen("planner-1")


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def harness(tmp_path: Path, world: World) -> Harness:
    return Harness(tmp_path, world)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undos that fail, fail at once."""
    for name, value in {"VERIFY_S": 0.1, "LIFTED_S": 0.1, "_TRIES": 1}.items():
        monkeypatch.setattr(undoing, name, value)


def test_every_act_is_written_down_before_and_after(harness: Harness, world: World) -> None:
    change = harness.inject(PLANNER)
    assert world.processes["planner-1"] == "frozen" and change.witnessed == "planner-1 is frozen"
    assert harness.executor.open == (change,)
    harness.executor.lift(change)
    lines = harness.ledger()
    assert [line["event"] for line in lines] == ["opened", "done", "witnessed", "undone", "closed"]
    assert lines[0]["lifted"] and lines[0]["healed"]["name"] == "unfrozen"
    assert 0 <= lines[3]["undo_s"] < 60
    events = {event.kind: event.data for event in History.read(harness.folder)}
    assert events["change_opened"]["heals"] == "readiness heal" and events["change_opened"]["fault"] == "frozen"
    closed = events["change_closed"]
    assert closed["shown"] == "planner-1 is unfrozen" and closed["undone_at"] and closed["verified"]


def test_who_heals_otherwise_is_told(harness: Harness) -> None:
    harness.executor.heals_otherwise = "reaper"
    harness.executor.lift(harness.inject(replace(PLANNER, heals_itself_s=30.0)), harness.inject(slow("a")))
    opened = [event.data["heals"] for event in History.read(harness.folder) if event.kind == "change_opened"]
    assert opened == [30.0, "reaper"]


def test_production_is_refused_unless_armed(tmp_path: Path, world: World) -> None:
    descriptor(tmp_path, "production")
    with pytest.raises(Undecidable, match="in production and not armed") as refused:
        Harness(tmp_path, world).inject(PLANNER)
    assert refused.value.remedy == "--readiness-arm model"
    armed = Harness(tmp_path, world, armed=True)
    armed.executor.lift(armed.inject(PLANNER))


def test_a_fault_that_nobody_could_do_or_undo_is_refused(harness: Harness, world: World) -> None:
    strange = Operation("toxiproxy", "remove_toxic", {"name": "x"})
    for fault in (replace(PLANNER, undo=(strange,)), replace(PLANNER, witness=strange)):
        with pytest.raises(Missing, match="nothing here can do toxiproxy remove_toxic") as missing:
            harness.inject(fault)
        assert missing.value.remedy.startswith("faults.toxiproxy: http")
    with pytest.raises(Undecidable, match="no service nobody"):
        harness.inject(replace(PLANNER, service="nobody"))
    assert harness.state.opened() == [] and world.data() == World().data()


def test_no_more_than_the_blast_radius(harness: Harness, tmp_path: Path, world: World) -> None:
    harness.inject(PLANNER)
    harness.inject(killed("planner-2"))
    with pytest.raises(Undecidable, match="3 of 3 replicas of planner; allowed: 2"):
        harness.inject(frozen("planner-3"))
    harness.inject(slow("a", service="planner"))
    harness.inject(slow("b"))
    harness.inject(killed("writer-1"))
    other = Harness(tmp_path, world)
    with pytest.raises(Undecidable, match="4 services at a time"):
        other.inject(frozen("store-1"))
    assert harness.executor.heal().failures == () and world.data() == World().data()


def test_what_nothing_shows_is_undone_and_undecidable(
    harness: Harness, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("readiness.executor._WITNESS_S", 0.1)
    hollow = replace(slow("a"), do=())
    with pytest.raises(Undecidable, match="nothing shows that it took effect: slow a"):
        harness.inject(hollow)
    assert harness.state.opened() == [] and world.data() == World().data()


@pytest.mark.usefixtures("hasty")
def test_an_undo_that_fails_stops_no_other_and_the_next_run_refuses(
    harness: Harness, world: World, tmp_path: Path
) -> None:
    for fault in (slow("a"), PLANNER, squeezed("writer-1")):
        harness.inject(fault)
    harness.doer.unwilling = {"resume"}
    outcome = harness.executor.heal()
    assert sorted(record.what for record in outcome.closed) == ["slow a", "squeeze writer-1"]
    (failure,) = outcome.failures
    assert failure.what == "freeze planner-1" and "resume is refused" in failure.reason
    assert "process resume (name=planner-1)" in failure.remedy
    assert [record.what for record in harness.state.opened()] == ["freeze planner-1"]
    assert world.toxics == {} and world.squeezed == []
    following = Harness(tmp_path, world)
    following.doer.unwilling = {"resume"}
    with pytest.raises(UsageError, match="freeze planner-1"):
        refuse_if_broken(following.executor.heal(), descriptor(tmp_path))
    assert Harness(tmp_path, world).executor.heal().failures == ()
    assert world.data() == World().data()


@pytest.mark.usefixtures("hasty")
def test_an_effect_that_outlasts_its_undo_is_a_failure(harness: Harness) -> None:
    change = harness.inject(replace(slow("a"), undo=()))
    harness.executor.lift(change)
    assert change.verified is False and "nothing shows that it is over" in change.problem


def test_what_is_lifted_does_not_wait_for_what_must_start_again(harness: Harness) -> None:
    for fault in (PLANNER, killed("writer-1"), slow("a"), killed("planner-2")):
        harness.inject(fault)
    before = len(harness.ledger())
    harness.executor.heal()
    events = [line["event"] for line in harness.ledger()[before:]]
    assert events == ["undone", "undone", "closed", "closed", "closed", "closed"]


def test_what_something_later_hides_is_verified_with_it(harness: Harness, world: World) -> None:
    first, later = harness.inject(killed("writer-1")), harness.inject(PLANNER)
    harness.executor.lift(first)
    assert first.verified is None and first.waits and world.processes["writer-1"] == "running"
    harness.executor.lift(later)
    assert first.verified and later.verified and harness.state.opened() == []


def test_only_faults_are_healed_while_a_run_goes_on(harness: Harness, world: World) -> None:
    kept = harness.executor.begin(
        "restore a backup", gate="TST-CHA-001", undo=skewed().undo, always=True, deadline=Deadline.after(60)
    )
    harness.inject(PLANNER)
    harness.executor.heal(only_faults=True)
    assert harness.executor.open == (kept,) and world.data() == World().data()
    harness.executor.heal()
    assert harness.state.opened() == []


def test_old_records_are_read(harness: Harness, world: World, tmp_path: Path) -> None:
    """As runs of earlier releases wrote them."""
    undo = {"by": "process", "name": "start", "arguments": {"name": "writer-1"}}
    record = {
        "id": "20260101T000000-0a0a0a0a",
        "run_id": "old",
        "gate": "OPS-REC-001",
        "what": "kill writer-1",
        "undo": [undo],
        "digest_before": harness.executor._digest(Deadline.after(60)),
        "opened_at": "2026-01-01T00:00:00.000Z",
    }
    (tmp_path / "var/undos").mkdir(parents=True)
    (tmp_path / "var/undos/20260101T000000-0a0a0a0a.json").write_text(json.dumps(record))
    world.processes["writer-1"] = "dead"
    assert [one.what for one in harness.executor.heal().closed] == ["kill writer-1"]
    assert world.data() == World().data()
