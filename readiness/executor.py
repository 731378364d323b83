"""The one executor of changes: the undo is on the disk first, and verified afterwards."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from readiness.doing import Doing
from readiness.errors import Undecidable
from readiness.history import History
from readiness.ledger import Ledger
from readiness.loading import DescriptorFile
from readiness.model import Breach
from readiness.operations import Change, Digest, Fault, Operation
from readiness.permission import Permission
from readiness.procedures import Procedures
from readiness.records import to_json
from readiness.signals import shielded
from readiness.state import OpenUndo, State
from readiness.target import Doer, Target
from readiness.undoing import Undoing
from readiness.waiting import Deadline, NotInTime, eventually

_WITNESS_S = 15.0
_FRESH_S = 1.0
"""So long a state that was just verified is the one before the next change, in seconds: reading it takes its time."""


@dataclass(frozen=True, slots=True)
class Healed:
    """What became of changes that were open."""

    closed: tuple[OpenUndo, ...]
    failures: tuple[Breach, ...]


class Executor:
    """Does and undoes what drills do to one deployment; one at a time, in the main thread.

    `digest` reads the state. Every change is in the state store (for healing) and in the run's ledger (for people)
    before it is made. `armed`: whether faults may be injected into production.
    """

    def __init__(
        self,
        file: DescriptorFile,
        target: Target,
        procedures: Procedures,
        digest: Callable[[Deadline], Digest],
        *,
        doers: Mapping[str, Doer] | None = None,
        armed: bool = False,
        state: State,
        history: History,
        ledger: Ledger,
        run_id: str,
    ) -> None:
        self._permission = Permission(file.descriptor, state, armed)
        self._doing = Doing(target, procedures, doers or {})
        self._undoing = Undoing(self.perform, self._doing.shown, digest, self._undone)
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
        self.heals_otherwise = "readiness heal"
        """What undoes a fault that does not end by itself, should this run die; `reaper` while one watches."""

    @property
    def open(self) -> tuple[Change, ...]:
        """The changes of this run that are in force, oldest first."""
        return tuple(self._open)

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
        fault: Fault | None = None,
    ) -> Change:
        """Write a change down before it is made; `end` must follow.

        `always`: the undo is to be done in any case, and its operations' own success is its verification (for what
        the digest does not see, such as a restored environment).
        """
        self._permission.hit(what, service, replicas, self._open)
        self._doing.refuse_unknown(undo)
        before: Digest = {} if always else self._state_before(deadline)
        base = self._base(before)
        change = Change(
            f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
            what,
            gate,
            service,
            tuple(undo),
            before,
            base=base,
            over=frozenset(other.id for other in self._open if other.before),
            replicas=replicas,
        )
        told: dict[str, Any] = {}
        if fault is not None:
            change.fault, change.lifted, change.healed = fault.name, fault.lifted, fault.healed
            heals = fault.heals_itself_s or self.heals_otherwise
            told = {"fault": fault.name, "replicas": replicas, "lifted": fault.lifted, "heals": heals}
        with shielded():  # a line that a signal cuts off would be no line
            self._open.append(change)
            self._ledger.write("opened", self._written(change, fault.heals_itself_s if fault else None))
            undo_told = [str(one) for one in undo]
            self._history.append(
                "change_opened", id=change.id, gate=gate, what=what, service=service, undo=undo_told, **told
            )
        return change

    def inject(self, fault: Fault, *, gate: str, deadline: Deadline) -> Change:
        """Break one thing and see that it is broken; raise Undecidable, with it undone, where nothing shows it.

        The change stays in force until `lift`; where this process dies, whoever finds it written down undoes it.
        """
        self._permission.inject(fault)
        asked = [fault.witness, *([fault.healed] if fault.healed else [])]
        self._doing.refuse_unknown([*fault.do, *fault.undo, *asked])
        change = self.begin(
            fault.what,
            gate=gate,
            undo=fault.undo,
            service=fault.service,
            replicas=fault.replicas,
            deadline=deadline,
            fault=fault,
        )
        try:
            for operation in fault.do:
                self.perform(operation, deadline)
            self._ledger.write("done", {"id": change.id})
            self._show(change, fault.witness, deadline)
        except BaseException:
            self.end(change)
            raise
        return change

    def lift(self, *changes: Change) -> None:
        """Undo faults, in this order, and verify it; those that are lifted at once come first.

        One that something else hides stays unverified (`waits`) until that is undone too.
        """
        self._end([change for change in changes if change.verified is None])

    def undo_by(self, change: Change, undo: Sequence[Operation]) -> None:
        """Write another undo down for a change in force: what came of it shows a better way back."""
        self._doing.refuse_unknown(undo)
        change.undo = tuple(undo)
        self._ledger.write("undo_changed", self._written(change))

    def _written(self, change: Change, heals_itself_s: float | None = None) -> dict[str, Any]:
        """Put the undo of a change on the disk, and give what was written."""
        undo = tuple(to_json(one) for one in change.undo)
        record = OpenUndo(
            change.id,
            self._run_id,
            change.gate,
            change.what,
            undo,
            change.base,
            change.opened_at,
            service=change.service,
            replicas=change.replicas,
            fault=change.fault,
            lifted=change.lifted,
            healed=to_json(change.healed) if change.healed else None,
            heals_itself_s=heals_itself_s,
        )
        self._state.open(record)
        return to_json(record)

    def end(self, change: Change) -> None:
        """Undo a change and verify it; signals wait meanwhile. A state that is whole again needs no undo."""
        if change.verified is None:
            self._end([change])

    def heal(self, tell: Callable[[str], None] = lambda _: None, *, only_faults: bool = False) -> Healed:
        """Undo what is open, of this run or of any earlier one; one that fails does not stop the others.

        What is only lifted is lifted first, all of it. What this run has failed to undo already is not tried again.
        `only_faults`: leave what else this run keeps open (a restored environment) as it is.
        """
        opened = [record for record in reversed(self._state.opened()) if record.id not in self._failed]
        records = [record for record in opened if record.fault or not only_faults]
        first_failure, mine = len(self.failures), {change.id: change for change in self._open}
        changes = [mine.get(record.id) or _change_of(record) for record in records]
        for record in records:
            tell(f"healing what run {record.run_id} left: {record.what}")
        self._end(changes)
        closed = [record for record, change in zip(records, changes, strict=True) if change.verified]
        return Healed(tuple(reversed(closed)), tuple(self.failures[first_failure:]))

    def perform(self, operation: Operation, deadline: Deadline) -> None:
        """Do one operation; raise where it cannot be done or fails."""
        self._seen = None
        self._doing.perform(operation, deadline)

    def ask(self, operation: Operation, deadline: Deadline) -> str:
        """Look once: a text that shows what was asked for, or no text; raise where it cannot be looked at."""
        return self._doing.ask(operation, deadline)

    def _witness(self, change: Change, witness: Callable[[], str] | None, deadline: Deadline) -> None:
        if witness is None:
            return
        try:
            self._witnessed(change, eventually(witness, within=deadline.within(_WITNESS_S)))
        except NotInTime:
            raise Undecidable(f"nothing shows that it took effect: {change.what}") from None

    def _show(self, change: Change, witness: Operation, deadline: Deadline) -> None:
        try:
            shown = self._doing.shown(witness, deadline.within(_WITNESS_S))
        except Undecidable as error:
            raise Undecidable(f"nothing shows that it took effect: {change.what}: {error}") from None
        self._witnessed(change, shown)

    def _witnessed(self, change: Change, shown: str) -> None:
        change.witnessed = shown
        self._ledger.write("witnessed", {"id": change.id, "detail": shown})
        self._history.append("change_witnessed", id=change.id, detail=shown)

    def _end(self, changes: Sequence[Change]) -> None:
        if not changes:
            return
        with shielded():
            others = [change for change in self._open if change not in changes]
            in_force = frozenset(other.id for other in others if other.before and not other.waits)
            if not in_force:
                changes = [*changes, *(other for other in others if other.waits)]
            state = self._undoing.undo(changes, in_force)
            if state is not None:
                self._seen = time.monotonic(), state
            self._open = [change for change in self._open if change not in changes or change.waits]
            for change in changes:
                if not change.waits:
                    self._closed(change)

    def _undone(self, change: Change) -> None:
        with contextlib.suppress(OSError):  # a full disk must not stop an undo
            seen = {"undone_at": change.undone_at, "undo_s": change.undo_s, "detail": change.shown}
            self._ledger.write("undone", {"id": change.id, **seen})

    def _closed(self, change: Change) -> None:
        change.verified = not change.problem
        facts: dict[str, Any] = {"id": change.id, "verified": change.verified, "healed_by": change.healed_by}
        if change.fault:
            facts |= {"undone_at": change.undone_at, "undo_s": change.undo_s, "shown": change.shown}
        if change.verified:
            self._state.close(change.id)
        else:
            self._failed.add(change.id)
            by_hand = "; ".join(str(one) for one in change.undo)
            self.failures.append(Breach(change.what, change.problem, datetime.now(UTC), by_hand))
        with contextlib.suppress(OSError):  # nor that of the next change
            if not change.verified:
                self._history.append("breach", self.failures[-1])
            told = {**facts, "reason": change.problem}
            self._ledger.write("closed" if change.verified else "undo_failed", told)
            self._history.append("change_closed", **(facts if change.verified else told))

    def _base(self, before: Digest) -> Digest:
        """The state before the first of all changes that are in force, of whichever run; `before` where none is."""
        if not before:
            return before
        mine = (other.base for other in self._open if other.base)
        theirs = (record.digest_before for record in self._state.opened() if record.digest_before)
        return next(mine, None) or next(theirs, None) or before

    def _state_before(self, deadline: Deadline) -> Digest:
        """The state before a change: the one that the undo of the last change has just found, or what is read now."""
        if self._seen is not None and time.monotonic() - self._seen[0] <= _FRESH_S and not self._open:
            return self._seen[1]
        return self._digest(deadline)


def _change_of(record: OpenUndo) -> Change:
    """Read a change back from what was written down before it was made."""
    undo = tuple(Operation.from_data(one) for one in record.undo)
    return Change(
        record.id,
        record.what,
        record.gate,
        record.service,
        undo,
        record.digest_before,
        opened_at=record.opened_at,
        base=record.digest_before,
        replicas=record.replicas,
        fault=record.fault,
        lifted=record.lifted,
        healed=Operation.from_data(record.healed) if record.healed else None,
    )
