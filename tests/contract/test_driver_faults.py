"""What every driver keeps that can end, pause or limit replicas: data in, effects measured, undone for sure."""

from __future__ import annotations

import http.client
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from readiness.errors import Missing, TargetError
from readiness.target import Ends, Instance, Lifted, Limits, NoticesFaults, Operation, Pauses, Target, attach
from readiness.waiting import eventually
from tests.contract.test_drivers import WAYS, Reached
from tests.tiny.deployment import running


@pytest.fixture(params=WAYS)
def reached(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reached]:
    with running(tmp_path / "t") as tiny:
        WAYS[request.param](tiny)
        yield Reached(attach(tiny.file), tiny)


@pytest.fixture
def store(reached: Reached) -> Instance:
    (store,) = reached.target.instances("store")
    return store


@pytest.fixture
def ending(reached: Reached) -> Ends:
    if not isinstance(reached.target, Ends):
        pytest.skip("this driver does not end replicas")
    return reached.target


@pytest.fixture
def pausing(reached: Reached) -> Pauses:
    if not isinstance(reached.target, Pauses):
        pytest.skip("this driver does not pause replicas")
    if reason := reached.target.pauses():
        pytest.skip(reason)
    return reached.target


@pytest.fixture
def limiting(reached: Reached) -> Limits:
    if not isinstance(reached.target, Limits):
        pytest.skip("this driver limits no replicas")
    return reached.target


@pytest.fixture
def asking(reached: Reached) -> Iterator[None]:
    """Somebody who keeps the store at work: a limit is felt only by who wants more."""
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answers(reached, "store-1", 5)

    thread = threading.Thread(target=ask)
    thread.start()
    yield
    ended.set()
    thread.join(60)


def limit_plans(limiting: Limits, store: Instance, resource: str) -> Lifted:
    if reason := limiting.limits(resource):
        pytest.skip(reason)
    if resource == "cpu":
        return limiting.starving(store, 0.01, "run-1")
    if resource == "memory":
        return limiting.squeezing(store, 64 << 20, "run-1")
    return limiting.exhausting(store) if resource == "descriptors" else limiting.capping(store)


def perform(target: Target, operation: Operation) -> None:
    """As whoever finds it written down would."""
    assert operation.by == target.scheme
    target.perform(operation.name, json.loads(json.dumps(dict(operation.arguments))))


def shown(target: Target, operation: Operation) -> str:
    return eventually(lambda: target.ask(operation.name, operation.arguments), within=30, every_s=0.02)


def answers(reached: Reached, instance: str, within_s: float) -> bool:
    port = int((reached.tiny.home / "run" / f"{instance}.port").read_text())
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=within_s)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def of_another(operation: Operation, **changed: float) -> Operation:
    kept = {name: value for name, value in operation.arguments.items() if name != "ticks"}
    return Operation(operation.by, operation.name, {**kept, **changed})


@pytest.mark.parametrize("way", ["killing", "stopping"])
def test_an_end_is_witnessed(reached: Reached, ending: Ends, store: Instance, way: str) -> None:
    plan = ending.killing(store) if way == "killing" else ending.stopping(store)
    assert reached.target.ask(plan.witness.name, plan.witness.arguments) == ""
    perform(reached.target, plan.do)
    assert store.name in shown(reached.target, plan.witness)
    assert not reached.target.instances("store")


def test_a_frozen_replica_answers_nothing_until_it_is_resumed(
    reached: Reached, pausing: Pauses, store: Instance
) -> None:
    plan = pausing.freezing(store)
    assert answers(reached, "store-1", 30)
    assert reached.target.ask(plan.witness.name, plan.witness.arguments) == ""
    assert reached.target.ask(plan.healed.name, plan.healed.arguments)
    for _ in "twice":
        perform(reached.target, plan.do)
    assert str(store.pid) in shown(reached.target, plan.witness)
    assert reached.target.ask(plan.healed.name, plan.healed.arguments) == ""
    assert not answers(reached, "store-1", 0.5)
    assert list(reached.target.instances("store")) == [store], "a frozen replica is still there"
    for _ in "twice":
        perform(reached.target, plan.undo)
    assert shown(reached.target, plan.healed)
    assert answers(reached, "store-1", 30)


def test_a_forgotten_pause_is_noticed(reached: Reached, pausing: Pauses, store: Instance) -> None:
    if not isinstance(reached.target, NoticesFaults):
        pytest.skip("this driver notices no faults")
    plan = pausing.freezing(store)
    assert not reached.target.unusual([store, Instance("front", "front")])
    perform(reached.target, plan.do)
    shown(reached.target, plan.witness)
    (told,) = reached.target.unusual([store])
    assert store.name in told and "stopped" in told
    perform(reached.target, plan.undo)
    shown(reached.target, plan.healed)
    assert not reached.target.unusual([store])


def test_resuming_what_is_gone_is_done(reached: Reached, pausing: Pauses, ending: Ends, store: Instance) -> None:
    plan = pausing.freezing(store)
    perform(reached.target, plan.do)
    perform(reached.target, ending.killing(store).do)
    shown(reached.target, ending.killing(store).witness)
    perform(reached.target, plan.undo)
    assert "ended" in shown(reached.target, plan.healed)


def test_a_process_is_never_frozen_for_another(reached: Reached, pausing: Pauses, store: Instance) -> None:
    do = pausing.freezing(store).do
    (front, *_) = reached.target.instances("front")
    assert front.pid is not None and front.started is not None and store.started is not None
    strangers = [
        of_another(do, pid=front.pid, started=front.started),
        of_another(do, started=store.started - 3600),
        of_another(do, pid=os.getpid()),
        of_another(do, pid=os.getppid()),
        of_another(do, pid=1),
        Operation(do.by, do.name, {**do.arguments, "service": "no-such-service"}),
        Operation(do.by, do.name, {**do.arguments, "ticks": 1}),
    ]
    for stranger in strangers:
        with pytest.raises((TargetError, Missing)):
            perform(reached.target, stranger)
    assert reached.target.ask("running", do.arguments)


def test_a_number_that_was_given_to_another_is_never_resumed(
    reached: Reached, pausing: Pauses, store: Instance
) -> None:
    plan = pausing.freezing(store)
    perform(reached.target, plan.do)
    shown(reached.target, plan.witness)
    assert store.started is not None
    perform(reached.target, of_another(plan.undo, started=store.started - 3600))
    perform(reached.target, Operation(plan.undo.by, plan.undo.name, {**plan.undo.arguments, "ticks": 1}))
    assert shown(reached.target, plan.witness), "it is not that process, and stays as it is"
    perform(reached.target, plan.undo)
    shown(reached.target, plan.healed)


def test_a_clock_that_was_set_since_hides_no_process(reached: Reached, pausing: Pauses, store: Instance) -> None:
    """The kernel tells start times by the clock of today; what was written down was told by that of yesterday."""
    plan = pausing.freezing(store)
    if "ticks" not in plan.undo.arguments:
        pytest.skip("this driver's start times do not follow the clock")
    perform(reached.target, plan.do)
    shown(reached.target, plan.witness)
    assert store.started is not None
    undo = Operation(plan.undo.by, plan.undo.name, {**plan.undo.arguments, "started": store.started + 5})
    perform(reached.target, undo)
    assert "goes on" in shown(reached.target, plan.healed)


@pytest.mark.parametrize("resource", ["cpu", "descriptors", "file_size"])
@pytest.mark.usefixtures("asking")
def test_a_limit_is_witnessed_while_it_is_felt_and_gone_when_it_is_lifted(
    reached: Reached, limiting: Limits, store: Instance, resource: str
) -> None:
    plan = limit_plans(limiting, store, resource)
    assert reached.target.ask(plan.witness.name, plan.witness.arguments) == ""
    for _ in "twice":
        perform(reached.target, plan.do)
    assert store.name in shown(reached.target, plan.witness)
    assert reached.target.ask(plan.healed.name, plan.healed.arguments) == ""
    for _ in "twice":
        perform(reached.target, plan.undo)
    assert store.name in shown(reached.target, plan.healed)
    assert eventually(lambda: answers(reached, "store-1", 30), within=60)
    assert list(reached.target.instances("store")) == [store]


@pytest.mark.parametrize("resource", ["cpu", "memory", "descriptors", "file_size"])
def test_a_limit_that_was_never_set_is_lifted_all_the_same(
    reached: Reached, limiting: Limits, store: Instance, resource: str
) -> None:
    plan = limit_plans(limiting, store, resource)
    perform(reached.target, plan.undo)
    assert shown(reached.target, plan.healed)
    assert reached.target.ask(plan.witness.name, plan.witness.arguments) == ""


def test_a_resource_that_cannot_be_taken_says_why_in_one_line(limiting: Limits) -> None:
    assert limiting.limits("no-such-resource").count("\n") == 0 < len(limiting.limits("no-such-resource"))
