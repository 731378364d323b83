"""The trials of one run: each experiment once, with traffic before, during and after it, and what is concluded."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from readiness.chaos.experiment import Experiment, Trial
from readiness.chaos.invariants import check
from readiness.chaos.journal import Journal
from readiness.chaos.observed import history_of, read_again
from readiness.chaos.orders import Orders
from readiness.chaos.recovering import RecoveryInterval, recovered, windows_of
from readiness.chaos.runner import JOURNALS, HypothesisAlone, hypothesis_alone, hypothesis_when_down, run_child
from readiness.chaos.telling import told
from readiness.chaos.verdict import FaultFacts, TrialFacts, TrialVerdict, verdict
from readiness.chaos.windows import Window, promises
from readiness.errors import Undecidable
from readiness.executor import Executor
from readiness.judgement import Records
from readiness.reach import Reach
from readiness.state import State
from readiness.together import at_once, beside
from readiness.traffic import Traffic
from readiness.waiting import Deadline, eventually, let_pass
from readiness.workload import Transaction

_ALONE_S = 60.0
_SETTLED_S = 2.0
"""So much longer than the objective a deployment is watched that does not recover, in seconds."""
_LOOK_S = 0.25


@dataclass(frozen=True, slots=True)
class TrialRun:
    """One experiment that was run: the facts, the journal, and what is concluded from them."""

    experiment: Experiment
    facts: TrialFacts
    found: TrialVerdict
    journal: Journal


@dataclass(frozen=True, slots=True)
class Control:
    """A hypothesis without any fault: whether it holds of the deployment, and of one that is down."""

    met: bool | None
    vacuous: bool | None
    problem: str = ""
    holding_when_down: tuple[str, ...] = ()


@dataclass(slots=True)
class Trials:
    """Runs experiments for gates; what one gate has run is told to the others."""

    executor: Executor
    records: Records
    state: State
    armed: bool = False
    known: Callable[[], Sequence[Experiment]] = tuple
    """Gives every experiment there is for this deployment: those of the scenario, and those that can be had by name."""
    done: dict[str, TrialRun] = field(default_factory=dict)
    _controls: dict[str, Control] = field(default_factory=dict)
    _down: dict[str, HypothesisAlone] = field(default_factory=dict)

    def run(
        self,
        experiment: Experiment,
        reach: Reach,
        gate: str,
        deadline: Deadline,
        *,
        rehearse: bool = False,
        hollow: bool = False,
    ) -> TrialRun:
        """Run an experiment with traffic around it, and conclude; it is written into the history."""
        trial = experiment.trial
        assert trial is not None, "a gate's experiment has the extension"
        orders = self._orders(experiment, reach, gate, rehearse=rehearse, hollow=hollow)
        course = _Course(self.records)
        with ThreadPoolExecutor(1) as aside, self._traffic(trial, reach, gate, deadline) as traffic:
            down = aside.submit(self._when_down, experiment, orders, deadline.within(_ALONE_S))
            let_pass(deadline.within(trial.before.total_seconds()))
            journal = run_child(
                experiment,
                orders,
                deadline=deadline,
                on_event=course.heard,
                stop=lambda: "`readiness halt` has ended this run" if self.state.halted() else "",
                heal=lambda: self.executor.heal(only_faults=True),
                redactor=self.records.redactor,
            )
            self._watch(trial, traffic, course, deadline)
            ended_at = datetime.now(UTC)
            sent = tuple(traffic.finish())
            vacuity = down.result()
        again = _read_again(reach, sent, deadline)
        descriptor = reach.file.descriptor
        bounds = descriptor.workload.bounds.model_dump()
        recovery = self._recovery(trial, sent, course, ended_at)
        facts = TrialFacts(
            experiment.name,
            journal.hypothesis_before,
            journal.hypothesis_after,
            vacuous=vacuity.met,
            vacuous_probes=vacuity.holding if vacuity.met else (),
            activities_failed=_failed(journal),
            faults=tuple(course.faults),
            transactions=sent,
            windows=course.windows(ended_at, recovery),
            promises=promises(trial.promises),
            invariants=check([*history_of(sent, descriptor), *read_again(again, descriptor)], bounds),
            recovery=recovery,
        )
        run = TrialRun(experiment, facts, verdict(facts), journal)
        self.done[experiment.name] = run
        path = f"{JOURNALS}/{journal.path.name}"
        more = {"title": experiment.title, "failure_mode": trial.failure_mode, "journal": path}
        self.records.history.append("chaos", **told(facts, run.found, gate=gate, **more))
        return run

    def control(self, experiment: Experiment, reach: Reach, gate: str, deadline: Deadline) -> Control:
        """Try an experiment's hypothesis with nothing broken; those that are word for word the same are tried once."""
        key = _wording(experiment)
        if key not in self._controls:
            orders, bounded = self._orders(experiment, reach, gate), deadline.within(_ALONE_S)
            down, up = beside(
                lambda: self._when_down(experiment, orders, bounded),
                lambda: hypothesis_alone(experiment, orders, deadline=bounded),
            )
            self._controls[key] = _control(up, down)
        return self._controls[key]

    def _when_down(self, experiment: Experiment, orders: Orders, deadline: Deadline) -> HypothesisAlone:
        """Try a hypothesis against a deployment that is down; one that was tried to its end is not tried again."""
        key = _wording(experiment)
        if key in self._down:
            return self._down[key]
        found = hypothesis_when_down(experiment, orders, deadline=deadline)
        if not found.problem:
            self._down[key] = found
        return found

    def _orders(
        self, experiment: Experiment, reach: Reach, gate: str, *, rehearse: bool = False, hollow: bool = False
    ) -> Orders:
        holder = self.state.holder()
        if holder is None:
            raise Undecidable("the deployment is not held by this run any more", "run again")
        seed = int.from_bytes(hashlib.sha256(f"{self.records.run_id} {experiment.name}".encode()).digest()[:4])
        return Orders(
            str(reach.file.path),
            str(self.records.folder),
            self.records.run_id,
            gate,
            holder.token,
            seed=seed,
            armed=self.armed,
            rehearse=rehearse,
            hollow=hollow,
        )

    def _traffic(self, trial: Trial, reach: Reach, gate: str, deadline: Deadline) -> Traffic:
        asked = [known.question for known in reach.file.descriptor.golden] if trial.traffic.variant == "ask" else []
        return Traffic(
            reach.workload, trial.traffic.variant, trial.traffic.rate, deadline, self.records.history, gate, asked
        )

    def _watch(self, trial: Trial, traffic: Traffic, course: _Course, deadline: Deadline) -> None:
        """Go on until it has recovered and was seen well for a while, or its time to recover is over."""
        if course.lifted_at is None:
            return
        limit_s, after_s = trial.recovery.total_seconds(), trial.after.total_seconds()

        def enough() -> bool:
            now = datetime.now(UTC)
            passed_s = (now - course.lifted_at).total_seconds() if course.lifted_at else 0.0
            if passed_s < after_s or deadline.expired:
                return deadline.expired
            seen = self._recovery(trial, traffic.transactions, course, now)
            return passed_s > limit_s + _SETTLED_S or (seen is not None and seen.hi_s is not None)

        eventually(enough, within=limit_s + after_s + 2 * _SETTLED_S, every_s=_LOOK_S)

    def _recovery(
        self, trial: Trial, sent: Sequence[Transaction], course: _Course, until: datetime
    ) -> RecoveryInterval | None:
        if course.lifted_at is None:
            return None
        return recovered(sent, course.lifted_at, until, limit_s=trial.recovery.total_seconds())


class _Course:
    """What an experiment's own process tells of its faults while it runs, for the history and for the facts."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._began_at = datetime.now(UTC)
        self._faults: dict[str, FaultFacts] = {}

    @property
    def faults(self) -> Sequence[FaultFacts]:
        """Every fault, in the order in which they were injected."""
        return list(self._faults.values())

    @property
    def lifted_at(self) -> datetime | None:
        """When the last fault was over; None where none was injected."""
        ends = [one.undone_at or one.closed_at or datetime.now(UTC) for one in self._faults.values()]
        return max(ends, default=None)

    def heard(self, event: Mapping[str, Any]) -> None:
        """Take in one event of the child; what belongs into the run's history is written there."""
        if event["event"] != "history":
            return
        kind, data = str(event["kind"]), dict(event["data"])
        self._records.history.append(kind, **data)
        at, id = datetime.now(UTC), str(data.get("id"))
        if kind == "change_opened":
            heals = data.get("heals", "")
            heals = f"by itself after {heals:g} s" if isinstance(heals, int | float) else str(heals)
            self._faults[id] = FaultFacts(str(data.get("fault", "")), str(data["what"]), at, heals=heals)
        elif kind == "change_witnessed" and id in self._faults:
            self._faults[id] = replace(self._faults[id], witnessed=str(data["detail"]))
        elif kind == "change_closed" and id in self._faults:
            undone = data.get("undone_at")
            undone_at = datetime.fromisoformat(undone) if isinstance(undone, str) else undone
            self._faults[id] = replace(
                self._faults[id],
                closed_at=at,
                undone_at=undone_at,
                verified=data.get("verified"),
                undo_s=data.get("undo_s"),
                gone=str(data.get("shown") or ""),
                problem=str(data.get("reason") or ""),
            )

    def windows(self, ended_at: datetime, recovery: RecoveryInterval | None) -> tuple[Window, ...]:
        """The calm before, the faults, and the time after the recovery from the last of them."""
        if not self._faults or self.lifted_at is None or recovery is None:
            return ()
        first = min(one.opened_at for one in self._faults.values())
        return windows_of(self._began_at, first, self.lifted_at, ended_at, recovery)


def _wording(experiment: Experiment) -> str:
    """What tells hypotheses apart: all that stands in them."""
    return json.dumps(experiment.data.get("steady-state-hypothesis"), sort_keys=True, default=str)


def _read_again(reach: Reach, sent: Sequence[Transaction], deadline: Deadline) -> list[Transaction]:
    """Look once more at all that ended: a second effect may come after the end was told."""
    ended = [
        one
        for one in sent
        if one.accepted and one.outcome in ("success", "failure") and reach.workload.can_be_looked_at(one.variant)
    ]
    return at_once([functools.partial(reach.workload.reread, one, deadline) for one in ended])


def _failed(journal: Journal) -> tuple[str, ...]:
    """What kept the experiment from being run to its end, beside the activities that failed."""
    told = {"interrupted": journal.interrupted, "broke off": journal.escaped, "was ended": journal.killed}
    return (*journal.activities_failed, *(f"the experiment {how}: {why}" for how, why in told.items() if why))


def _control(up: HypothesisAlone, down: HypothesisAlone) -> Control:
    # In calm, a probe that raises lacks something; of a deployment that is down, raising is one way of not holding.
    met = None if up.untried else up.met
    return Control(met, down.met, up.problem or up.untried or down.problem, down.holding)
