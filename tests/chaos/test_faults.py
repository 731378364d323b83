"""Faults as data: what each hits, how it is undone and shown, and what is refused before anything is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from readiness.chaos.faults import FAULTS, kind_of, mistakes_in
from readiness.chaos.field import HTTP, HTTP_FAULTS, TOXIPROXY, Field, Refused
from readiness.descriptor import Descriptor
from readiness.errors import Missing, UsageError
from readiness.operations import PROCEDURE, Fault, Operation
from readiness.reach import Reach
from readiness.target import Argument, Final, Instance, Lifted

DESCRIPTOR: dict[str, Any] = {
    "readiness": 1,
    "name": "paper",
    "environment": "staging",
    "services": {
        "planner": {"part": "agent", "replicas": 2},
        "writer": {"part": "agent", "replicas": 1},
        "queue": {"part": "coordinator", "ready": "/readyz"},
        "model": {"part": "provider", "replicas": 0},
    },
    "links": {
        "agents-queue": {
            "from": ["planner", "writer"],
            "to": "queue",
            "toxiproxy": ["planner-to-queue-*", "writer-to-queue-*"],
            "http": ["*-to-queue-*"],
            "messages": {
                "acknowledge": {"method": "POST", "path": "/done"},
                "deliver": {"method": "POST", "path": "/lease"},
            },
        },
        "agents-model": {
            "from": ["planner", "writer"],
            "to": "model",
            "toxiproxy": ["*-to-model"],
            "http": ["*-to-model"],
            "messages": {"ask": {"method": "POST", "path": "/v1/chat/completions"}},
        },
    },
    "faults": {"toxiproxy": "http://127.0.0.1:1", "http": "http://127.0.0.1:1"},
    "procedures": {"pin": {"run": ["x"]}, "unpin": {"run": ["x"]}},
    "releases": {"current": "2", "previous": "1"},
}
PROXIES = ["planner-to-queue-1", "planner-to-queue-2", "writer-to-queue-1", "planner-to-model", "other"]
NEEDED: dict[str, dict[str, Any]] = {
    "slow": {"latency_ms": 300},
    "thin": {"rate_kb_per_s": 10},
    "truncated": {"after_bytes": 10},
    "late": {"seconds": 1},
    "wrong_answer": {"text": "All is well."},
}
OF_PROCESSES = {name for name, kind in FAULTS.items() if kind.make.__module__ == "readiness.chaos.faults.processes"}


@dataclass
class Desk:
    """A driver with everything that faults on processes ask for, of which nothing is done."""

    instances_of: dict[str, list[Instance]]
    scheme: str = "paper"
    unready: set[str] = field(default_factory=set)
    lacks: str = ""

    def instances(self, service: str) -> list[Instance]:
        return self.instances_of.get(service, [])

    def services(self) -> list[str]:
        return list(self.instances_of)

    def address(self, service: str) -> str:
        return service

    def perform(self, operation: str, arguments: Mapping[str, Argument]) -> None:
        raise AssertionError((operation, arguments))

    def ask(self, operation: str, arguments: Mapping[str, Argument]) -> str:
        raise AssertionError((operation, arguments))

    def _plan(self, name: str, one: Instance) -> Lifted:
        return Lifted(*(Operation(self.scheme, f"{name} {step}", {"instance": one.name}) for step in Lifted._fields))

    def killing(self, instance: Instance) -> Final:
        return Final(*self._plan("kill", instance)[:2])

    def stopping(self, instance: Instance) -> Final:
        return Final(*self._plan("stop", instance)[:2])

    def pauses(self) -> str:
        return self.lacks

    def freezing(self, instance: Instance) -> Lifted:
        return self._plan("freeze", instance)

    def limits(self, resource: str) -> str:
        del resource
        return self.lacks

    def starving(self, instance: Instance, share: float, tag: str) -> Lifted:
        return self._plan(f"starve {share} {tag}", instance)

    def squeezing(self, instance: Instance, room_bytes: int, tag: str) -> Lifted:
        return self._plan(f"squeeze {room_bytes} {tag}", instance)

    def exhausting(self, instance: Instance, spare: int = 0) -> Lifted:
        return self._plan(f"exhaust {spare}", instance)

    def capping(self, instance: Instance, file_bytes: int = 0) -> Lifted:
        return self._plan(f"cap {file_bytes}", instance)


def desk() -> Desk:
    names = {"planner": 2, "writer": 1, "queue": 1}
    return Desk({name: [Instance(name, f"{name}-{n}") for n in range(1, count + 1)] for name, count in names.items()})


def a_field(target: Desk | None = None, seed: int = 0, **changed: Any) -> Field:
    descriptor = Descriptor.model_validate({**DESCRIPTOR, **changed})
    target = target or desk()
    reach = SimpleNamespace(
        file=SimpleNamespace(descriptor=descriptor),
        target=target,
        ready=lambda one, _: one.name not in target.unready,
    )
    standing = {TOXIPROXY: lambda: PROXIES, HTTP: lambda: PROXIES}
    return Field(cast("Reach", reach), standing, run_tag="rd-0123abcd", seed=seed)


def made(name: str, **given: Any) -> Fault:
    target = given.pop("target", None)
    if name in OF_PROCESSES and not {"part", "service"} & set(given):
        given["part"] = "agent"
    if FAULTS[name].make.__module__.endswith("network") and "link" not in given:
        given["link"] = {"from": "agent", "to": "coordinator"}
    return kind_of(name).fault(a_field(target), {**NEEDED.get(name, {}), **given})


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_whole(name: str) -> None:
    fault = made(name)
    assert fault.name == name and fault.do and fault.undo and fault.what
    assert FAULTS[name].about.endswith(".")
    assert (fault.service is None) is (name not in OF_PROCESSES)
    assert not fault.lifted or fault.healed is not None
    for one in (*fault.do, *fault.undo, fault.witness):
        assert all(isinstance(value, str | int | float | bool) for value in one.arguments.values())
        assert (
            Operation.from_data(
                json.loads(json.dumps({"by": one.by, "name": one.name, **{"arguments": dict(one.arguments)}}))
            )
            == one
        )


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_refuses_what_it_does_not_know(name: str) -> None:
    assert any("unknown parameter 'sped'" in text for _, text in mistakes_in(name, {**NEEDED.get(name, {}), "sped": 1}))


@pytest.mark.parametrize(
    ("name", "given", "text"),
    [
        ("slow", {}, "latency_ms is missing"),
        ("slow", {"latency_ms": "300"}, "allowed: a whole number"),
        ("slow", {"latency_ms": True}, "allowed: a whole number"),
        ("slow", {"latency_ms": -1}, "greater than or equal to 1"),
        ("slow", {"latency_ms": 1, "share": 5}, "less than or equal to 1"),
        ("slow", {"latency_ms": 1, "link": {"form": "a", "to": "b"}}, "unknown key 'form'"),
        ("unavailable", {"status": 200}, "greater than or equal to 400"),
        ("delivered_twice", {"message": "reply"}, "allowed: submit, deliver"),
        ("frozen", {"replicas": 0}, "greater than or equal to 1"),
    ],
)
def test_mistakes_are_one_line(name: str, given: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=f"fault {name}: .*{text}") as caught:
        kind_of(name).fault(a_field(), given)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_none_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown fault 'frozn'; did you mean 'frozen'"):
        kind_of("frozn")


def test_a_link_is_hit_by_the_proxies_that_stand_on_it_now() -> None:
    fault = made("slow")
    add, witness = fault.do[0], fault.witness
    assert json.loads(str(add.arguments["proxies"])) == PROXIES[:3]
    assert str(add.arguments["name"]).startswith("rd-0123abcd-slow-")
    assert witness.arguments["expect"] == "slow" and witness.arguments["path"] == "/readyz"
    assert fault.undo[0].arguments["name"] == add.arguments["name"] == witness.arguments["name"]


def test_messages_are_hit_by_their_meaning_and_lift_themselves() -> None:
    fault = made("acknowledgement_lost", share=0.5)
    add = fault.do[0]
    assert (add.by, add.name) == (HTTP_FAULTS, "add")
    assert (add.arguments["method"], add.arguments["path"], add.arguments["kind"]) == ("POST", "/done", "drop_response")
    assert add.arguments["share"] == 0.5 and fault.heals_itself_s == add.arguments["lifetime_s"]
    assert "50% of them" in fault.what


@pytest.mark.parametrize(
    ("name", "given", "changed", "error", "text"),
    [
        ("frozen", {"part": "store"}, {}, Missing, "no service is declared to be of the part store"),
        ("frozen", {"service": "planer"}, {}, Refused, "did you mean 'planner'"),
        ("frozen", {}, {}, Refused, "give part or service"),
        ("frozen", {"part": "agent", "replicas": 3}, {}, Refused, "nothing is hit: 3 ready replicas of agent"),
        ("slow", {"link": {"from": "agent", "to": "knowledge"}}, {}, Missing, "no link from agent to knowledge"),
        ("slow", {"link": "agents-que"}, {}, Refused, "did you mean 'agents-queue'"),
        ("slow", {}, {}, Refused, "2 links go from"),
        ("slow", {}, {"links": {}}, Missing, "no link between services is declared"),
        ("delivered_twice", {"message": "tool"}, {}, Missing, "says which requests are 'tool'"),
        ("skewed", {"part": "agent"}, {"procedures": {}}, Missing, "the procedure pin is not declared"),
        ("skewed", {"part": "agent"}, {"releases": None}, Missing, "no other release is declared"),
    ],
)
def test_where_nothing_would_be_hit_nothing_is_done(
    name: str, given: dict[str, Any], changed: dict[str, Any], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        kind_of(name).fault(a_field(**changed), {**NEEDED.get(name, {}), **given})


def test_proxies_that_are_not_there_are_refused() -> None:
    field = a_field()
    field._standing = {TOXIPROXY: lambda: ["other"], HTTP: lambda: ["other"]}
    for name in ("refused", "hanging"):
        with pytest.raises(Refused, match="nothing is hit: no proxy called"):
            kind_of(name).fault(field, {"link": "agents-model"})


def test_a_driver_that_cannot_says_so() -> None:
    for name in ("frozen", "starved", "squeezed", "descriptors_exhausted"):
        target = desk()
        target.lacks = "no right to do it"
        with pytest.raises(Missing, match="no right to do it"):
            made(name, target=target)


def test_all_of_a_part_is_one_service_whole() -> None:
    fault = made("all_killed", service="planner")
    assert fault.replicas == 2 and len(fault.do) == 2
    assert fault.undo == (Operation(PROCEDURE, "start", {"service": "planner"}),)
    assert fault.witness.name == "every" and len(json.loads(str(fault.witness.arguments["looks"]))) == 2


@given(st.integers(0, 2**32), st.sets(st.sampled_from(["planner-1", "planner-2", "writer-1"]), max_size=2))
@settings(max_examples=60, deadline=None)
def test_the_seed_chooses_among_ready_replicas_and_the_same_again(seed: int, unready: set[str]) -> None:
    def chosen() -> list[str]:
        target = desk()
        target.unready = unready
        field = a_field(target, seed)
        for _ in range(3):
            field.victims("agent")
        return field.chosen

    first = chosen()
    assert first == chosen() and not set(first) & unready


def test_different_seeds_choose_differently() -> None:
    assert len({a_field(seed=seed).victims("agent")[0].name for seed in range(40)}) == 3
