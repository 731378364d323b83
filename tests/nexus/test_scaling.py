"""How much waits, how much runs, and on how many replicas; each defect of these rules is seen to act."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from pathlib import Path

import pytest

from readiness.nexus import (
    admission,
    configuration,
    first_state,
    fleet,
    messages,
    permits,
    queue,
    registry,
    scaling,
    store,
)
from readiness.nexus.admission import Admission, OverloadedError
from readiness.nexus.authority import Operator
from readiness.nexus.breaker import OPEN_FOR_S, TOO_MANY_WAIT, Breaker
from readiness.nexus.defects import Defects
from readiness.nexus.errors import NexusError
from readiness.nexus.queue import Queue
from readiness.nexus.releases import release_of
from readiness.nexus.rollout import Rollout
from readiness.nexus.settings import Settings
from readiness.nexus.sharing import ANY, SEEN_WITHIN_S, Sharing
from tests.nexus.test_services_queue import order, taken

LIMIT = 8


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    """A home that was planted and never started, in which few may wait."""
    settings = Settings.create(tmp_path / "home")
    first_state.plant(settings)
    with store.writing(settings.engine()) as db:
        configuration.put(db, "queue_limit", LIMIT, "administrator")
    return settings


def having(settings: Settings, defect: str) -> Settings:
    return replace(settings, defects=Defects.parse([defect]))


class Door:
    """The way into the queue of a home, and out of it."""

    def __init__(self, settings: Settings) -> None:
        self.rules = Queue.of(settings, release_of("2.3.0"))
        self._admission = Admission(settings, self.rules)
        self._engine = settings.engine()

    def enters(self, identity: str) -> bool:
        with contextlib.suppress(OverloadedError), self._admission.entering(), store.writing(self._engine) as db:
            self._admission.take_in(db, order(identity))
            return True
        return False

    def take(self, instance: str = "a") -> bool:
        with store.writing(self._engine) as db:
            return taken(self.rules, db, "planner", instance) is not None

    def waiting(self) -> int:
        with store.reading(self._engine) as db:
            return self.rules.waiting(db)

    def open_workflows(self) -> int:
        with store.reading(self._engine) as db:
            return len(db.execute(store.workflows.select()).all())


def test_a_full_queue_refuses_before_it_accepts_and_takes_in_again_when_there_is_room(home: Settings) -> None:
    door = Door(home)
    assert [door.enters(f"w{number}") for number in range(LIMIT + 40)] == [True] * LIMIT + [False] * 40
    assert door.enters("w0"), "what was accepted before is answered the same"
    assert door.waiting() == door.open_workflows() == LIMIT
    assert door.take()
    assert door.enters("later")


def test_an_order_may_be_at_hand_while_few_are(home: Settings) -> None:
    door = Admission(home, Queue.of(home, release_of("2.3.0")))
    with contextlib.ExitStack() as others, store.writing(home.engine()) as db:
        for _ in range(LIMIT // admission.AT_HAND):
            others.enter_context(door.entering())
        assert door.take_in(db, order("one"))[0]
        others.enter_context(door.entering())
        with pytest.raises(OverloadedError):
            door.take_in(db, order("two"))


def test_overload_wedges_queue(home: Settings) -> None:
    door = Door(having(home, "overload-wedges-queue"))
    for number in range(LIMIT + 40):
        door.enters(f"w{number}")
    for number in range(LIMIT):
        assert door.take(f"agent-{number}")
    assert door.waiting() == 0
    assert not door.enters("later")


def test_overload_drops_accepted(home: Settings) -> None:
    door = Door(having(home, "overload-drops-accepted"))
    assert all(door.enters(f"w{number}") for number in range(LIMIT + 3))
    assert (door.waiting(), door.open_workflows()) == (LIMIT, LIMIT + 3)


def test_a_task_is_leased_to_whoever_asks_and_with_a_global_lock_to_two(home: Settings) -> None:
    for settings, wanted in ((home, 4), (having(home, "global-lock"), 2)):
        door = Door(settings)
        with store.writing(home.engine()) as db:
            db.execute(store.tasks.delete())
        for number in range(4):
            assert door.enters(f"{wanted}-{number}")
        assert sum(door.take(f"agent-{number}") for number in range(4)) == wanted


def test_a_lease_ends_soon_and_outlives_its_agent_when_it_was_made_for_a_debugger(home: Settings) -> None:
    for settings, longest_s in ((home, queue.LEASE_S), (having(home, "lease-outlives-agent"), 90.0)):
        door = Door(settings)
        assert door.enters(f"{longest_s}")
        with store.writing(home.engine()) as db:
            delivery = taken(door.rules, db, "planner")
            _, ends_at = door.rules.expire(db)
            assert delivery
            assert delivery["lease_s"] == longest_s
            assert delivery["waited_s"] >= 0
            assert ends_at is not None
            assert longest_s - 30 < ends_at - time.time() <= longest_s
            db.execute(store.tasks.delete())


def test_whoever_asks_may_have_any_task_and_with_a_share_only_its_own(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fair, shared = Sharing(home), Sharing(having(home, "lease-outlives-agent"))
    for name in ("a", "b"):
        assert fair.endings("planner", "2.3.0", name) == ANY
        shared.endings("planner", "2.3.0", name)
    halves = [shared.endings("planner", "2.3.0", name) for name in ("a", "b")]
    assert sorted("".join(halves)) == sorted(ANY)
    shared.left("b")
    assert shared.endings("planner", "2.3.0", "a") == ANY
    shared.endings("planner", "2.3.0", "b")
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + SEEN_WITHIN_S - 30)
    assert shared.endings("planner", "2.3.0", "a") == halves[0], "the dead one keeps its half"
    monkeypatch.setattr(time, "monotonic", lambda: now + SEEN_WITHIN_S + 30)
    assert shared.endings("planner", "2.3.0", "a") == ANY


def test_a_standby_gets_nothing_while_the_first_is_announced(home: Settings) -> None:
    pinned = Sharing(having(home, "work-pinned-to-first"))
    first, second = (registry.instance_name(home, "writer", number, "2.3.0") for number in (1, 2))
    entry = registry.own_instance(first, "2.3.0", 1)
    registry.announce(home, "writer", entry)
    assert [pinned.endings("writer", "2.3.0", name) for name in (first, second)] == [ANY, ""]
    registry.withdraw(home, "writer", entry)
    assert pinned.endings("writer", "2.3.0", second) == ANY


def test_a_queue_gives_out_what_is_in_the_share(home: Settings) -> None:
    door = Door(home)
    assert door.enters("w0")
    assert door.enters("w1")
    with store.writing(home.engine()) as db:
        given = door.rules.lease(db, "planner", "2.3.0", "a", ["v2"], "13579bdf")[0]
        assert given
        assert messages.decode_task(given["message"], given["format"]).workflow_id == "w1"
        assert door.rules.lease(db, "planner", "2.3.0", "b", ["v2"], "13579bdf")[0] is None
        assert door.rules.lease(db, "planner", "2.3.0", "c", ["v2"], "")[0] is None


def test_a_permit_comes_back_except_after_overdue_work_where_it_is_forgotten(home: Settings) -> None:
    async def has_one_at_last(settings: Settings, waited_s: float) -> bool:
        held = permits.Permits(settings)
        for _ in range(permits.PERMITS):
            async with held.one(waited_s) as has_one:
                assert has_one
        async with held.one(0.0) as has_one:
            return has_one

    forgetful, overdue_s = having(home, "pool-saturated-after-spike"), permits.OVERDUE_S * 2
    assert asyncio.run(has_one_at_last(home, overdue_s))
    assert asyncio.run(has_one_at_last(forgetful, 0.0))
    assert not asyncio.run(has_one_at_last(forgetful, overdue_s))


def test_a_breaker_opens_when_work_piles_up_and_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    breaker, now = Breaker(), time.monotonic()
    breaker.note(TOO_MANY_WAIT)
    assert not breaker.is_open
    breaker.note(TOO_MANY_WAIT + 1)
    monkeypatch.setattr(time, "monotonic", lambda: now + OPEN_FOR_S - 60)
    assert breaker.is_open
    monkeypatch.setattr(time, "monotonic", lambda: now + OPEN_FOR_S + 60)
    assert not breaker.is_open


def test_a_number_of_replicas_holds_for_every_release(home: Settings) -> None:
    replace(home, replicas=home.replicas | {"writer": 5}).save()
    scaled = Settings.load(home.home)
    for release in ("2.2.4", "2.3.0"):
        assert len(fleet.placed(scaled, release, ["writer"])) == 5
    assert {p.name for p in fleet.placed(scaled, "2.3.0")} < set(fleet.known_names(home)), "surplus is recognised"


@pytest.mark.parametrize(("service", "replicas"), [("writer", 0), ("writer", 9), ("orchestrator", 2)])
def test_what_cannot_be_scaled_so_is_refused_before_anything_is_asked(
    home: Settings, service: str, replicas: int
) -> None:
    operator = Operator.at(home, "operator")
    with pytest.raises(NexusError, match=f"{service} cannot have {replicas} replicas; give a number from 1 to"):
        scaling.scale(Rollout.of(home), operator, service, replicas, print)
    assert Settings.load(home.home).replicas == home.replicas
    assert not home.audit_log.exists()
