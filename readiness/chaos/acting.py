"""What the activities of this process act through: one hold on one deployment, under a run's orders or alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from readiness.chaos.faults import kind_of
from readiness.chaos.field import TOXIPROXY, Field
from readiness.chaos.looking import BY as LOOKS
from readiness.chaos.looking import Looks
from readiness.chaos.orders import Orders
from readiness.chaos.servers import servers_of
from readiness.chaos.stirring import stirred
from readiness.chaos.twin import ClosedPort, twin_that_is_down
from readiness.credentials import Credentials
from readiness.digest import take_digest
from readiness.errors import Undecidable, UsageError
from readiness.executor import Executor
from readiness.heartbeat import Heartbeat
from readiness.history import History
from readiness.ledger import Ledger
from readiness.loading import DescriptorFile, load_descriptor
from readiness.operations import Change, Fault, Operation
from readiness.reach import Reach
from readiness.redaction import Redactor
from readiness.state import State
from readiness.target import attach
from readiness.toxiproxy.toxics import prefix_of
from readiness.waiting import Deadline, let_pass

INJECT_S = 60.0
"""How long one injection may take: to choose, to do, and to be shown."""
FLAPPING = "flapping"
_LOG = logging.getLogger("chaostoolkit")


class Acting:
    """Injects and lifts faults on one deployment, and gives probes their reach."""

    def __init__(
        self, file: DescriptorFile, orders: Orders, history: History, redactor: Redactor, credentials: Credentials
    ) -> None:
        self.file = file
        self.orders = orders
        self.redactor = redactor
        self.state = State(file.resolve(file.descriptor.state), file.descriptor.name)
        target = attach(file)
        self.reach = Reach.of(file, target, credentials, redactor, orders.run_id)
        doers, standing = servers_of(file.descriptor)
        self.executor = Executor(
            file,
            target,
            self.reach.procedures,
            lambda deadline: take_digest(self.reach, deadline),
            doers={**doers, LOOKS: Looks(self.reach, self._ask)},
            armed=orders.armed,
            state=self.state,
            history=history,
            ledger=Ledger(Path(orders.folder), redactor),
            run_id=orders.run_id,
        )
        self.field = Field(self.reach, standing, run_tag=prefix_of(orders.run_id).rstrip("-"), seed=orders.seed)
        self.holding = ExitStack()
        """What is to be given back at the end, last first: lease, heartbeat, reaper."""
        self.beat: Heartbeat | None = None
        """What keeps the lease, where it is ours."""
        self.ended = False

    def inject(self, name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Break one thing and give what showed it; raise where nothing was hit or nothing showed it."""
        self._may_inject()
        kind = kind_of(name)
        fault = kind.fault(self.field, parameters)
        if self.orders.rehearse:
            return {"fault": name, "what": fault.what, "rehearsed": True}
        if self.orders.hollow:
            fault = replace(fault, do=())
        if name == FLAPPING:
            rhythm = kind.parameters.model_validate(dict(parameters)).model_dump()
            return self._flap(fault, rhythm["down_s"], rhythm["up_s"], rhythm["times"])
        return self._told(self._injected(fault))

    def lift(self, name: str = "") -> dict[str, Any]:
        """Undo what is in force (of that name, or all), newest first; raise where nothing shows that a fault is over.

        A fault that is over while the deployment stays other than it was is no failure of this action: it is told.
        """
        if name:
            kind_of(name)
        wanted = [change for change in reversed(self.executor.open) if not name or change.fault == name]
        self.executor.lift(*wanted)
        for change in wanted:
            _LOG.info("lifted: %s (%s)", change.what, change.shown or change.healed_by)
        failed = [f"{change.what}: {change.problem}" for change in wanted if _in_doubt(change)]
        if failed:
            raise Undecidable(f"not undone: {'; '.join(failed)}", "run `readiness heal`")
        told = [
            {"what": one.what, "undo_s": one.undo_s, "shown": one.shown, "not_as_before": one.problem} for one in wanted
        ]
        return {"lifted": told}

    def may_probe(self) -> None:
        """Raise where this deployment is not to be sent any work."""
        descriptor = self.file.descriptor
        if descriptor.environment == "production" and not (descriptor.allow_probes or self.orders.armed):
            raise Undecidable(
                f"{descriptor.name} is in production: no work is sent to it unasked", f"READINESS_ARM={descriptor.name}"
            )

    def end(self) -> None:
        """Lift all that is in force and let the deployment go; doing it again does nothing."""
        if self.ended:
            return
        self.ended = True
        try:
            in_force = self.executor.open[::-1]
            self.executor.lift(*in_force)
            for change in in_force:
                _LOG.info("lifted at the end: %s", change.what)
        finally:
            self.holding.close()
            self.reach.web.close()

    def _may_inject(self) -> None:
        if self.ended:
            raise Undecidable("this run has ended: nothing is injected any more", "run again")
        if self.beat is not None and self.beat.failure is not None:
            raise Undecidable(f"the deployment is not ours any more: {self.beat.failure}", "run again")
        if self.orders.down:
            raise Undecidable("only the hypothesis is tried here: nothing is injected", "")

    def _ask(self, look: Operation, deadline: Deadline) -> str:
        return self.executor.ask(look, deadline)

    def _injected(self, fault: Fault) -> Change:
        by_itself = self.orders.traffic or not fault.lifted or fault.witness.by == TOXIPROXY
        deadline = Deadline.after(INJECT_S)
        if by_itself:
            return self.executor.inject(fault, gate=self.orders.gate, deadline=deadline)
        with stirred(self.reach.workload, deadline):
            return self.executor.inject(fault, gate=self.orders.gate, deadline=deadline)

    def _flap(self, fault: Fault, down_s: float, up_s: float, times: int) -> dict[str, Any]:
        told: list[dict[str, Any]] = []
        for _ in range(times):
            change = self._injected(fault)
            told.append(self._told(change))
            let_pass(Deadline.after(down_s))
            self.executor.lift(change)
            if _in_doubt(change):
                raise Undecidable(f"not undone: {change.what}: {change.problem}", "run `readiness heal`")
            if change.problem:  # it is up again, and the deployment is not: there is nothing more to see
                break
            let_pass(Deadline.after(up_s))
        return {**told[0], "times": len(told), "witnessed": [one["witnessed"] for one in told]}

    def _told(self, change: Change) -> dict[str, Any]:
        _LOG.info("witnessed: %s: %s", change.what, change.witnessed)
        facts = {"fault": change.fault, "what": change.what, "witnessed": change.witnessed, "change": change.id}
        return {**facts, "opened_at": change.opened_at.isoformat()}


def under(orders: Orders, history: History | None = None, redactor: Redactor | None = None) -> Acting:
    """Act under a run's orders: its lease must be the one in force, and its ledger is the one that is written."""
    file = load_descriptor(Path(orders.descriptor))
    holder = State(file.resolve(file.descriptor.state), file.descriptor.name).holder()
    if not orders.down and (holder is None or holder.token != orders.token):
        raise UsageError(f"{file.descriptor.name}: the run that ordered this does not hold the deployment any more")
    redactor = redactor or Redactor()
    credentials = Credentials.load(file, redactor)
    history = history or History.create(Path(orders.folder) / "acting" / f"{orders.run_id}-{orders.gate}", redactor)
    closed = ClosedPort() if orders.down else None
    acting = Acting(twin_that_is_down(file, closed.number) if closed else file, orders, history, redactor, credentials)
    acting.holding.callback(history.close)
    if closed is not None:
        acting.holding.callback(closed.close)
    acting.executor.heals_otherwise = "reaper"
    return acting


def _in_doubt(change: Change) -> bool:
    """Whether nothing shows that a fault is over."""
    return change.verified is False and not change.shown
