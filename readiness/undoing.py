"""How changes are undone and how that is shown: first, at once, what is only lifted, then what has to start again."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from readiness.errors import ReadinessError, Undecidable
from readiness.operations import Change, Digest, Operation, differences
from readiness.waiting import Deadline, NotInTime, eventually

VERIFY_S = 60.0
"""How long the state may take to be again what it was, after the undo was done, in seconds."""
LIFTED_S = 5.0
"""How long the effect of a fault may outlast its lifting, in seconds."""
_DIGEST_S = 60.0
_UNDO_S = 600.0
_ROUNDS = 2
_TRIES = 3


class Undoing:
    """Undoes changes and verifies it; what came of each stands in the change (`problem`, `shown`, `undo_s`).

    `perform` does an operation, `shown` asks one until it gives a text, `digest` reads the state.
    """

    def __init__(
        self,
        perform: Callable[[Operation, Deadline], None],
        shown: Callable[[Operation, Deadline], str],
        digest: Callable[[Deadline], Digest],
        undone: Callable[[Change], None],
    ) -> None:
        self._perform = perform
        self._shown = shown
        self._digest = digest
        self._undone = undone

    def undo(self, changes: Sequence[Change], in_force: frozenset[str]) -> Digest | None:
        """Undo changes, newest first; one that fails does not stop the others. Gives the state that was verified.

        `in_force`: what else is. Then the state cannot be the one before all changes: it is compared where it was
        the same that was in force when the change began, else later (`waits`).
        """
        alone = not in_force
        for change in changes:
            change.waits = not alone and change.over != in_force and change.healed is None and bool(change.before)
        lifted = [change for change in changes if change.lifted]
        for change in lifted:
            self._operate(change, tries=1)
        for change in lifted:
            self._see(change, LIFTED_S)
        for change in lifted:
            self._tell(change)
        for change in lifted:  # only now, since trying again takes seconds that the others would have to wait
            if change.problem:
                self._operate(change, tries=_TRIES)
                self._see(change, LIFTED_S)
                self._tell(change)
        rest = [change for change in changes if not change.lifted]
        now = self._state_now() if any(change.before for change in rest) else None
        for change in rest:
            if self._over(change, changes, now, alone):
                change.healed_by = "drill"
            else:
                self._operate(change, tries=_TRIES)
                self._see(change, VERIFY_S)
                self._tell(change)
        return self._compare(changes, now, alone)

    def _over(self, change: Change, changes: Sequence[Change], now: Digest | None, alone: bool) -> bool:
        """Whether what has to start again has done so by itself."""
        if not change.before or not _back(change, changes, now, alone):
            return False
        if change.healed is None:
            return True
        try:
            change.shown = self._shown(change.healed, Deadline.after(0))
        except Undecidable:
            return False
        return True

    def _operate(self, change: Change, tries: int) -> None:
        """Do the operations of an undo, each of them whatever became of the others."""
        change.healed_by = "undo"
        if change.undo_began_s is None:
            change.undo_began_s = time.monotonic()
        problems = [self._tried(operation, tries) for operation in change.undo]
        change.problem = "; ".join(filter(None, problems))

    def _tried(self, operation: Operation, tries: int) -> str:
        """Try an operation of an undo a few times; the problem, or no text."""
        problem = ""

        def once() -> bool:
            nonlocal problem
            try:
                self._perform(operation, Deadline.after(_UNDO_S))
                problem = ""
            except ReadinessError as error:
                problem = f"{operation}: {error}"
            return not problem

        left = iter(range(tries - 1))
        eventually(once, within=_UNDO_S, every_s=1.0, until=lambda done: done or next(left, None) is None)
        return problem

    def _see(self, change: Change, within_s: float) -> None:
        """See that the effect is gone, where there is something to ask."""
        if change.problem or change.healed is None or change.undo_began_s is None:
            return
        try:
            change.shown = self._shown(change.healed, Deadline.after(within_s))
        except Undecidable as error:
            change.problem = f"nothing shows that it is over: {error}"
            return
        change.undone_at, change.undo_s = datetime.now(UTC), round(time.monotonic() - change.undo_began_s, 4)

    def _tell(self, change: Change) -> None:
        if change.shown:
            self._undone(change)

    def _compare(self, changes: Sequence[Change], now: Digest | None, alone: bool) -> Digest | None:
        """Hold the state against the one before; what is not back keeps its problem."""
        failed = [change for change in changes if change.healed is not None and not change.shown]
        watched = [change for change in changes if change.before and not change.waits and change not in failed]
        if failed or not alone:
            # What is still broken is part of the state: who has shown by himself that he is over needs no more.
            watched = [change for change in watched if not change.shown]
        if not watched:
            return None
        if all(_back(change, changes, now, alone) for change in watched):
            return self._all_back(watched, now)
        seen: object = None
        for turn in range(_ROUNDS):
            if turn:
                for change in watched:
                    self._operate(change, tries=_TRIES)
            try:
                seen = eventually(
                    self._state_now,
                    within=VERIFY_S,
                    every_s=0.25,
                    until=lambda state: all(_back(change, changes, state, alone) for change in watched),
                )
                return self._all_back(watched, seen)
            except NotInTime as late:
                seen = late.last
        for change in watched:
            state = seen if isinstance(seen, Mapping) else None
            if _back(change, changes, state, alone):
                change.problem = ""
                continue
            difference = "it cannot be read" if state is None else differences(change.base or change.before, state)
            change.problem = "; ".join(filter(None, [change.problem, f"the state is not what it was: {difference}"]))
        return None

    def _all_back(self, watched: Sequence[Change], state: Digest | None) -> Digest | None:
        for change in watched:
            change.problem = ""
        return state

    def _state_now(self) -> Digest | None:
        """The state, or None while it cannot be read (a deployment that is just being restarted)."""
        try:
            return self._digest(Deadline.after(_DIGEST_S))
        except Undecidable:
            return None


def _back(change: Change, changes: Sequence[Change], now: Digest | None, alone: bool) -> bool:
    """Whether the state is the one before this change, or before all that overlapped."""
    if now is None:
        return False
    first = min(changes, key=lambda other: other.opened_at if other.before else datetime.max.replace(tzinfo=UTC))
    wholes = [change.base or change.before, first.base or first.before]
    return now in (wholes if alone else [*wholes, change.before])
