"""One run in a straight line: hold the deployment, judge gate after gate, leave it as it was, score, report."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from readiness.credentials import Credentials
from readiness.embedded import Embedded
from readiness.failing import FailingSince
from readiness.findings import Verdict, finding
from readiness.folders import new_folder, point_latest
from readiness.gate import Gate
from readiness.healing import refuse_if_broken
from readiness.heartbeat import Heartbeat
from readiness.history import History
from readiness.judging import Judging
from readiness.loading import DescriptorFile, load_descriptor
from readiness.model import Finding, GateInfo, Mode, Outcome
from readiness.plan import Plan
from readiness.policy import Limits
from readiness.preamble import holder, preamble
from readiness.progress import WatchedHistory
from readiness.reachability import unreachable
from readiness.reaper import Reaper
from readiness.redaction import Redactor
from readiness.report import RunRecord, write_all
from readiness.score.model import Decision
from readiness.session import Session
from readiness.state import State
from readiness.target import attach
from readiness.terminal import Summary, Terminal
from readiness.wording import finding_lines

LEASE_S = 60.0
"""So long after a run died unseen (on another host) its deployment can be drilled again."""
INTERNAL_ERROR = 3


class Run:
    """One run; `begin`, `judge` for each gate, `end`, in this order, and `end` whatever happened before."""

    def __init__(self, plan: Plan, terminal: Terminal) -> None:
        self._plan = plan
        self._terminal = terminal
        self._redactor = Redactor()
        self._held = ExitStack()
        self._embedded: Path | None = None
        self._reaper: Reaper | None = None
        self._folder: Path | None = None
        self._history: WatchedHistory | None = None
        self._session: Session | None = None
        self._judging: Judging | None = None
        self._state: State | None = None
        self._release = ""
        self._findings: dict[str, Finding] = {}
        self._since: dict[str, datetime] = {}
        self._notes: list[str] = []
        self._summary: Summary | None = None

    def begin(self, selected: Sequence[Gate]) -> None:
        """Take the deployment for this run and heal what an earlier one left; a UsageError touches nothing of it."""
        plan, at, progress = self._plan, datetime.now(UTC), self._terminal.progress
        self._folder = folder = new_folder(plan.reports, plan.scenario.name, at)
        self._terminal.start(f"readiness: {len(selected)} gates")
        progress.begin([gate.info for gate in selected])
        file = plan.file or self._start_embedded()
        descriptor = file.descriptor
        self._release = descriptor.current_release
        credentials, target = Credentials.load(file, self._redactor), attach(file)
        self._state = state = State(file.resolve(descriptor.state), descriptor.name)
        heartbeat = self._hold(state)
        self._history = history = WatchedHistory.open(folder, self._redactor, progress)
        self._held.callback(history.close)
        history.append("run", **preamble(plan, file, folder.name, selected))
        infos = [gate.info for gate in plan.gates]
        limits = Limits(plan.policy, descriptor.objectives, infos, at, descriptor.name)
        parts = (file, target, credentials, history, state, self._redactor, limits, folder, folder.name, progress)
        self._session = session = Session(
            *parts,
            owns_deployment=plan.file is None,
            loadtests=plan.loadtests,
            root=plan.root,
            experiments=plan.every_experiment,
            armed=plan.armed == descriptor.name,
        )
        if any(gate.info.mode is Mode.DRILL for gate in selected):
            self._watch(file, session)
        refuse_if_broken(session.heal(progress.tell), file)
        for breach in unreachable(descriptor):
            history.append("breach", breach)
            progress.tell(f"{breach.what}: {breach.reason}")
        budget = plan.scenario.time_budget
        self._judging = Judging(
            descriptor=descriptor,
            target=target,
            redactor=self._redactor,
            open_deployment=session.deployment,
            recall=self._earlier,
            gates=selected,
            loadtests=plan.loadtests,
            armed=plan.armed == descriptor.name,
            budget_s=budget.total_seconds() if budget else None,
            stopped=lambda: f"the deployment is no longer held: {heartbeat.failure}" if heartbeat.failure else "",
        )
        self._recall({gate.info.id for gate in selected})

    def judge(self, gate: Gate) -> Finding:
        """Run one gate and write its finding down."""
        assert self._judging is not None and self._history is not None
        self._history.append("gate_started", gate=gate.info.id)
        self._terminal.progress.gate_started(gate.info)
        try:
            found = self._judging.judge(gate)
        except KeyboardInterrupt as interrupt:
            self._keep(gate, self._unknown(gate, f"interrupted by {interrupt or 'Ctrl-C'} while it ran"))
            raise
        self._keep(gate, found)
        return found

    def broke_off(self, gate: Gate, when: str, error: BaseException) -> Finding:
        """Make the finding of a gate whose test setup failed; one that has its finding keeps it."""
        if gate.info.id not in self._findings:
            reason = f"{when} of the test: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
            self._keep(gate, self._unknown(gate, reason))
        return self._findings[gate.info.id]

    def text(self, found: Finding) -> str:
        """A finding as a block of text, for pytest's own reports."""
        claim = next((gate.info.claim for gate in self._plan.gates if gate.info.id == found.gate), "")
        return "\n".join(finding_lines(found, claim, self._since.get(found.gate)))

    def end(self, signals: Sequence[str]) -> None:
        """Leave the deployment as it was, stop what this run started, score and report; it never raises."""
        self._terminal.stop()
        history, folder = self._history, self._folder
        if history is not None and signals:
            self._guard("write history", lambda: history.append("interrupted", signal=signals[0]))
        if self._session is not None:
            self._guard("undo what the gates left", self._session.close)
        if history is not None and self._judging is not None:
            self._guard("write history", lambda: history.append("scored", at=datetime.now(UTC)))
        self._guard("give the deployment free", self._held.close)
        if self._reaper is not None and self._reaper.failure:
            self._notes.append(self._reaper.failure)
        if folder is not None:
            if history is None:
                shutil.rmtree(folder, ignore_errors=True)
            elif self._judging is not None:
                self._guard("write the reports", lambda: self._report(folder))

    def copy_allure(self, into: Path) -> None:
        """Copy the Allure results to where `--alluredir` asks for them."""
        if self._folder is not None and self._summary is not None:
            source = self._folder / "allure-results"
            self._guard("write the Allure results", lambda: shutil.copytree(source, into, dirs_exist_ok=True))

    def exit_code(self, allow_conditional: bool) -> int:
        """The exit code of the decision; pytest's internal error where none could be made."""
        if self._summary is None:
            return INTERNAL_ERROR
        decision = self._summary.card.decision
        return 0 if decision is Decision.CONDITIONAL and allow_conditional else decision.exit_code

    def summarise(self) -> None:
        """Show the decision and what it rests on, and what went wrong at the end of the run."""
        if self._summary is not None:
            self._terminal.summary(self._summary)
        for note in self._notes:
            self._terminal.warn(note)

    def _hold(self, state: State) -> Heartbeat:
        """Take the lease and renew it until the end of the run."""
        who = holder(f"pytest --readiness, scenario {self._plan.scenario.name}")
        lease = self._held.enter_context(state.lease(who, LEASE_S))
        return self._held.enter_context(Heartbeat(lease.renew, LEASE_S / 3))

    def _watch(self, file: DescriptorFile, session: Session) -> None:
        """Let a process of its own watch this run, which heals what is open should this process die."""
        self._reaper = reaper = Reaper(file.path, embedded=self._embedded)
        self._held.enter_context(reaper)
        if not reaper.failure:
            session.executor.heals_otherwise = "reaper"

    def _start_embedded(self) -> DescriptorFile:
        embedded = Embedded(self._terminal.progress.tell)
        self._held.callback(self._stop, embedded)
        path = embedded.start()
        self._embedded = embedded.folder
        return load_descriptor(path)

    def _stop(self, embedded: Embedded) -> None:
        if failure := embedded.stop():
            self._notes.append(failure)

    def _recall(self, selected: set[str]) -> None:
        """Let fresh evidence of earlier runs stand for gates that are not selected now."""
        for gate in self._plan.adopted:
            if gate.info.id not in selected:
                earlier = self._earlier(gate.info)
                if earlier is not None:
                    self._append(earlier)

    def _earlier(self, gate: GateInfo) -> Finding | None:
        assert self._state is not None
        return self._state.recall(gate, self._release, datetime.now(UTC))

    def _unknown(self, gate: Gate, reason: str) -> Finding:
        return finding(gate.info, Verdict(Outcome.UNKNOWN, reason), datetime.now(UTC), self._redactor)

    def _keep(self, gate: Gate, found: Finding) -> None:
        assert self._state is not None and self._history is not None and self._folder is not None
        self._append(found)
        if found.carried_from:
            self._terminal.progress.gate_ended(found)
            return
        since = FailingSince(self._state).observe(found)
        if since is not None and since < found.observed_at:
            self._history.append("note", gate=gate.info.id, text=f"failing since {since.isoformat()}")
        self._since[gate.info.id] = since or found.observed_at
        self._state.remember(found, gate.info, self._release, self._folder.name)
        self._terminal.progress.gate_ended(found)

    def _append(self, found: Finding) -> None:
        assert self._history is not None
        self._history.append("finding", found)
        self._findings[found.gate] = found

    def _report(self, folder: Path) -> None:
        card, record = write_all(folder), RunRecord.from_history(History.read(folder))
        point_latest(folder)
        here = Path.cwd()
        shown = folder.relative_to(here) if folder.is_relative_to(here) else folder
        self._summary = Summary(record, card, self._since, shown / "report.html")

    def _guard(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            first = str(error).partition("\n")[0]
            self._notes.append(self._redactor.redact(f"could not {what}: {type(error).__name__}: {first}"))
