"""The deployment as a gate sees it: the one object that gates get, and all that they may do with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar

from readiness.attempts import Attempt, MadeUp, attempt
from readiness.baselines import Baselines
from readiness.descriptor import Request, Signal
from readiness.drills import Drills
from readiness.errors import Missing
from readiness.evidence.logs import LogMark, LogRecord
from readiness.evidence.metrics import Snapshot
from readiness.evidence.reports import Report
from readiness.facts import FreshBackup, RestoredEnvironment
from readiness.inventory import ComponentCount, inventory
from readiness.loading import DescriptorFile
from readiness.model import Mode
from readiness.probe_traffic import ProbeTraffic, sender
from readiness.procedures import Ran, effect_of
from readiness.target import Instance
from readiness.traffic import Traffic
from readiness.waiting import Deadline, Pace
from readiness.web import READING, Answer
from readiness.workload import Transaction

Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True)
class Restored:
    """What the restore of this run's backup came to."""

    ran: Ran
    seconds: float
    """From the start of the restore until every service of the new environment said that it is ready."""
    deployment: Deployment | None
    """The restored environment; None when it did not come up, and then `error` says why."""
    error: str
    backup: FreshBackup
    held: Mapping[str, ComponentCount] | None
    """The inventory of the restored environment before anybody worked in it; None where it could not be asked."""


class Deployment(Drills):
    """One deployment in the hands of one gate.

    What a gate's mode does not allow, what the descriptor does not give and what cannot be reached ends the gate as
    UNKNOWN with one line. What the deployment answers (errors of a transaction, of an instance, exit codes) is data.
    """

    @property
    def file(self) -> DescriptorFile:
        """The descriptor with its path; `file.resolve(path)` reads paths as the descriptor means them."""
        return self._reach.file

    def http(
        self,
        request: Request,
        *,
        level: str | None = None,
        headers: dict[str, str] | None = None,
        deadline: Deadline | None = None,
        **values: str,
    ) -> Answer:
        """Send one request of the descriptor; placeholders are service addresses and `values`.

        `level` gives the credentials: an access level, "" for none at all, None for those of the service. Whatever
        goes wrong is in `Answer.error`; redirects are followed within the host only.
        """
        if request.method.upper() not in READING:
            self.allow(Mode.PROBE, f"send {request.method.upper()} requests")
        return self._reach.web.send(
            request, level=level, headers=headers, values=values, deadline=deadline or self.deadline
        )

    def instances(self, service: str | None = None) -> list[Instance]:
        """Give the replicas of a service, or of all, that run now."""
        return self._reach.instances(service)

    def ready(self, instance: Instance) -> bool | None:
        """Whether the replica says that it can work; None where nothing is declared that could tell."""
        return self._reach.ready(instance, self.deadline)

    def all_ready(self, service: str | None = None) -> bool:
        """Whether each service has its declared number of replicas and all of them are ready.

        A replica that cannot tell counts as ready; use it with `eventually`.
        """
        return self._reach.all_ready(service, self.deadline)

    def version(self, instance: Instance) -> str | None:
        """Give the release that the replica says it is; None where it does not say."""
        return self._reach.version(instance, self.deadline)

    def transact(
        self,
        variant: str = "ok",
        n: int = 1,
        *,
        marker: str | None = None,
        correlation: str | None = None,
        question: str | None = None,
        headers: dict[str, str] | None = None,
        release: str | None = None,
    ) -> list[Transaction]:
        """Send n synthetic transactions within the declared rate and await their ends; errors are data."""
        self.allow(Mode.PROBE, "send transactions")
        return self._reach.workload.transact_many(
            variant,
            n,
            marker=marker,
            correlation=correlation,
            question=question,
            headers=headers,
            release=release,
            deadline=self.deadline,
        )

    def submit(self, variant: str = "ok", *, marker: str | None = None, correlation: str | None = None) -> Transaction:
        """Send one transaction and do not await its end; `finish` does."""
        self.allow(Mode.PROBE, "send transactions")
        return self._reach.workload.submit(variant, marker=marker, correlation=correlation, deadline=self.deadline)

    def finish(self, transaction: Transaction) -> Transaction:
        """Await the end of a submitted transaction."""
        return self._reach.workload.finish(transaction, self.deadline)

    def reread(self, transaction: Transaction) -> Transaction:
        """Look at an ended transaction again: what the deployment says about it now."""
        return self._reach.workload.reread(transaction, self.deadline)

    def served_by(self, n: int) -> Counter[str]:
        """Count which releases serve n requests; a request that fails counts under the empty name."""
        self.allow(Mode.PROBE, "send requests")
        return self._reach.workload.served_by(n, self.deadline)

    def traffic(self, variant: str = "ok", rate_per_s: float = 3.0) -> AbstractContextManager[Traffic]:
        """Send transactions in the background during the block; its end awaits all that were accepted."""
        self.allow(Mode.PROBE, "send transactions")
        return Traffic(self._reach.workload, variant, rate_per_s, self.deadline, self._records.history, self.gate.id)

    def probes(self, rate_per_s: float) -> ProbeTraffic:
        """Send cheap requests during the block, at a rate within the declared one; each has an outcome."""
        self.allow(Mode.PROBE, "send requests")
        return ProbeTraffic(sender(self._reach), [Pace(rate_per_s), self._reach.workload.pace], self.deadline)

    def remember(self, marker: str) -> None:
        """Store something of a user under the marker; it is removed at the end of the run."""
        self.allow(Mode.PROBE, "store a canary")
        self._facts.remember(self._reach, marker, self.deadline)

    def recall(self, marker: str) -> bool | None:
        """Whether what was stored under the marker can be read; None when that could not be asked."""
        return self._reach.workload.recall(marker, self.deadline)

    def run(self, procedure: str, **arguments: str) -> Ran:
        """Run one of the operators' commands; the exit code is data, a procedure that is not declared is `Missing`.

        Reading ones (`status`, `inventory`, `audit`, `list_*`, `verify_*`, `search_*`, …) are for every mode,
        `backup` for probes, all others for drills.
        """
        self.allow(effect_of(procedure), f"run the procedure {procedure}")
        return self._reach.procedures.run(procedure, deadline=self.deadline, **arguments)

    def attempt(
        self, operation: str, level: str, *, correlation: str | None = None, made_up: MadeUp | None = None
    ) -> Attempt:
        """Try the harmless form of a privileged operation with the credentials of a level ("" for none)."""
        self.allow(Mode.PROBE, "try a privileged operation")
        return attempt(self._reach, operation, level, correlation, self.deadline, made_up)

    def log_mark(self) -> LogMark:
        """Mark the present end of the logs."""
        return self._reach.logs.mark()

    def logs_since(self, mark: LogMark) -> list[LogRecord]:
        """Give the whole lines that were written since the mark, rotated and new files included."""
        return self._reach.logs.since(mark, self.deadline)

    def metrics(self) -> Snapshot:
        """Read the metrics of all instances now; who could not be read is named in the snapshot."""
        return self._reach.metrics.read(self.deadline)

    def signal(self, meaning: str) -> Signal:
        """Give the series that the descriptor declares for a meaning."""
        found = self.descriptor.signals.get(meaning)
        if found is None:
            raise Missing(f"no series is declared for {meaning}", f"signals.{meaning}: {{metric: <series>}}")
        return found

    def report(self, release: str) -> Report:
        """Read the test report of a release."""
        return self._reach.report(release)

    def level_names(self) -> list[str]:
        """Name the declared access levels."""
        return list(self.descriptor.levels)

    def once(self, name: str, make: Callable[[], Fact]) -> Fact:
        """Give what the first gate that asked for it made; what went wrong then is told to each who asks."""
        return self._facts.once(name, make)

    def look_again(self, found: Mapping[str, str]) -> Transaction:
        """Look once at a transaction of a load run that had not ended then (`marker`, `id`): what became of it."""
        return self._reach.workload.look_again(found, self.deadline)

    @property
    def baselines(self) -> Baselines:
        """The baselines of this deployment's load profiles."""
        return Baselines(self._reach.file)

    def secret_values(self) -> dict[str, str]:
        """Give the values of all declared secrets by name: to be looked for, never to be shown."""
        return self._reach.credentials.values()

    def inventory(self, environment: str | None = None) -> dict[str, ComponentCount]:
        """Give count and content hash of each component, as the operators' `inventory` tells it."""
        return inventory(self._reach.procedures, environment or self._reach.environment, self.deadline)

    def backup(self) -> FreshBackup:
        """Give the backup of this run, taken at the first call, with a canary in it and inventories around it."""
        self.allow(Mode.PROBE, "take a backup")
        return self._facts.backup(self._reach, self.deadline)

    def restored(self) -> Restored:
        """Give the restore of this run's backup, done at the first call; the run discards it at its end."""
        self.allow(Mode.DRILL, "restore a backup")
        fact: RestoredEnvironment = self._facts.restored(self._reach, self.gate.id, self.deadline)
        there = None
        if fact.reach is not None:
            there = Deployment(
                fact.reach, self.gate, self.deadline, self._records, self._executor, self._facts, judged_with=self
            )
        return Restored(fact.ran, fact.seconds, there, fact.error, fact.backup, fact.held)
