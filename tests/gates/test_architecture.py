from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from readiness.gates.architecture import (
    bad_release_is_refused,
    killed_replicas_are_replaced,
    running_versions_fit_together,
)
from readiness.model import Outcome
from readiness.procedures import Ran
from readiness.target import Instance
from readiness.web import Answer
from readiness.workload import Transaction
from tests.gates.house import BAD, NOW, OLD, Clock, Faults, House, ended, failed, judge


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().rule(monkeypatch)


def not_of(name: str) -> Callable[[House, Instance], Instance | None]:
    return lambda house, victim: None if victim.name == name else house.fresh(victim)


def unready(one: Instance) -> bool | None:
    return one.started == 1.0


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        (Faults(), Outcome.PASS),
        (Faults(revive=not_of("worker-1")), Outcome.FAIL),
        (Faults(revive=not_of("worker-2")), Outcome.FAIL),
        (Faults(ready=unready), Outcome.FAIL),
        (Faults(ready=lambda one: one.name != "front-1"), Outcome.FAIL),
        (Faults(ready=lambda _one: None), Outcome.PASS),
        (Faults(ready=lambda _one: None, transaction=lambda _h, one: replace(one, outcome="failure")), Outcome.FAIL),
    ],
)
def test_every_killed_replica_is_replaced_by_a_ready_one(faults: Faults, outcome: Outcome, tmp_path: Path) -> None:
    found, why = judge(killed_replicas_are_replaced, tmp_path, faults)
    assert found is outcome, why


@pytest.mark.parametrize(("share", "outcome"), [(0.8, Outcome.PASS), (1.2, Outcome.FAIL)])
def test_a_replacement_is_held_to_its_time(share: float, outcome: Outcome, tmp_path: Path, clock: Clock) -> None:
    asked: dict[int | None, int] = {}

    def ready(one: Instance) -> bool | None:
        asked[one.pid] = asked.get(one.pid, 0) + 1
        if one.started == 2.0 and asked[one.pid] == 1:
            clock.now_s += 60 * share
        return True

    found, why = judge(killed_replicas_are_replaced, tmp_path, Faults(ready=ready))
    assert found is outcome, why


def test_a_replacement_that_dies_again_and_again_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = House.instances

    def loops(house: House, service: str | None = None) -> list[Instance]:
        return [house.fresh(one) if one.started == 2.0 else one for one in known(house, service)]

    monkeypatch.setattr(House, "instances", loops)
    assert judge(killed_replicas_are_replaced, tmp_path)[0] is Outcome.FAIL


def test_services_whose_processes_nobody_knows_are_named(tmp_path: Path) -> None:
    nowhere = {"address": "http://127.0.0.1:3", "released": False}
    outcome, why = judge(killed_replicas_are_replaced, tmp_path, services__vendor=nowhere)
    assert outcome is Outcome.UNKNOWN and "services.vendor.process" in why
    left_out = {**nowhere, "replicas": 0}
    assert judge(killed_replicas_are_replaced, tmp_path, services__vendor=left_out)[0] is Outcome.PASS


@pytest.mark.parametrize(
    ("said", "matrix", "outcome"),
    [
        ({}, {NOW: [OLD]}, Outcome.PASS),
        ({"worker-2": OLD}, {NOW: [OLD]}, Outcome.PASS),
        ({"worker-2": OLD}, {OLD: [NOW]}, Outcome.PASS),
        ({"worker-2": "0.9"}, {NOW: [OLD]}, Outcome.FAIL),
        ({"front-1": OLD, "worker-2": "0.9"}, {NOW: [OLD, "0.9"]}, Outcome.FAIL),
        ({"worker-2": OLD}, {}, Outcome.UNKNOWN),
        ({"worker-2": None}, {NOW: [OLD]}, Outcome.UNKNOWN),
        (dict.fromkeys(("front-1", "front-2", "worker-1", "worker-2"), OLD), {NOW: [OLD]}, Outcome.UNKNOWN),
    ],
)
def test_releases_that_run_side_by_side_must_fit(
    said: dict[str, str | None],
    matrix: dict[str, list[str]],
    outcome: Outcome,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = House.version
    monkeypatch.setattr(House, "version", lambda self, one: said[one.name] if one.name in said else known(self, one))
    monkeypatch.setattr(House, "http", lambda *_given, **_more: Answer(200, {"x-release": said.get("front-1") or NOW}))
    found, why = judge(running_versions_fit_together, tmp_path, compatibility=matrix)
    assert found is outcome, why


@pytest.mark.parametrize(
    ("ran", "outcome"),
    [(failed("contract", "no field plan"), Outcome.FAIL), (failed("contract", code=2), Outcome.UNKNOWN)],
)
def test_the_contract_with_the_previous_release_is_probed_both_ways(ran: Ran, outcome: Outcome, tmp_path: Path) -> None:
    def contract(_house: House, given: dict[str, str]) -> Ran | None:
        return ran if given["release"] == OLD else None

    assert judge(running_versions_fit_together, tmp_path, Faults(procedure={"contract": contract}))[0] is outcome


def test_a_replica_that_was_not_found_may_be_of_any_release(tmp_path: Path) -> None:
    found, why = judge(running_versions_fit_together, tmp_path, services__worker__replicas=3)
    assert found is Outcome.UNKNOWN and "worker" in why


def promotes(house: House, given: dict[str, str]) -> Ran:
    house.put(given["release"])
    return ended("deploy")


def refuses_all(_house: House, _given: dict[str, str]) -> Ran:
    return failed("deploy", "registry does not answer")


def refuses_and(leave: Callable[[House], None]) -> Callable[[House, dict[str, str]], Ran | None]:
    def deploy(house: House, given: dict[str, str]) -> Ran | None:
        if given["release"] != BAD:
            return None
        leave(house)
        return failed("deploy", "validation failed")

    return deploy


def leaves_instance(house: House) -> None:
    house.versions["worker-1"] = BAD


def leaves_too_few(house: House) -> None:
    house.fleet.pop()


def leaves_all(house: House) -> None:
    house.put(BAD)


def by_bad(outcome: str) -> Callable[[House, Transaction], Transaction]:
    return lambda house, one: replace(one, outcome=outcome) if house.release == BAD else one  # type: ignore[arg-type]


def vanishing(_house: House, one: Transaction) -> Transaction:
    return replace(one, outcome="pending")


@pytest.mark.parametrize(
    ("faults", "outcome"),
    [
        (Faults(), Outcome.PASS),
        (Faults(transaction=lambda _h, one: replace(one, outcome="failure")), Outcome.PASS),
        (Faults(procedure={"deploy": promotes}, transaction=by_bad("failure")), Outcome.FAIL),
        (Faults(procedure={"deploy": promotes}), Outcome.UNKNOWN),
        (Faults(procedure={"deploy": lambda *_: ended("deploy")}), Outcome.UNKNOWN),
        (Faults(procedure={"deploy": refuses_all}), Outcome.UNKNOWN),
        (Faults(procedure={"artifact": lambda *_: failed("artifact", "not built")}), Outcome.UNKNOWN),
        (Faults(procedure={"deploy": refuses_and(leaves_instance)}), Outcome.FAIL),
        (Faults(procedure={"deploy": refuses_and(leaves_too_few)}), Outcome.FAIL),
        (Faults(procedure={"deploy": refuses_and(leaves_all)}), Outcome.FAIL),
        (Faults(routed=lambda house, n: BAD if house.sent and n % 10 == 0 else NOW), Outcome.PASS),
        (Faults(transaction=vanishing, reread=vanishing), Outcome.FAIL),
    ],
)
def test_a_release_that_only_says_it_is_ready_is_refused(faults: Faults, outcome: Outcome, tmp_path: Path) -> None:
    found, why = judge(bad_release_is_refused, tmp_path, faults)
    assert found is outcome, why


def test_a_refusal_that_does_not_come_in_its_window_is_none(tmp_path: Path) -> None:
    late = replace(failed("deploy"), exit_code=None, timed_out=True, within_s=300.0)

    def deploy(_house: House, given: dict[str, str]) -> Ran | None:
        return late if given["release"] == BAD else None

    assert judge(bad_release_is_refused, tmp_path, Faults(procedure={"deploy": deploy}))[0] is Outcome.FAIL


@pytest.mark.parametrize("hidden", ["releases__known_bad", "procedures__deploy", "workload__version_at"])
def test_what_is_missing_for_the_drill_is_named(hidden: str, tmp_path: Path) -> None:
    outcome, why = judge(bad_release_is_refused, tmp_path, **{hidden: None})
    assert outcome is Outcome.UNKNOWN and hidden.replace("__", ".") in why
