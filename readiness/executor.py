"""The one executor of changes: the undo is on the disk first, and verified afterwards."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from readiness.descriptor import BlastRadius
from readiness.errors import Missing, ProcedureFailed, ReadinessError, TargetError, Undecidable
from readiness.history import History
from readiness.ledger import Ledger
from readiness.loading import DescriptorFile
from readiness.model import Breach
from readiness.operations import PROCEDURE, Change, Digest, Operation, differences
from readiness.procedures import Procedures
from readiness.records import to_json
from readiness.signals import shielded
from readiness.state import OpenUndo, State
from readiness.target import Target
from readiness.waiting import Deadline, NotInTime, eventually

VERIFY_S = 60.0
"""How long the state may take to be again what it was, after the undo was done, in seconds."""
_DIGEST_S = 60.0
_UNDO_S = 600.0
_WITNESS_S = 15.0
_ROUNDS = 2
_TRIES = 3
_FRESH_S = 1.0
"""So long a state that was just verified is the one before the next change, in seconds: reading it takes its time."""


@dataclass(frozen=True, slots=True)
class Healed:
    """What became of changes that earlier runs left open."""

    closed: tuple[OpenUndo, ...]
    failures: tuple[Breach, ...]


class Executor:
    """Does and undoes what drills do to one deployment; one at a time, in the main thread.

    `digest` reads the state. Every change is in the state store (for healing) and in the run's ledger (for people)
    before it is made.
    """

    def __init__(
        self,
        file: DescriptorFile,
        target: Target,
        procedures: Procedures,
        digest: Callable[[Deadline], Digest],
        *,
        state: State,
        history: History,
        ledger: Ledger,
        run_id: str,
    ) -> None:
        self._descriptor = file.descriptor
        self._target = target
        self._procedures = procedures
        self._digest = digest
        self._state = state
        self._history = history
        self._ledger = ledger
        self._run_id = run_id
        self._open: list[Change] = []
        self._failed: set[str] = set()
        self._seen: tuple[float, Digest] | None = None
        self.failures: list[Breach] = []
        """Every undo of this run that could not be verified."""

    @contextmanager
    def change(
        self,
        what: str,
        *,
        gate: str,
        undo: Sequence[Operation],
        do: Operation | None = None,
        service: str | None = None,
        witness: Callable[[], str] | None = None,
        replicas: int = 1,
        deadline: Deadline,
    ) -> Iterator[Change]:
        """Make a change for the block and leave the deployment as it was, whatever happens in the block."""
        change = self.begin(what, gate=gate, undo=undo, service=service, replicas=replicas, deadline=deadline)
        try:
            if do is not None:
                self.perform(do, deadline)
                self._witness(change, witness, deadline)
            yield change
            if do is None:
                self._witness(change, witness, deadline)
        finally:
            self.end(change)

    def begin(
        self,
        what: str,
        *,
        gate: str,
        undo: Sequence[Operation],
        service: str | None = None,
        replicas: int = 1,
        always: bool = False,
        deadline: Deadline,
    ) -> Change:
        """Write a change down before it is made; `end` must follow.

        `always`: the undo is to be done in any case, and its operations' own success is its verification (for what
        the digest does not see, such as a restored environment).
        """
        self._within_blast_radius(what, service, replicas)
        self._possible(undo)
        before: Digest = {} if always else self._state_before(deadline)
        change = Change(
            f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}", what, gate, service, tuple(undo), before
        )
        self._open.append(change)
        self._ledger.write("opened", self._written(change))
        self._history.append(
            "change_opened", id=change.id, gate=gate, what=what, service=service, undo=[str(one) for one in undo]
        )
        return change

    def undo_by(self, change: Change, undo: Sequence[Operation]) -> None:
        """Write another undo down for a change in force: what came of it shows a better way back."""
        self._possible(undo)
        change.undo = tuple(undo)
        self._ledger.write("undo_changed", self._written(change))

    def _written(self, change: Change) -> dict[str, Any]:
        """Put the undo of a change on the disk, and give what was written."""
        undo = tuple(to_json(one) for one in change.undo)
        record = OpenUndo(change.id, self._run_id, change.gate, change.what, undo, change.before, change.opened_at)
        self._state.open(record)
        return to_json(record)

    def end(self, change: Change) -> None:
        """Undo a change and verify it; signals wait meanwhile. A state that is whole again needs no undo."""
        if change.verified is not None:
            return
        with shielded():
            self._open = [other for other in self._open if other is not change]
            reason = self._undone(change)
            self._closed(change, reason)

    def heal(self, tell: Callable[[str], None] = lambda _: None) -> Healed:
        """Undo what is open, of this run or of any earlier one; one that fails does not stop the others.

        What this run has failed to undo already is not tried again.
        """
        closed, first_failure = [], len(self.failures)
        for record in self._state.opened():
            if record.id in self._failed:
                continue
            undo = tuple(Operation.from_data(one) for one in record.undo)
            change = Change(record.id, record.what, record.gate, None, undo, record.digest_before)
            tell(f"healing what run {record.run_id} left: {record.what}")
            self.end(change)
            if change.verified:
                closed.append(record)
        return Healed(tuple(closed), tuple(self.failures[first_failure:]))

    def perform(self, operation: Operation, deadline: Deadline) -> None:
        """Do one operation; raise where it cannot be done or fails."""
        self._seen = None
        if operation.by == PROCEDURE:
            arguments = {key: str(value) for key, value in operation.arguments.items()}
            ran = self._procedures.run(operation.name, deadline=deadline, **arguments)
            if not ran.ok:
                raise ProcedureFailed(ran.told(), f"procedures.{operation.name} must end with 0")
        elif operation.by == self._target.scheme:
            self._target.perform(operation.name, operation.arguments)
        else:
            raise TargetError(f"nothing here can do {operation}", f"driver: {operation.by}")

    def _witness(self, change: Change, witness: Callable[[], str] | None, deadline: Deadline) -> None:
        if witness is None:
            return
        try:
            change.witnessed = eventually(witness, within=deadline.within(_WITNESS_S))
        except NotInTime:
            raise Undecidable(f"nothing shows that it took effect: {change.what}") from None
        self._ledger.write("witnessed", {"id": change.id, "detail": change.witnessed})
        self._history.append("change_witnessed", id=change.id, detail=change.witnessed)

    def _undone(self, change: Change) -> str:
        """Give the reason why the undo could not be verified, or no text."""
        if change.before and self._state_now() == change.before:
            change.healed_by = "drill"
            self._seen = time.monotonic(), change.before
            return ""
        change.healed_by = "undo"
        problems: list[str] = []
        for _ in range(_ROUNDS):
            problems = [problem for operation in change.undo if (problem := self._tried(operation))]
            if not change.before:
                return "; ".join(problems)
            try:
                eventually(self._state_now, within=VERIFY_S, every_s=0.25, until=lambda now: now == change.before)
                return ""
            except NotInTime as late:
                seen = late.last
                difference = differences(change.before, seen) if isinstance(seen, Mapping) else "it cannot be read"
                problems.append(f"the state is not what it was: {difference}")
        return "; ".join(problems)

    def _tried(self, operation: Operation) -> str:
        """Try an operation of an undo a few times; the problem, or no text."""
        problem = ""

        def once() -> bool:
            nonlocal problem
            try:
                self.perform(operation, Deadline.after(_UNDO_S))
                problem = ""
            except ReadinessError as error:
                problem = f"{operation}: {error}"
            return not problem

        tries = iter(range(_TRIES))
        eventually(once, within=_UNDO_S, every_s=1.0, until=lambda done: done or next(tries, None) is None)
        return problem

    def _closed(self, change: Change, reason: str) -> None:
        change.verified = not reason
        if not reason:
            self._state.close(change.id)
        else:
            by_hand = "; ".join(str(one) for one in change.undo)
            failure = Breach(change.what, reason, datetime.now(UTC), by_hand)
            self.failures.append(failure)
            self._failed.add(change.id)
            self._history.append("breach", failure)
        facts = {"id": change.id, "verified": change.verified, "healed_by": change.healed_by}
        self._ledger.write("closed" if change.verified else "undo_failed", {**facts, "reason": reason})
        self._history.append("change_closed", **facts)

    def _state_before(self, deadline: Deadline) -> Digest:
        """The state before a change: the one that the undo of the last change has just found, or what is read now."""
        if self._seen is not None and time.monotonic() - self._seen[0] <= _FRESH_S and not self._open:
            return self._seen[1]
        return self._digest(deadline)

    def _state_now(self) -> Digest | None:
        """The state, or None while it cannot be read (a deployment that is just being restarted)."""
        try:
            return self._digest(Deadline.after(_DIGEST_S))
        except Undecidable:
            return None

    def _possible(self, undo: Sequence[Operation]) -> None:
        for operation in undo:
            if operation.by == PROCEDURE and not self._procedures.declared(operation.name):
                raise Missing(
                    f"the undo {operation} is not declared", f"procedures.{operation.name}: {{run: [<command>, …]}}"
                )

    def _within_blast_radius(self, what: str, service: str | None, replicas: int) -> None:
        if service is None:
            return
        radius: BlastRadius = self._descriptor.blast_radius
        services = {change.service for change in self._open if change.service is not None} | {service}
        if len(services) > radius.max_services:
            raise Undecidable(
                f"{what}: would hit {len(services)} services at a time", f"blast_radius.max_services: {len(services)}"
            )
        declared = self._descriptor.services[service].replicas
        allowed = max(1, int(declared * radius.max_replicas_share))
        hit = replicas + sum(1 for change in self._open if change.service == service)
        if hit > allowed:
            raise Undecidable(
                f"{what}: would hit {hit} of {declared} replicas of {service}; allowed: {allowed}",
                f"blast_radius.max_replicas_share: {hit / max(1, declared):.2f}",
            )
