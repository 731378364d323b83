"""The queue when messages are lost, repeated, late, overtaken or spoilt: healthy it holds, each defect breaks it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine

from readiness.nexus import first_state, handover, workflow_state
from readiness.nexus.defects import Defects
from readiness.nexus.deliveries import Deliveries
from readiness.nexus.intake import Intake
from readiness.nexus.messages import MessageFormatError, Task
from readiness.nexus.names import AGENT_ROLES
from readiness.nexus.queue import Queue
from readiness.nexus.releases import release_of
from readiness.nexus.settings import Settings
from readiness.nexus.store import tasks
from tests.nexus.test_services_queue import FOUND, finish, order, taken

RELEASE = release_of("2.3.0")
SPOILT: tuple[Any, ...] = (None, "no findings", [], {}, {"steps": 7}, {"facts": [{"id": "kb-1"}]}, {"draft": None})
LATE_S = 1.0


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    settings = Settings.create(tmp_path_factory.mktemp("nexus") / "home")
    first_state.plant(settings)
    return settings.engine()


@pytest.fixture
def db(engine: Engine) -> Iterator[Connection]:
    """A transaction of which nothing stays."""
    with engine.connect() as connection:
        yield connection
        connection.rollback()


def rules(*defects: str) -> Queue:
    return Queue(RELEASE, "key", defects=Defects.parse(defects))


def effects(db: Connection, identity: str = "w1") -> int:
    state = workflow_state.read(db, RELEASE, identity)
    assert state
    return int(state["effects"])


def lose_lease(db: Connection) -> None:
    db.execute(tasks.update().where(tasks.c.status == "leased").values(lease_until=0.0))


@pytest.mark.parametrize(("defects", "expected"), [((), 1), (("stale-lease-accepted",), 2)])
@pytest.mark.parametrize("frozen", AGENT_ROLES)
def test_an_agent_that_wakes_after_its_lease_changes_nothing(
    db: Connection, frozen: str, defects: tuple[str, ...], expected: int
) -> None:
    queue = rules(*defects)
    queue.accept(db, order())
    asleep: dict[str, Any] = {}
    for role in AGENT_ROLES:
        if role == frozen:
            asleep = taken(queue, db, role, "asleep") or {}
            lose_lease(db)
            queue.expire(db)
        delivery = taken(queue, db, role, "awake")
        assert delivery
        assert queue.complete(db, delivery["lease"], FOUND[role])
    assert effects(db) == 1
    assert (queue.complete(db, asleep["lease"], FOUND[frozen]) is None) is (not defects)
    for role in AGENT_ROLES:
        if delivery := taken(queue, db, role, "awake"):
            queue.complete(db, delivery["lease"], FOUND[role])
    assert effects(db) == expected


@pytest.mark.parametrize(("defects", "expected"), [((), 1), (("report-repeats-effect",), 3)])
def test_a_report_whose_answer_was_lost_has_one_effect(db: Connection, defects: tuple[str, ...], expected: int) -> None:
    queue = rules(*defects)
    queue.accept(db, order())
    for role in AGENT_ROLES:
        delivery = taken(queue, db, role)
        assert delivery
        for _ in range(3):
            assert queue.complete(db, delivery["lease"], FOUND[role])
    assert effects(db) == expected


@pytest.mark.parametrize(("defects", "expected"), [((), 1), (("duplicates-not-recognised",), 2)])
def test_an_order_that_arrives_twice_is_done_once(db: Connection, defects: tuple[str, ...], expected: int) -> None:
    queue = rules(*defects)
    assert queue.accept(db, order("w" * 32))
    again = queue.accept(db, order("w" * 32))
    assert (again is None) is (not defects)
    finish(queue, db)
    if again:
        finish(queue, db)
    assert effects(db, "w" * 32) == expected


@pytest.mark.parametrize("role", AGENT_ROLES)
@pytest.mark.parametrize("defects", [(), ("order-assumed",)])
def test_a_report_that_was_overtaken_counts_all_the_same(db: Connection, role: str, defects: tuple[str, ...]) -> None:
    queue = rules(*defects)
    for identity in ("w1", "w2"):
        queue.accept(db, order(identity))
        for before in AGENT_ROLES[: AGENT_ROLES.index(role)]:
            delivery = taken(queue, db, before)
            assert delivery
            queue.complete(db, delivery["lease"], FOUND[before])
    first, second = taken(queue, db, role, "a"), taken(queue, db, role, "b")
    assert first
    assert second
    queue.complete(db, second["lease"], FOUND[role], 10.0 + LATE_S)
    step = queue.complete(db, first["lease"], FOUND[role], 10.0)
    assert step
    went_on = step.next_role is not None or step.workflow_outcome == "done"
    assert went_on is (not defects)


@pytest.mark.parametrize(("defects", "attempts"), [((), 3), (("poison-retried-forever",), 50)])
def test_what_cannot_be_read_is_tried_a_few_times_and_reported(
    db: Connection, defects: tuple[str, ...], attempts: int
) -> None:
    queue = rules(*defects)
    queue.accept(db, order())
    tried = 0
    while tried < 50:
        db.execute(tasks.update().values(available_at=0.0))
        delivery = taken(queue, db, AGENT_ROLES[0])
        if delivery is None:
            break
        tried += 1
        queue.fail(db, delivery["lease"], "cannot be read", 3, unreadable=True)
    assert tried == attempts
    state = workflow_state.read(db, RELEASE, "w1")
    assert state
    assert (state["status"] == "failed") is (not defects)


@pytest.mark.parametrize("defects", [(), ("task-dies-with-agent",)])
def test_a_task_outlives_its_agent(db: Connection, defects: tuple[str, ...]) -> None:
    queue = rules(*defects)
    queue.accept(db, order())
    assert taken(queue, db, AGENT_ROLES[0], "dies")
    lose_lease(db)
    queue.expire(db)
    assert (taken(queue, db, AGENT_ROLES[0], "other") is not None) is (not defects)


@pytest.mark.parametrize("spoilt", SPOILT)
@pytest.mark.parametrize("role", AGENT_ROLES)
def test_findings_that_are_spoilt_change_nothing(db: Connection, role: str, spoilt: Any) -> None:
    queue = rules()
    queue.accept(db, order())
    for before in AGENT_ROLES[: AGENT_ROLES.index(role)]:
        delivery = taken(queue, db, before)
        assert delivery
        queue.complete(db, delivery["lease"], FOUND[before])
    delivery = taken(queue, db, role)
    assert delivery
    with pytest.raises(MessageFormatError):
        queue.complete(db, delivery["lease"], spoilt)
    assert queue.renew(db, delivery["lease"])
    assert effects(db) == 0
    assert queue.complete(db, delivery["lease"], FOUND[role])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    role=st.sampled_from(AGENT_ROLES), found=JSON | st.fixed_dictionaries({"steps": JSON, "facts": JSON, "draft": JSON})
)
def test_whatever_is_found_is_handed_over_whole_or_refused(role: str, found: Any) -> None:
    task = Task("t", "w", role, "answer", "in", "standin")
    try:
        successor = handover.with_findings(task, found)
    except MessageFormatError:
        return
    assert all(isinstance(step, str) for step in successor.steps)
    assert all(isinstance(text, str) for fact in successor.facts for text in (fact.id, fact.text))
    assert isinstance(successor.draft, str)


def test_an_asking_that_is_repeated_gets_the_same_task_and_one_of_the_past_none() -> None:
    given_out = Deliveries()
    asked = {"instance": "a", "life": "1", "turn": 4}
    assert given_out.again(asked) is None
    given_out.note(asked, {"lease": "x"})
    assert given_out.again(asked) == {"lease": "x"}
    assert given_out.is_past(asked | {"turn": 3})
    assert not given_out.is_past(asked | {"turn": 5})
    # A new life begins to count anew: what its predecessor held is lost with it.
    reborn = asked | {"life": "2", "turn": 0}
    assert given_out.again(reborn) is None
    assert not given_out.is_past(reborn)


def test_what_is_held_in_memory_is_written_once_and_then_let_go() -> None:
    intake, written = Intake(), []
    intake.hold(order())
    held = intake.shown("w1")
    assert held
    assert held["status"] == "queued"

    async def take_in(orders: list[dict[str, Any]]) -> None:
        written.extend(orders)

    async def until_written() -> None:
        handing_on = asyncio.create_task(intake.hand_on(take_in))
        async with asyncio.timeout(30):
            while intake.shown("w1"):
                await asyncio.sleep(0.05)
        handing_on.cancel()

    asyncio.run(until_written())
    assert [entry["id"] for entry in written] == ["w1"]
