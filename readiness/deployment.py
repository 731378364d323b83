"""The deployment as a gate sees it: the one object that gates get, and all that they may do with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from readiness.attempts import Attempt, MadeUp, attempt
from readiness.baselines import Baselines
from readiness.chaos.experiment import Experiment
from readiness.descriptor import Descriptor, Request, Signal
from readiness.errors import Missing
from readiness.evidence.logs import LogMark, LogRecord
from readiness.evidence.metrics import Snapshot
from readiness.evidence.reports import Report
from readiness.executor import Executor
from readiness.facts import FreshBackup, RestoredEnvironment, SharedFacts
from readiness.inventory import ComponentCount, inventory
from readiness.judgement import Judgement, Records
from readiness.load.plan import Plan
from readiness.loading import DescriptorFile
from readiness.loadrun import LoadRun
from readiness.model import GateInfo, Mode
from readiness.operations import Change, Fault, Operation, kill_operation
from readiness.probe_traffic import ProbeTraffic, sender
from readiness.procedures import Ran, effect_of
from readiness.reach import Reach
from readiness.target import Ends, Instance, Target
from readiness.traffic import Traffic
from readiness.trials import Control, TrialRun
from readiness.waiting import Deadline, Pace
from readiness.web import READING, Answer
from readiness.workload import Transaction

if TYPE_CHECKING:
    from readiness.load.runner import Running

Fact = TypeVar("Fact")
_VALID = "a generator with more processes (loadtests of the scenario: {processes: 2}) or a quieter machine"


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


class Deployment(Judgement):
    """One deployment in the hands of one gate.

    What a gate's mode does not allow, what the descriptor does not give and what cannot be reached ends the gate as
    UNKNOWN with one line. What the deployment answers (errors of a transaction, of an instance, exit codes) is data.
    """

    def __init__(
        self,
        reach: Reach,
        gate: GateInfo,
        deadline: Deadline,
        records: Records,
        executor: Executor,
        facts: SharedFacts,
        judged_with: Judgement | None = None,
    ) -> None:
        super().__init__(gate, records, judged_with)
        self._reach = reach
        self._executor = executor
        self._facts = facts
        self.deadline = deadline

    @property
    def descriptor(self) -> Descriptor:
        """What the team declared."""
        return self._reach.file.descriptor

    @property
    def file(self) -> DescriptorFile:
        """The descriptor with its path; `file.resolve(path)` reads paths as the descriptor means them."""
        return self._reach.file

    @property
    def target(self) -> Target:
        """The driver's view of the deployment."""
        return self._reach.target

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

    def change(
        self,
        what: str,
        *,
        undo: Sequence[Operation],
        do: Operation | None = None,
        service: str | None = None,
        witness: Callable[[], str] | None = None,
        replicas: int = 1,
    ) -> AbstractContextManager[Change]:
        """Change the deployment for the block: the undo is on the disk before, and verified after it.

        `do` is done on entry (or the block acts itself). `service` and `replicas` are held against the declared blast
        radius. `witness` says in words what shows that the change took effect; no text, no witness: UNKNOWN.
        """
        self.allow(Mode.DRILL, f"change the deployment ({what})")
        return self._executor.change(
            what,
            gate=self.gate.id,
            undo=undo,
            do=do,
            service=service,
            witness=witness,
            replicas=replicas,
            deadline=self.deadline,
        )

    @contextmanager
    def crash(self, victim: Instance, *, undo: Sequence[Operation]) -> Iterator[Change]:
        """Kill that very replica for the block, as a fault: witnessed by the driver, undone and verified afterwards."""
        self.allow(Mode.DRILL, f"kill {victim.name}")
        target = self.target
        if not isinstance(target, Ends):
            raise Missing("the driver cannot end a replica", "a driver that kills, as in `driver: process`")
        planned = target.killing(victim)
        fault = Fault(
            "killed",
            f"kill {victim.name}",
            (planned.do,),
            tuple(undo),
            planned.witness,
            service=victim.service,
            replicas=1,
        )
        change = self._executor.inject(fault, gate=self.gate.id, deadline=self.deadline)
        try:
            yield change
        finally:
            self._executor.lift(change)

    def undo_by(self, change: Change, undo: Sequence[Operation]) -> None:
        """Undo a change in force in another way than was written down before it, now that its outcome is known."""
        self._executor.undo_by(change, undo)

    def killing(self, instance: Instance) -> Operation:
        """Give the operation that ends that very replica as a crash would; for `change(do=…)`."""
        return kill_operation(self.target, instance)

    def level_names(self) -> list[str]:
        """Name the declared access levels."""
        return list(self.descriptor.levels)

    def load_plan(self, profile: str) -> Plan:
        """Give what the scenario (else the profile itself) sends for a load profile."""
        return self._facts.loads.plan(profile, self._reach)

    def load(
        self,
        profile: str,
        *,
        label: str = "",
        plan: Plan | None = None,
        meanwhile: Callable[[Running], None] | None = None,
        judged: bool = True,
    ) -> LoadRun:
        """Give the load run of a profile, done at the first call of the run.

        One that is INVALID is Undecidable, unless its validity is what is judged (`judged=False`).

        Another `plan` takes a `label` of its own. `meanwhile` acts on the deployment while the load runs. A probe may
        send within the declared rate, everything else takes a drill.
        """
        plan = plan or self.load_plan(profile)
        fastest = max(max(stage.rate_from, stage.rate_to) for stage in plan.stages)
        within_rate = fastest <= self.descriptor.workload.max_rate_per_s
        self.allow(Mode.PROBE if profile == "steady" and within_rate else Mode.DRILL, f"put the load {profile} on")
        label = label or profile
        with self.step(f"load: {label}, {plan.duration_s:.0f} s"):
            run = self._facts.loads.run(label, plan, self._reach, self.gate.id, self.deadline, meanwhile)
        if run.invalid and judged:
            self.undecidable(f"the load run {label} is INVALID: {'; '.join(run.verdict.reasons)}", _VALID)
        return run

    def trial(self, experiment: Experiment, *, rehearse: bool = False, hollow: bool = False) -> TrialRun:
        """Run an experiment with traffic around it; what it shows is concluded from facts.

        `rehearse`: all but the fault. `hollow`: the fault is announced and not done, so nothing can show it.
        """
        self.allow(Mode.DRILL, f"break something ({experiment.title})")
        return self._facts.trials.run(
            experiment, self._reach, self.gate.id, self.deadline, rehearse=rehearse, hollow=hollow
        )

    def control(self, experiment: Experiment) -> Control:
        """Try an experiment's hypothesis with nothing broken, and against a deployment that is down."""
        self.allow(Mode.PROBE, "try a hypothesis")
        return self._facts.trials.control(experiment, self._reach, self.gate.id, self.deadline)

    @property
    def experiments(self) -> Sequence[Experiment]:
        """Every experiment that there is for this deployment."""
        return self._facts.trials.known

    @property
    def trials(self) -> Mapping[str, TrialRun]:
        """The experiments that this run has run so far, by name."""
        return self._facts.trials.done

    def load_runs(self) -> list[LoadRun]:
        """Give all load runs of this run so far, INVALID ones too."""
        return list(self._facts.loads.done.values())

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
