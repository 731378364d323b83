"""One run's hold on one deployment: what all its gates share, and what is tidied up at its end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from readiness.chaos.experiment import Experiment
from readiness.chaos.servers import servers_of
from readiness.credentials import Credentials
from readiness.deployment import Deployment
from readiness.digest import take_digest
from readiness.executor import Executor, Healed
from readiness.facts import SharedFacts
from readiness.history import History
from readiness.judgement import Limiter, Progress, Records
from readiness.ledger import Ledger
from readiness.loading import DescriptorFile
from readiness.loadtests import LoadTests
from readiness.model import Breach, GateInfo
from readiness.reach import Reach
from readiness.redaction import Redactor
from readiness.scenario import LoadTest
from readiness.state import State
from readiness.target import Target
from readiness.trials import Trials
from readiness.waiting import Deadline


class Session:
    """Makes the deployments that gates get, heals what earlier runs left, and tidies up."""

    def __init__(
        self,
        file: DescriptorFile,
        target: Target,
        credentials: Credentials,
        history: History,
        state: State,
        redactor: Redactor,
        limits: Limiter,
        folder: Path,
        run_id: str,
        progress: Progress | None = None,
        owns_deployment: bool = False,
        loadtests: Mapping[str, LoadTest] | None = None,
        root: Path | None = None,
        experiments: Callable[[], Sequence[Experiment]] = tuple,
        armed: bool = False,
    ) -> None:
        self.reach = Reach.of(file, target, credentials, redactor, run_id)
        self.owns_deployment = owns_deployment
        """Whether this run started the deployment: then nobody else works on it."""
        self._records = Records(run_id, folder, history, redactor, limits, progress)
        self.executor = Executor(
            file,
            target,
            self.reach.procedures,
            lambda deadline: take_digest(self.reach, deadline),
            doers=servers_of(file.descriptor)[0],
            armed=armed,
            state=state,
            history=history,
            ledger=Ledger(folder, redactor),
            run_id=run_id,
        )
        self._facts = SharedFacts(
            self.executor,
            self._records,
            LoadTests(loadtests or {}, root or Path(), self._records),
            Trials(self.executor, self._records, state, armed, experiments),
        )

    def deployment(self, gate: GateInfo, deadline: Deadline) -> Deployment:
        """Give the deployment as one gate gets it."""
        return Deployment(self.reach, gate, deadline, self._records, self.executor, self._facts)

    def heal(self, tell: Callable[[str], None] = lambda _: None) -> Healed:
        """Undo what earlier runs left open on this deployment."""
        return self.executor.heal(tell)

    def close(self) -> tuple[Breach, ...]:
        """Remove canaries and the restored environment, undo what is open still; gives all undos that failed."""
        for problem in self._facts.close():
            self._records.history.append("note", text=problem)
        self.executor.heal()
        self.reach.web.close()
        return tuple(self.executor.failures)
