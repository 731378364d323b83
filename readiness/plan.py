"""What a run is going to do, known before anything is touched: a mistake is a usage error, and no socket is opened."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from readiness.catalogue import all_gates
from readiness.chaos.experiment import Experiment, read_experiment
from readiness.errors import UsageError
from readiness.experiment_gates import experiment_gate
from readiness.gate import Gate
from readiness.loading import DescriptorFile, load_descriptor
from readiness.loadtests import locustfile_of, plan_of
from readiness.model import Finding
from readiness.policy import EMBEDDED_POLICY, Policy, check_objectives, load_policy
from readiness.scenario import LoadTest, Scenario, find_experiments, find_scenario, known_experiments
from readiness.state import State

DEFAULT_SCENARIO = "ci"
DEFAULT_REPORTS = "reports"


@dataclass(frozen=True, slots=True)
class Plan:
    """The scenario and its gates, the deployment (None: the embedded one), and where the reports go."""

    scenario: Scenario
    gates: tuple[Gate, ...]
    """The scenario's gates, the denominator of score and decision: in catalogue order where there is time for all."""
    reports: Path
    file: DescriptorFile | None = None
    policy: Policy = EMBEDDED_POLICY
    armed: str | None = None
    root: Path = Path()
    """Where the files that a scenario names are looked for."""
    experiments: tuple[Experiment, ...] = ()
    """The scenario's experiments."""

    @property
    def loadtests(self) -> dict[str, LoadTest]:
        """What the scenario wants of each load profile that it names."""
        return {test.profile: test for test in self.scenario.loadtests}

    def every_experiment(self) -> list[Experiment]:
        """The scenario's experiments, and after them all others that can be had by name."""
        taken = {experiment.name for experiment in self.experiments}
        others = [path for name, path in known_experiments(self.root).items() if name not in taken]
        return [*self.experiments, *map(read_experiment, others)]

    @property
    def adopted(self) -> tuple[Gate, ...]:
        """The gates that run: those of the scenario that the policy does not leave for later."""
        later = {entry.gate for entry in self.policy.not_yet}
        return tuple(gate for gate in self.gates if gate.info.id not in later)

    def header(self) -> list[str]:
        """Say in a line or two what is judged, for the top of the terminal."""
        scenario = self.scenario
        about = f" ({scenario.about.rstrip('.')})" if scenario.about else ""
        later = len(self.gates) - len(self.adopted)
        gates = f"{len(self.gates)} gates" + (f", {later} of them not adopted yet" if later else "")
        lines = [f"readiness: scenario {scenario.name}, {gates}{about}"]
        if self.file is None:
            return [*lines, "deployment: the embedded reference Nexus, started and stopped by this run"]
        descriptor = self.file.descriptor
        return [*lines, f"deployment: {descriptor.name} ({descriptor.environment}) as told by {self.file.path}"]

    def nothing_selected(self) -> str:
        """Say that the selection is empty, and what there is to select."""
        known = ", ".join(gate.info.id for gate in self.adopted)
        return f"no gate is selected: -k, -m and --deselect leave none of scenario {self.scenario.name}; known: {known}"


def make_plan(options: Mapping[str, str | None], root: Path) -> Plan:
    """Read scenario, descriptor and policy; paths are relative to `root`; a mistake is a UsageError."""
    scenario = find_scenario(options.get("scenario") or DEFAULT_SCENARIO, root)
    entries = find_experiments(scenario, root)
    experiments = _sound(list(entries))
    chosen = {info.id for info in scenario.choose([gate.info for gate in all_gates()])}
    gates = [gate for gate in all_gates() if gate.info.id in chosen]
    for experiment in experiments:
        entry = entries[experiment.path]
        gates.append(experiment_gate(experiment, rehearse=entry.rehearse, hollow=entry.hollow))
    infos = [*(gate.info for gate in all_gates()), *(gate.info for gate in gates if gate.info.id not in chosen)]
    named, policy = options.get("deployment"), options.get("policy")
    if policy and not named:
        raise UsageError(f"{policy}: the embedded deployment has its own policy; add --readiness-deployment FILE")
    file = load_descriptor(root / named) if named else None
    if file is not None:
        check_objectives(file, infos)
    plan = Plan(
        scenario=scenario,
        gates=_ordered(scenario, gates, file),
        reports=root / (options.get("reports") or DEFAULT_REPORTS),
        file=file,
        policy=load_policy(root / policy, descriptor=file, gates=infos) if policy else EMBEDDED_POLICY,
        armed=options.get("arm"),
        root=root,
        experiments=tuple(experiments),
    )
    _check_loadtests(plan)
    _check_armed(plan)
    _check_adopted(plan)
    return plan


def _ordered(scenario: Scenario, gates: Sequence[Gate], file: DescriptorFile | None) -> tuple[Gate, ...]:
    """Put what has no fresh evidence first, by risk, then the oldest, where the time budget does not reach for all."""
    budget = scenario.time_budget
    if budget is None or sum(gate.info.typical_s for gate in gates) <= budget.total_seconds():
        return tuple(gates)
    now = datetime.now(UTC)

    def urgency(gate: Gate) -> tuple[float, int, bool]:
        earlier = _evidence(gate, file, now)
        age_s = math.inf if earlier is None else (now - earlier.observed_at).total_seconds()
        return -age_s, -gate.info.risk.weight, not gate.info.blocking

    return tuple(sorted(gates, key=urgency))


def _sound(paths: Sequence[Path]) -> list[Experiment]:
    if not paths:  # the check imports the Chaos Toolkit and all that the files name
        return []
    from readiness.chaos.check import all_sound

    return all_sound(paths, gate=True)


def _evidence(gate: Gate, file: DescriptorFile | None, now: datetime) -> Finding | None:
    if file is None:
        return None
    descriptor = file.descriptor
    state = State(file.resolve(descriptor.state), descriptor.name)
    return state.recall(gate.info, descriptor.current_release, now)


def _check_adopted(plan: Plan) -> None:
    later = [entry.gate for entry in plan.policy.not_yet]
    if later and plan.scenario.all_adopted:
        raise UsageError(
            f"scenario {plan.scenario.name} takes no gate that is not adopted yet; not_yet of the policy names "
            f"{', '.join(later)}: adopt them, or run a scenario without `all_adopted: true`"
        )


def _check_loadtests(plan: Plan) -> None:
    for profile, test in plan.loadtests.items():
        locustfile_of(profile, test, plan.root)
        try:
            plan_of(test)
        except UsageError as error:
            raise UsageError(f"scenario {plan.scenario.name}: loadtests: {error}") from None


def _check_armed(plan: Plan) -> None:
    if plan.armed is None:
        return
    if plan.file is None:
        raise UsageError(f"--readiness-arm {plan.armed}: arms a deployment; add --readiness-deployment FILE")
    name = plan.file.descriptor.name
    if plan.armed != name:
        raise UsageError(
            f"--readiness-arm {plan.armed}: the deployment of {plan.file.path} is called {name}; "
            f"write --readiness-arm {name} if that is the one you mean"
        )
