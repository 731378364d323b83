"""What a drill may do to a deployment: change it, break it, put load on it; all of it is undone and verified."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from readiness.chaos.experiment import Experiment
from readiness.descriptor import Descriptor
from readiness.errors import Missing
from readiness.executor import Executor
from readiness.facts import SharedFacts
from readiness.judgement import Judgement, Records
from readiness.load.plan import Plan
from readiness.loadrun import LoadRun
from readiness.model import GateInfo, Mode
from readiness.operations import Change, Fault, Operation
from readiness.reach import Reach
from readiness.target import Ends, Final, Instance, Target
from readiness.trials import Control, TrialRun
from readiness.waiting import Deadline

if TYPE_CHECKING:
    from readiness.load.runner import Running

_VALID = "a generator with more processes (loadtests of the scenario: {processes: 2}) or a quieter machine"


class Drills(Judgement):
    """The part of a deployment in the hands of one gate that changes it; every change has its undo on the disk."""

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
    def target(self) -> Target:
        """The driver's view of the deployment."""
        return self._reach.target

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
        planned = self._planned_kill(victim)
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
        return self._planned_kill(instance).do

    def _planned_kill(self, instance: Instance) -> Final:
        target = self.target
        if not isinstance(target, Ends):
            raise Missing("the driver cannot end a replica", "a driver that kills, as in `driver: process`")
        return target.killing(instance)

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
        return self._facts.trials.known()

    @property
    def trials(self) -> Mapping[str, TrialRun]:
        """The experiments that this run has run so far, by name."""
        return self._facts.trials.done

    def load_runs(self) -> list[LoadRun]:
        """Give all load runs of this run so far, INVALID ones too."""
        return list(self._facts.loads.done.values())
