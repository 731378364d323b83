"""The queue and the migrations under it: exactly one effect, whatever is repeated, lost or killed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as limits
from hypothesis import strategies as st
from sqlalchemy import Connection, func, select

from readiness.nexus import first_state, messages, queue, schema, store, workflow_state
from readiness.nexus.defects import Defects
from readiness.nexus.names import AGENT_ROLES
from readiness.nexus.queue import Queue
from readiness.nexus.releases import release_of
from readiness.nexus.settings import Settings

FOUND: dict[str, dict[str, Any]] = {
    "planner": {"steps": ["search"]},
    "researcher": {"facts": [{"id": "kb-1", "text": "fact"}]},
    "writer": {"draft": "in: fact"},
    "reviewer": {"approved": True},
}


def order(identity: str = "w1", release: str = "2.3.0", **more: str) -> dict[str, Any]:
    return {
        "id": identity,
        "caller": "caller",
        "plan": "answer",
        "input": "in",
        "model": "standin",
        "release": release,
        "correlation_id": "c1",
        "traceparent": "t1",
    } | more


def taken(
    rules: Queue, db: Connection, role: str, instance: str = "a", release: str = "2.3.0"
) -> dict[str, Any] | None:
    return rules.lease(db, role, release, instance, ["v1", "v2"])[0]


def finish(rules: Queue, db: Connection, release: str = "2.3.0") -> None:
    for role in AGENT_ROLES:
        delivery = taken(rules, db, role, release=release)
        assert delivery
        assert rules.complete(db, delivery["lease"], FOUND[role])


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    settings = Settings.create(tmp_path / "home")
    first_state.plant(settings)
    return settings


def rules_of(release: str) -> Queue:
    return Queue(release_of(release), "key")


def test_a_workflow_ends_in_one_effect_and_repeating_anything_adds_none(home: Settings) -> None:
    rules = rules_of("2.3.0")
    with store.writing(home.engine()) as db:
        assert rules.accept(db, order())
        assert rules.accept(db, order()) is None
        for role in AGENT_ROLES:
            delivery = taken(rules, db, role)
            assert delivery
            for _ in range(2):
                step = rules.complete(db, delivery["lease"], FOUND[role])
                assert step
                assert step.outcome == "done"
            assert rules.fail(db, delivery["lease"], "late", 3) is None
        state = workflow_state.read(db, release_of("2.3.0"), "w1")
    assert state
    assert (state["status"], state["effects"], state["citations"]) == ("done", 1, ["kb-1"])
    assert [task["outcome"] for task in state["tasks"]] == ["done"] * 4


def test_a_failing_task_is_retried_within_its_budget_and_then_a_dead_letter(home: Settings) -> None:
    rules = rules_of("2.3.0")
    with store.writing(home.engine()) as db:
        rules.accept(db, order())
        outcomes = []
        for _ in range(3):
            db.execute(store.tasks.update().values(available_at=0))
            delivery = taken(rules, db, "planner")
            assert delivery
            step = rules.fail(db, delivery["lease"], "boom", 3)
            assert step
            outcomes.append(step.outcome)
            again = rules.fail(db, delivery["lease"], "boom", 3)
            assert again
            assert (again.outcome, again.replayed) == (step.outcome, True)
        letters = db.scalar(select(func.count()).select_from(store.dead_letters))
        state = workflow_state.read(db, release_of("2.3.0"), "w1")
    assert outcomes == ["retried", "retried", "failed"]
    assert state
    assert (state["status"], state["effects"], letters) == ("failed", 0, 1)
    assert "boom" in state["error"]


def test_a_lost_lease_counts_no_more_and_its_task_is_given_to_another(home: Settings) -> None:
    rules = rules_of("2.3.0")
    with store.writing(home.engine()) as db:
        rules.accept(db, order())
        lost = taken(rules, db, "planner", "a")
        assert lost
        assert taken(rules, db, "planner", "b") is None
        db.execute(store.tasks.update().values(lease_until=time.time() - 1))
        steps, _ = rules.expire(db)
        assert [step.outcome for step in steps] == ["retried"]
        second = taken(rules, db, "planner", "b")
        assert second
        assert not rules.renew(db, lost["lease"])
        assert rules.complete(db, lost["lease"], FOUND["planner"]) is None
        assert rules.renew(db, second["lease"])
        # An instance that asks again holds nothing: it was killed in between.
        third = taken(rules, db, "planner", "b")
        assert third
        assert third["attempt"] == 3


def test_what_kills_its_agents_again_and_again_is_given_up(home: Settings) -> None:
    rules = rules_of("2.3.0")
    with store.writing(home.engine()) as db:
        rules.accept(db, order())
        for _ in range(queue.MOST_DELIVERIES):
            assert taken(rules, db, "planner")
        assert taken(rules, db, "planner") is None
        state = workflow_state.read(db, release_of("2.3.0"), "w1")
    assert state
    assert state["status"] == "failed"


def test_tasks_go_to_agents_of_their_release_in_a_format_they_speak(home: Settings) -> None:
    rules = rules_of("2.3.0")
    with store.writing(home.engine()) as db:
        rules.accept(db, order(release="2.2.4"))
        assert taken(rules, db, "planner") is None
        delivery, _ = rules.lease(db, "planner", "2.2.4", "old", ["v1"])
        assert delivery
        assert messages.decode_task(delivery["message"], "v1").input == "in"


def test_a_high_priority_goes_first(home: Settings) -> None:
    rules = rules_of("2.3.0")
    with store.writing(home.engine()) as db:
        for identity, priority in (("w1", "low"), ("w2", "normal"), ("w3", "high")):
            rules.accept(db, order(identity, priority=priority))
        served = []
        for _ in range(3):
            delivery = taken(rules, db, "planner")
            assert delivery
            served.append(delivery["message"]["workflow"]["id"])
            rules.complete(db, delivery["lease"], FOUND["planner"])
    assert served == ["w3", "w2", "w1"]


def test_unfinished_work_is_given_to_the_successor(home: Settings) -> None:
    rules = rules_of("2.3.0")
    with store.writing(home.engine()) as db:
        rules.accept(db, order("w1", "2.3.1"))
        taken(rules, db, "planner", release="2.3.1")
        assert workflow_state.open_workflows(db, "2.3.1") == 1
        assert workflow_state.reassign(db, "2.3.1", "2.3.0") == 1
        finish(rules, db)
        assert workflow_state.open_workflows(db, "2.3.0") == 0


def test_both_migrations_keep_finished_and_queued_work(home: Settings) -> None:
    with store.writing(home.engine()) as db:
        rules_of("2.3.0").accept(db, order("done"))
        finish(rules_of("2.3.0"), db)
        rules_of("2.3.0").accept(db, order("open"))
    for revision, release in (("0001", "2.2.4"), ("0002", "2.3.1"), ("0001", "2.2.4")):
        schema.migrate(home, revision)
        assert schema.current_revision(home) == revision
        with store.writing(home.engine()) as db:
            rules = rules_of(release)
            state = workflow_state.read(db, release_of(release), "done")
            assert state
            assert (state["answer"], state["citations"], state["effects"]) == ("in: fact", ["kb-1"], 1)
            assert ("priority" in state) == (revision == "0002")
            delivery = taken(rules, db, "planner")
            assert delivery
            assert rules.give_back(db, "a")
            rules.accept(db, order(f"new-{revision}-{release}", release))


def test_the_one_way_migration_leaves_what_the_old_release_cannot_read(tmp_path: Path) -> None:
    settings = Settings.create(tmp_path / "home", defects=Defects({"one-way-migration": ""}))
    first_state.plant(settings)
    with store.writing(settings.engine()) as db:
        rules_of("2.3.0").accept(db, order("done"))
        finish(rules_of("2.3.0"), db)
    schema.migrate(settings, "0001")
    with store.reading(settings.engine()) as db, pytest.raises(messages.MessageFormatError):
        workflow_state.read(db, release_of("2.2.4"), "done")
    schema.migrate(settings, "0002")
    with store.reading(settings.engine()) as db:
        assert workflow_state.read(db, release_of("2.3.0"), "done")


acts = st.lists(
    st.tuples(st.sampled_from(["work", "replay", "kill", "expire", "fail"]), st.sampled_from(AGENT_ROLES)),
    max_size=40,
)


@limits(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=acts)
def test_no_sequence_of_events_makes_two_effects_or_loses_work(sequence: list[tuple[str, str]]) -> None:
    engine, rules = store.open_engine("sqlite://"), rules_of("2.3.0")
    with store.writing(engine) as db:
        store.state.create_all(db)
        rules.accept(db, order())
        leases: list[tuple[str, str]] = []
        for act, role in sequence:
            db.execute(store.tasks.update().values(available_at=0))
            if act == "expire":
                db.execute(store.tasks.update().values(lease_until=0))
                rules.expire(db)
            elif act == "kill":
                rules.give_back(db, role)
            elif act == "replay":
                for lease, holder in leases:
                    rules.complete(db, lease, FOUND[holder])
            else:
                delivery = taken(rules, db, role, instance=role)
                if delivery and act == "work":
                    leases.append((delivery["lease"], role))
                    rules.complete(db, delivery["lease"], FOUND[role])
                elif delivery:
                    rules.fail(db, delivery["lease"], "boom", 3)
        state = workflow_state.read(db, release_of("2.3.0"), "w1")
        waiting = rules.depth(db)
    engine.dispose()
    assert state
    assert state["effects"] == (1 if state["status"] == "done" else 0)
    assert (waiting == 1) == (state["status"] in workflow_state.OPEN)
    assert json.dumps(state)
