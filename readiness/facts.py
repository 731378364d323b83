"""What several gates of a run look at and what is done only once: its backup, and the restore of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from readiness.credentials import Credentials
from readiness.errors import Missing, ProcedureFailed, ReadinessError, Undecidable, UsageError
from readiness.executor import Executor
from readiness.inventory import ComponentCount, inventory
from readiness.judgement import Records
from readiness.loading import load_descriptor
from readiness.loadtests import LoadTests
from readiness.operations import PROCEDURE, Change, Operation
from readiness.procedures import Ran
from readiness.reach import Reach
from readiness.target import attach
from readiness.trials import Trials
from readiness.waiting import Deadline, NotInTime, eventually

_READY_S = 120.0
_TIDY_S = 60.0
_SET_NAMES = ("set", "id", "backup", "name")
Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True)
class FreshBackup:
    """The backup that this run took."""

    set: str
    """What the operators' commands know it by; no text where the backup failed."""
    canary_marker: str
    """The marker under which something of a user was stored before."""
    taken_at: datetime
    before: Mapping[str, ComponentCount]
    """The inventory right before (with the canary in it) and right after: equal where nobody else works."""
    after: Mapping[str, ComponentCount]
    listing: Any
    """What `list_backups` printed afterwards, as JSON; None where that is not declared or failed."""
    ran: Ran
    directory: Path
    """The folder given as `{directory}`; the procedure need not use it."""


@dataclass(frozen=True, slots=True)
class RestoredEnvironment:
    """What the restore came to; `reach` is None where the new environment did not come up."""

    ran: Ran
    seconds: float
    reach: Reach | None
    error: str
    backup: FreshBackup
    held: Mapping[str, ComponentCount] | None = None
    """The inventory of the new environment before anybody worked in it; None where it could not be asked."""


@dataclass(slots=True)
class SharedFacts:
    """The facts of one run; what went wrong once is told to every gate that asks."""

    executor: Executor
    records: Records
    loads: LoadTests
    trials: Trials
    _known: dict[str, object] = field(default_factory=dict)
    _markers: list[tuple[Reach, str]] = field(default_factory=list)
    _environment: Change | None = None

    def remember(self, reach: Reach, marker: str, deadline: Deadline) -> None:
        """Store something of a user, to be removed at the end of the run."""
        self._markers.append((reach, marker))
        reach.workload.remember(marker, deadline)

    def backup(self, reach: Reach, deadline: Deadline) -> FreshBackup:
        """Give the backup of this run, taken at the first call."""
        return self.once("backup", lambda: self._take_backup(reach, deadline))

    def restored(self, reach: Reach, gate: str, deadline: Deadline) -> RestoredEnvironment:
        """Give the restore of this run's backup, done at the first call."""
        return self.once("restored", lambda: self._restore(reach, gate, deadline))

    def close(self) -> list[str]:
        """Remove the canaries and the restored environment; gives what could not be removed."""
        problems = []
        for reach, marker in self._markers:
            try:
                error = reach.workload.forget(marker, Deadline.after(_TIDY_S))
            except ReadinessError as failed:
                error = str(failed)
            if error:
                problems.append(f"the canary {marker} could not be removed: {error}")
        self._markers = []
        restored = self._known.get("restored")
        if isinstance(restored, RestoredEnvironment) and restored.reach is not None:
            restored.reach.web.close()
        if self._environment is not None:
            self.executor.end(self._environment)
            self._environment = None
        return problems

    def once(self, name: str, make: Callable[[], Fact]) -> Fact:
        """Give what was made under a name at the first call; what kept it from being made is raised each time."""
        if name not in self._known:
            try:
                self._known[name] = make()
            except Undecidable as error:
                self._known[name] = error
        found = self._known[name]
        if isinstance(found, Undecidable):
            raise found
        return found  # type: ignore[return-value]

    def _take_backup(self, reach: Reach, deadline: Deadline) -> FreshBackup:
        marker = reach.workload.marker()
        if _can_remember(reach):
            self.remember(reach, marker, deadline)
        before = inventory(reach.procedures, reach.environment, deadline)
        directory = reach.file.resolve(reach.file.descriptor.state) / "backups" / self.records.run_id
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        taken_at = datetime.now(UTC)
        ran = reach.procedures.run(
            "backup", deadline=deadline, directory=str(directory), environment=reach.environment, kind="full"
        )
        _ended_by_itself(ran, "the backup", reach)
        after = inventory(reach.procedures, reach.environment, deadline)
        listing = None
        if reach.procedures.declared("list_backups"):
            listed = reach.procedures.run("list_backups", deadline=deadline, environment=reach.environment)
            listing = _json_or_none(listed)
        name = _set_of(ran, directory) if ran.ok else ""
        return FreshBackup(name, marker, taken_at, before, after, listing, ran, directory)

    def _restore(self, reach: Reach, gate: str, deadline: Deadline) -> RestoredEnvironment:
        recovery = reach.file.descriptor.recovery
        if recovery is None:
            raise Missing(
                "no environment is declared that restores go into",
                "recovery: {environment: readiness-restore, descriptor: <path of its descriptor>}",
            )
        backup = self.backup(reach, deadline)
        if not backup.ran.ok:
            raise ProcedureFailed(
                f"there is no backup to restore: {backup.ran.told()}", "procedures.backup must end with 0"
            )
        discard = Operation(PROCEDURE, "discard", {"environment": recovery.environment})
        self._environment = self.executor.begin(
            f"restore a backup into the environment {recovery.environment}",
            gate=gate,
            undo=[discard],
            always=True,
            deadline=deadline,
        )
        began_s = time.monotonic()
        ran = reach.procedures.run(
            "restore",
            deadline=deadline,
            backup=backup.set,
            set=backup.set,
            environment=recovery.environment,
            directory=str(backup.directory),
        )
        _ended_by_itself(ran, "the restore", reach)
        if not ran.ok:
            return RestoredEnvironment(ran, ran.duration_s, None, ran.told(), backup)
        return self._looked_at(reach, ran, began_s, backup, deadline)

    def _looked_at(
        self, reach: Reach, ran: Ran, began_s: float, backup: FreshBackup, deadline: Deadline
    ) -> RestoredEnvironment:
        recovery = reach.file.descriptor.recovery
        assert recovery is not None
        try:
            file = load_descriptor(reach.file.resolve(recovery.descriptor))
            redactor = self.records.redactor
            credentials = Credentials.load(file, redactor)
            there = Reach.of(file, attach(file), credentials, redactor, self.records.run_id)
        except UsageError as error:
            why = f"the restored environment has no usable descriptor: {str(error).partition(chr(10))[0]}"
            return RestoredEnvironment(ran, ran.duration_s, None, why, backup)
        try:
            eventually(lambda: there.all_ready(None, deadline), within=deadline.within(_READY_S), every_s=0.25)
        except NotInTime as late:
            if deadline.expired:
                raise Undecidable("the time of the gate ended before the restored environment was ready") from None
            why = f"the restored environment was not ready {late.waited_s:.0f} s after the restore had ended"
            return RestoredEnvironment(ran, time.monotonic() - began_s, None, why, backup)
        seconds = time.monotonic() - began_s
        return RestoredEnvironment(ran, seconds, there, "", backup, _held(there, reach, deadline))


def _held(there: Reach, source: Reach, deadline: Deadline) -> Mapping[str, ComponentCount] | None:
    """Count the restored environment by its own command, or by the source's where that takes an environment."""
    recovery, own = source.file.descriptor.recovery, source.file.descriptor.procedures.get("inventory")
    assert recovery is not None
    takes_one = own is not None and any("{environment}" in part for part in own.run)
    for asked in (there, source) if takes_one else (there,):
        try:
            return inventory(asked.procedures, recovery.environment, deadline)
        except Undecidable:
            continue
    return None


def _can_remember(reach: Reach) -> bool:
    workload = reach.file.descriptor.workload
    return workload.remember is not None or workload.adapter is not None


def _ended_by_itself(ran: Ran, what: str, reach: Reach) -> None:
    """A command that our own deadline ended, before the time it was declared, proves nothing."""
    declared_s = reach.file.descriptor.procedures[ran.name].within.total_seconds()
    if ran.timed_out and ran.within_s < declared_s - 1.0:
        raise Undecidable(
            f"{what} still went on after {ran.duration_s:.0f} s, when the time of the gate ended",
            f"procedures.{ran.name}.within: a time that a run can wait",
        )


def _set_of(ran: Ran, directory: Path) -> str:
    """The name of the backup: `set`, `id`, `backup` or `name` of the JSON, else the last line, else the folder."""
    said = _json_or_none(ran)
    if isinstance(said, list) and said:
        said = said[-1]
    if isinstance(said, Mapping):
        named = [said[name] for name in _SET_NAMES if isinstance(said.get(name), str | int)]
        if named:
            return str(named[0])
    lines = ran.stdout.split("\n") if said is None else []
    return next((line.strip() for line in reversed(lines) if line.strip()), str(directory))


def _json_or_none(ran: Ran) -> Any:
    try:
        return ran.json()
    except ProcedureFailed:
        return None
