# ruff: noqa: ARG002 - the methods have the signatures of the deployment that they stand for
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from readiness.deployment import Deployment
from readiness.findings import verdict
from readiness.gate import gate_of
from readiness.gates.continuity import no_request_fails_while_releases_roll, state_outlives_its_instances
from readiness.inventory import ComponentCount
from readiness.model import Outcome
from readiness.operations import Change, Operation
from readiness.probe_traffic import ProbeOutcome
from readiness.procedures import Ran
from readiness.workload import Transaction
from tests.gates.house import Clock, Faults, House, described, ended, failed

KEPT_UP = "services__worker__stateful"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock().rule(monkeypatch)


@dataclass
class Rolling:
    """How the house behaves while it rolls, and while it is recreated."""

    per_update: int = 300
    update_s: float = 5.0
    probe: Callable[[int], str] = lambda _n: ""
    """The error of the n-th request of all; no text where it is answered."""
    early: str = ""
    """The error of a request that ended before the first update."""
    recreate: Callable[[Operated], Ran | None] = lambda _house: None
    """Acts after the instances were replaced; a result of its own replaces all of it."""
    held: Callable[[Operated, dict[str, ComponentCount]], dict[str, ComponentCount]] = lambda _house, there: there
    back: bool = True


class Operated(House):
    """The house with probes, and with instances that can be recreated."""

    rolling: Rolling
    clock: Clock

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.outcomes: list[ProbeOutcome] = []
        self.recreated: list[str] = []
        self.changes: list[dict[str, Any]] = []

    @contextmanager
    def probes(self, rate_per_s: float) -> Iterator[Operated]:
        if self.rolling.early:
            before = datetime.now(UTC) - timedelta(seconds=60)
            self.outcomes.append(ProbeOutcome(before, True, 0.01, None, self.rolling.early))
        yield self

    def run(self, procedure: str, **arguments: str) -> Ran:
        if procedure in ("deploy", "rollback"):
            self.clock.now_s += self.rolling.update_s
            first = len(self.outcomes)
            for number in range(first, first + self.rolling.per_update):
                error = self.rolling.probe(number)
                self.outcomes.append(ProbeOutcome(datetime.now(UTC), number % 2 == 0, 0.01, self.release, error))
            if procedure == "rollback":
                arguments = {}
        return super().run(procedure, **arguments)

    def _recreate(self, service: str, instance: str) -> Ran:
        self.recreated.append(instance)
        takes_one = any("{instance}" in part for part in self.descriptor.procedures["recreate"].run)
        hit = [one for one in self.fleet if one.service == service and (not takes_one or one.name == instance)]
        said = self.rolling.recreate(self)
        if said is None or said.ok:
            self.fleet = [self.fresh(one) if one in hit and said is None else one for one in self.fleet]
        return said or ended("recreate")

    def all_ready(self, service: str | None = None) -> bool:
        return self.rolling.back or not self.recreated

    def inventory(self, environment: str | None = None) -> dict[str, ComponentCount]:
        return self.rolling.held(self, super().inventory(environment))

    @contextmanager
    def change(
        self, what: str, *, undo: Sequence[Operation], do: Operation | None = None, witness: Any = None, **more: Any
    ) -> Iterator[Change]:
        self.changes.append(more)
        with super().change(what, undo=undo, do=do, **more) as made:
            yield made
            if witness is not None and not witness():
                self.undecidable(f"nothing shows that it took effect: {what}")


class Probes:
    """What the gate gets of the probes."""

    def __init__(self, house: Operated) -> None:
        self._house = house

    @property
    def outcomes(self) -> list[ProbeOutcome]:
        return list(self._house.outcomes)

    def finish(self) -> list[ProbeOutcome]:
        return self.outcomes


def judge(
    gate: Callable[[Deployment], None],
    folder: Path,
    clock: Clock,
    rolling: Rolling | None = None,
    faults: Faults | None = None,
    **changes: Any,
) -> tuple[Outcome, str, Operated]:
    marked = gate_of(gate)
    assert marked is not None
    own = {"procedures__recreate": {"run": ["recreate", "{service}"]}, KEPT_UP: True, "workload__max_rate_per_s": 60.0}
    house = Operated(marked.info, folder, described(**{**own, **changes}), faults or Faults())
    house.rolling, house.clock = rolling or Rolling(), clock

    @contextmanager
    def probes(rate_per_s: float) -> Iterator[Probes]:
        with Operated.probes(house, rate_per_s):
            yield Probes(house)

    house.probes = probes  # type: ignore[assignment, method-assign]
    if missing := marked.missing(house.descriptor, cast("Any", house)):
        return Outcome.UNKNOWN, "; ".join(missing), house
    error: BaseException | None = None
    try:
        gate(cast("Deployment", house))
    except Exception as raised:
        error = raised
    found = verdict(marked, error, house.verdict_data().broken)
    return found.outcome, f"{found.reason} | {found.remedy}", house


def at(*numbers: int) -> Callable[[int], str]:
    return lambda n: "connection refused" if n in numbers else ""


def pending(_house: House, one: Transaction) -> Transaction:
    return replace(one, outcome="pending", error="not ended")


def refused(_house: House, one: Transaction) -> Transaction:
    return replace(one, accepted=False, outcome="error", error="connection refused")


def unanswered(house: House, one: Transaction) -> Transaction:
    return replace(refused(house, one), latency_s=15.0) if house.sent % 4 == 0 else one


@pytest.mark.parametrize(
    ("rolling", "faults", "outcome"),
    [
        (Rolling(), Faults(), Outcome.PASS),
        (Rolling(early="refused"), Faults(), Outcome.PASS),
        (Rolling(probe=at(7)), Faults(), Outcome.FAIL),
        (Rolling(probe=at(640)), Faults(), Outcome.FAIL),
        (Rolling(), Faults(transaction=pending, reread=pending), Outcome.FAIL),
        (Rolling(), Faults(transaction=refused), Outcome.FAIL),
        # whom we did not give the time to answer
        (Rolling(), Faults(transaction=unanswered), Outcome.UNKNOWN),
        (Rolling(), Faults(procedure={"deploy": lambda *_: failed("deploy")}), Outcome.UNKNOWN),
        (Rolling(probe=at(7)), Faults(procedure={"deploy": lambda *_: failed("deploy")}), Outcome.FAIL),
        (Rolling(), Faults(procedure={"deploy": lambda *_: ended("deploy")}), Outcome.UNKNOWN),
    ],
)
def test_no_request_and_no_work_may_be_lost_while_releases_roll(
    rolling: Rolling, faults: Faults, outcome: Outcome, tmp_path: Path, clock: Clock
) -> None:
    found, why, _ = judge(no_request_fails_while_releases_roll, tmp_path, clock, rolling, faults)
    assert found is outcome, why


def test_the_sample_is_filled_by_rolling_again_and_what_it_proves_is_told(tmp_path: Path, clock: Clock) -> None:
    found, why, house = judge(no_request_fails_while_releases_roll, tmp_path, clock, Rolling(per_update=100))
    assert found is Outcome.PASS, why
    measured = {one.name: one.value for one in house.verdict_data().measurements}
    assert measured["probes"] == 1000
    assert measured["proved_share"] == pytest.approx(99.7, abs=0.01)  # 0.05^(1/1000): the rule of three
    assert measured["failed_on_kept_connections"] == measured["failed_on_fresh_connections"] == 0
    assert [operation.name for operation in house.undone] == ["deploy"]


@pytest.mark.parametrize(("per_update", "outcome"), [(400, Outcome.UNKNOWN), (600, Outcome.PASS)])
def test_a_sample_that_the_time_does_not_fill_proves_too_little(
    per_update: int, outcome: Outcome, tmp_path: Path, clock: Clock
) -> None:
    rolling = Rolling(per_update=per_update, update_s=600.0)
    found, why, _ = judge(no_request_fails_while_releases_roll, tmp_path, clock, rolling)
    assert found is outcome, why
    assert outcome is Outcome.PASS or "workload.max_rate_per_s" in why


def test_a_rate_that_can_never_fill_the_sample_is_told_before_anything_is_changed(tmp_path: Path, clock: Clock) -> None:
    slow: dict[str, Any] = {"workload__max_rate_per_s": 0.2}
    found, why, house = judge(no_request_fails_while_releases_roll, tmp_path, clock, **slow)
    assert found is Outcome.UNKNOWN and "workload.max_rate_per_s" in why
    assert house.changes == []


@pytest.mark.parametrize("hidden", ["procedures__rollback", "releases__candidate", "workload__version_at"])
def test_what_is_needed_for_rolling_is_named(hidden: str, tmp_path: Path, clock: Clock) -> None:
    found, why, _ = judge(no_request_fails_while_releases_roll, tmp_path, clock, **{hidden: None})
    assert found is Outcome.UNKNOWN and hidden.replace("__", ".") in why


def loses_canary(house: Operated) -> None:
    house.saved.clear()


def after(change: Callable[[dict[str, ComponentCount]], dict[str, ComponentCount]]) -> Rolling:
    return Rolling(held=lambda house, there: change(there) if house.recreated else there)


def altered(house: House, one: Transaction) -> Transaction:
    return replace(one, result={"answer": "another", "effects": 1}) if cast("Operated", house).recreated else one


def forgets_answers(house: House, one: Transaction) -> Transaction:
    lost = one.variant == "ask" and cast("Operated", house).recreated
    return replace(one, result={"answer": "no document found"}) if lost else one


@pytest.mark.parametrize(
    ("rolling", "faults", "outcome"),
    [
        (Rolling(), Faults(), Outcome.PASS),
        (Rolling(recreate=loses_canary), Faults(), Outcome.FAIL),
        (Rolling(), Faults(reread=altered), Outcome.FAIL),
        (Rolling(), Faults(transaction=forgets_answers), Outcome.FAIL),
        (after(lambda there: {**there, "knowledge": ComponentCount(9, "less")}), Faults(), Outcome.FAIL),
        (after(lambda there: {**there, "knowledge": ComponentCount(11, "more")}), Faults(), Outcome.PASS),
        (after(lambda there: {k: v for k, v in there.items() if k != "user_data"}), Faults(), Outcome.FAIL),
        (Rolling(back=False), Faults(), Outcome.FAIL),
        (Rolling(recreate=lambda _house: failed("recreate", "no such service")), Faults(), Outcome.UNKNOWN),
        (Rolling(recreate=lambda _house: ended("recreate")), Faults(), Outcome.UNKNOWN),
        (Rolling(), Faults(procedure={"backup": lambda *_: failed("backup")}), Outcome.UNKNOWN),
        (Rolling(), Faults(transaction=pending), Outcome.UNKNOWN),
    ],
)
def test_what_was_written_outlives_the_instance(
    rolling: Rolling, faults: Faults, outcome: Outcome, tmp_path: Path, clock: Clock
) -> None:
    found, why, house = judge(state_outlives_its_instances, tmp_path, clock, rolling, faults)
    assert found is outcome, why
    assert len(house.undone) == len(house.recreated)


def test_the_smallest_loss_is_red_and_the_backup_that_holds_it_is_named(tmp_path: Path, clock: Clock) -> None:
    def loses_one(house: Operated) -> None:
        house.saved.discard(sorted(house.saved)[-1])

    found, why, _ = judge(state_outlives_its_instances, tmp_path, clock, Rolling(recreate=loses_one))
    assert found is Outcome.FAIL and "markers lost with worker was 1" in why and "backup fresh" in why


def test_where_the_command_takes_an_instance_each_is_recreated_by_itself(tmp_path: Path, clock: Clock) -> None:
    by_one: dict[str, Any] = {"procedures__recreate": {"run": ["recreate", "{service}", "{instance}"]}}
    found, why, house = judge(state_outlives_its_instances, tmp_path, clock, **by_one)
    assert found is Outcome.PASS, why
    assert house.recreated == ["worker-1", "worker-2"]
    assert [change["replicas"] for change in house.changes] == [1, 1]


def test_the_whole_service_counts_against_the_blast_radius_where_it_goes_at_once(tmp_path: Path, clock: Clock) -> None:
    _, _, house = judge(state_outlives_its_instances, tmp_path, clock)
    assert [(change["service"], change["replicas"]) for change in house.changes] == [("worker", 2)]


def test_processes_that_nobody_sees_show_nothing(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Operated, "instances", lambda self, _service=None: [replace(self.fleet[-1], pid=None)])
    found, why, house = judge(state_outlives_its_instances, tmp_path, clock)
    assert found is Outcome.UNKNOWN and "services.worker.process" in why
    assert house.recreated == []


@pytest.mark.parametrize("hidden", ["procedures__recreate", KEPT_UP, "workload__remember"])
def test_what_is_needed_for_recreating_is_named(hidden: str, tmp_path: Path, clock: Clock) -> None:
    found, why, _ = judge(state_outlives_its_instances, tmp_path, clock, **{hidden: None})
    named = hidden.replace("__", ".").replace("worker", "<service>")
    assert found is Outcome.UNKNOWN and named in why
