"""The laws of the ledger, whatever sequence of faults, crashes, failing undos and healings comes."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from readiness import undoing
from readiness.errors import Undecidable
from readiness.operations import Change, Fault
from tests.chaos_safety.model import (
    NAMES,
    REPLICAS,
    Crash,
    Harness,
    Steps,
    World,
    frozen,
    killed,
    skewed,
    slow,
    squeezed,
)

MAX_SERVICES = 3
ALLOWED = {"planner": 2, "writer": 1, "provider": 1, "store": 1}
"""Two thirds of the declared replicas, and never less than one."""
UNDOS = ("resume", "start", "remove", "relieve", "deploy")

replicas = st.sampled_from(NAMES)
faults = st.one_of(
    st.builds(frozen, replicas),
    st.builds(killed, replicas, shown=st.booleans()),
    st.builds(squeezed, replicas),
    st.builds(slow, st.sampled_from("abc"), service=st.sampled_from(["provider", "store", "planner"])),
    st.just(skewed()),
)


class Laws(RuleBasedStateMachine):
    """Drives the real executor on the model; after every step, what the disk says covers what is broken."""

    changes = Bundle("changes")

    def __init__(self) -> None:
        super().__init__()
        self.patched = pytest.MonkeyPatch()
        for name, value in {"VERIFY_S": 0.0, "LIFTED_S": 0.0, "_TRIES": 1}.items():
            self.patched.setattr(undoing, name, value)
        self.home = Path(tempfile.mkdtemp())
        self.world = World()
        self.first = self.world.data()
        self.harness = Harness(self.home, self.world)

    def next_run(self, steps: Steps | None = None) -> None:
        self.harness.history.close()
        unwilling = self.harness.doer.unwilling
        self.harness = Harness(self.home, self.world, steps)
        self.harness.doer.unwilling = unwilling

    @rule(target=changes, fault=faults)
    def inject(self, fault: Fault) -> object:
        if any(one.what == fault.what for one in self.harness.state.opened()):
            return multiple()  # the same fault twice would be undone by the first of both undos
        try:
            return self.harness.inject(fault)
        except Undecidable:
            return multiple()

    @rule(change=consumes(changes))
    def lift(self, change: Change) -> None:
        if change in self.harness.executor.open:
            self.harness.executor.lift(change)
            failed = [failure.what for failure in self.harness.executor.failures]
            assert change.verified or change.waits or change.what in failed

    @rule(fault=faults, at=st.integers(1, 30))
    def die_while_breaking(self, fault: Fault, at: int) -> None:
        self.harness.steps.count, self.harness.steps.dies_at = 0, at
        with suppress(Crash, Undecidable):
            self.harness.executor.lift(self.harness.inject(fault))
        self.next_run()

    @rule(at=st.integers(1, 40))
    def die_while_healing(self, at: int) -> None:
        self.next_run(Steps(dies_at=at))
        with suppress(Crash):
            self.harness.executor.heal()
        self.next_run()

    @rule()
    def die(self) -> None:
        self.next_run()

    @rule(operation=st.sampled_from(UNDOS))
    def fail_an_undo(self, operation: str) -> None:
        self.harness.doer.unwilling.add(operation)

    @rule()
    def mend(self) -> None:
        self.harness.doer.unwilling.clear()

    @rule()
    def heal(self) -> None:
        self.next_run()
        left = {record.id: record.what for record in self.harness.state.opened()}
        outcome = self.harness.executor.heal()
        named = {failure.what for failure in outcome.failures}
        for record in self.harness.state.opened():
            assert record.what in named, "what stays open is named"
        assert len(outcome.closed) + len(outcome.failures) == len(left)
        if not self.harness.doer.unwilling:
            assert outcome.failures == ()
            assert self.world.data() == self.first

    @precondition(lambda self: not self.harness.state.opened())
    @invariant()
    def nothing_is_broken_without_a_record(self) -> None:
        assert self.world.data() == self.first

    @invariant()
    def what_is_broken_is_written_down(self) -> None:
        told = " ".join(f"{record.what} {record.undo}" for record in self.harness.state.opened())
        broken = [name for name, state in self.world.processes.items() if state != "running"]
        for name in (*broken, *self.world.squeezed, *(f"'{toxic}'" for toxic in self.world.toxics)):
            assert name in told

    @invariant()
    def no_more_is_broken_than_is_allowed(self) -> None:
        records = self.harness.state.opened()
        assert len({record.service for record in records if record.service}) <= MAX_SERVICES
        for service, allowed in ALLOWED.items():
            names = [f"{service}-{n}" for n in range(1, REPLICAS[service] + 1)]
            assert sum(self.world.processes[name] != "running" for name in names) <= allowed

    @invariant()
    def what_is_closed_was_verified(self) -> None:
        lines = self.harness.ledger()
        opened = [line["id"] for line in lines if line["event"] == "opened"]
        for line in lines:
            if line["event"] == "closed":
                assert line["verified"] and not line["reason"]
            if line["event"] in ("done", "witnessed"):
                assert line["id"] in opened, "written down before it was done"
        still = {record.id for record in self.harness.state.opened()}
        assert not still & {line["id"] for line in lines if line["event"] == "closed"}

    def teardown(self) -> None:
        self.harness.doer.unwilling.clear()
        self.next_run()
        assert self.harness.executor.heal().failures == ()
        assert self.world.data() == self.first and self.harness.state.opened() == []
        self.harness.history.close()
        shutil.rmtree(self.home)
        self.patched.undo()


TestLaws = Laws.TestCase
TestLaws.settings = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
