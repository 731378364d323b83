"""Chaos: every failure mode has an experiment that could fail, and each experiment is a gate of its own."""

from __future__ import annotations

from readiness.chaos.experiment import Experiment
from readiness.chaos.invariants import NO_EFFECT_TWICE, NONE_LOST, result_of
from readiness.chaos.windows import figures, judge
from readiness.deployment import Deployment
from readiness.gate import TTL_S, Gate, gate
from readiness.model import GateInfo, Mode, Outcome, Risk
from readiness.needs import failure_modes, variant
from readiness.pillars import capability_of, pillar_of
from readiness.trials import TrialRun

PREFIX = "IMP-CHA"
_WITHIN_S = 240.0
"""Beside the experiment's own pauses: the calm before, the recovery, and the end of all that was accepted."""


@gate(
    "IMP-CHA-006",
    risk="high",
    blocking=True,
    mode="drill",
    version=1,
    why="""An experiment whose hypothesis cannot fail passes on a deployment that is down, and a failure mode without an
        experiment is found by users. Both look like resilience on a dashboard.""",
    measures="""Looks for an experiment of every failure mode that the descriptor declares; tries the hypothesis of each
        with nothing broken, where it must hold, and against a twin of the deployment whose every address refuses
        connections, where it must not; and takes in what the experiments of this run have shown.""",
    red="""A declared failure mode has no experiment, a hypothesis holds of a deployment that is down, one does not hold
        with nothing broken, or an undo of an experiment was not verified.""",
    mend="""Write the experiment, or take the failure mode out with those who declared it; ask in the hypothesis for
        what a caller gets (work that ends, answers that are right), not for what answers while nothing works.""",
    needs=[failure_modes(), variant("ok")],
    typical_s=20.0,
    within_s=600.0,
)
def every_failure_mode_has_an_experiment_that_can_fail(deployment: Deployment) -> None:
    """Every declared failure mode has an experiment whose hypothesis holds in calm and fails of what is down."""
    modes = deployment.descriptor.failure_modes
    known = [one for one in deployment.experiments if one.trial is not None and one.trial.failure_mode in modes]
    covered = {one.trial.failure_mode for one in known if one.trial is not None}
    missing = sorted(set(modes) - covered)
    deployment.count(len(covered), len(modes))
    deployment.measure(
        "failure_modes_without_experiment", len(missing), equals=0, detail=f"of {len(modes)}: {', '.join(missing[:5])}"
    )
    with deployment.step("try every hypothesis in calm, and of a deployment that is down"):
        controls = {one.name: deployment.control(one) for one in known}
    vacuous = [name for name, control in controls.items() if control.vacuous]
    unmet = [name for name, control in controls.items() if control.met is False]
    deployment.keep("controls", {name: [control.met, control.vacuous] for name, control in controls.items()})
    held = "; ".join(f"{name}: {', '.join(controls[name].holding_when_down)}" for name in vacuous[:3])
    deployment.measure("hypotheses_that_hold_when_down", len(vacuous), equals=0, detail=held)
    deployment.measure("hypotheses_not_met_in_calm", len(unmet), equals=0, detail=", ".join(unmet[:5]))
    left = [fault.what for run in deployment.trials.values() for fault in run.facts.faults if fault.verified is False]
    deployment.measure("faults_not_undone", len(left), equals=0, detail=", ".join(left[:5]))
    untold = {name: control.problem for name, control in controls.items() if None in (control.met, control.vacuous)}
    if untold:
        name, why = next(iter(untold.items()))
        deployment.undecidable(f"the hypothesis of {', '.join(untold)} could not be tried: {why}", f"experiment {name}")


def experiment_gate(experiment: Experiment, *, rehearse: bool = False, hollow: bool = False) -> Gate:
    """Make the gate of an experiment: `IMP-CHA-<NAME>`; its evidence is void as soon as its file changes."""
    trial = experiment.trial
    assert trial is not None, "it was checked as a gate"
    id = f"{PREFIX}-{experiment.name.upper()}"
    data = experiment.data
    steady = data["steady-state-hypothesis"]["title"]
    pauses_s = sum(_pause_s(step) for step in data["method"])
    faults = ", ".join(dict.fromkeys(experiment.faults))
    promised = "; ".join(
        f"{stage} {name} {bound}" for stage, bounds in trial.promises.items() for name, bound in bounds.items()
    )

    def function(deployment: Deployment) -> None:
        with deployment.step(f"experiment: {experiment.title}"):
            run = deployment.trial(experiment, rehearse=rehearse, hollow=hollow)
        _judge(deployment, run)

    info = GateInfo(
        id=id,
        claim=experiment.title[:1].lower() + experiment.title[1:],
        summary=f"{experiment.title.rstrip('.')}: what was promised holds.",
        pillar=pillar_of(id),
        capability=capability_of(id),
        risk=Risk.HIGH,
        blocking=True,
        mode=Mode.DRILL,
        version=int(experiment.sha256[:8], 16),
        why=" ".join(str(data.get("description", "")).split()),
        measures=f"Runs {experiment.path.name} ({faults}) on the deployment while {trial.traffic.variant} transactions "
        f"are sent at {trial.traffic.rate:g}/s, and compares the fault with the calm before it and the time after.",
        red=f"Work that was accepted is lost, has its effect twice, goes on without bound or is answered with what is "
        f"not so; the hypothesis ({steady}) does not hold afterwards; it takes longer "
        f"than {trial.recovery.total_seconds():g} s to recover{'; ' if promised else ''}{promised}.",
        mend="Look in the report at what the callers saw while the fault was in force, and in the journal at when.",
        needs=("a workload of transactions",),
        ttl_s=TTL_S[Mode.DRILL],
        typical_s=trial.before.total_seconds() + pauses_s + trial.after.total_seconds() + 4.0,
        module="chaos",
    )
    return Gate(info, function, (variant(trial.traffic.variant),), _WITHIN_S + pauses_s)


def _pause_s(step: dict[str, object]) -> float:
    pauses = step.get("pauses")
    times = [pauses.get(when, 0) for when in ("before", "after")] if isinstance(pauses, dict) else []
    return float(sum(one for one in times if isinstance(one, int | float)))


def _judge(deployment: Deployment, run: TrialRun) -> None:
    """Measure what the facts hold, and end as they conclude: nothing is judged here a second time."""
    facts, found = run.facts, run.found
    seen = figures(facts.transactions, facts.windows)
    for name, one in seen.items():
        deployment.measure(f"ended_as_meant_{name}", f"{one.good} of {one.sent}")
    for promise in facts.promises:
        deployment.measure(f"{promise.criterion.metric}_{promise.window}", judge(promise, seen).text)
    if facts.recovery is not None:
        deployment.measure("recovery_s", facts.recovery.hi_s, unit="s", detail=facts.recovery.text)
    for what, invariant in (("lost", NONE_LOST), ("done_twice", NO_EFFECT_TWICE)):
        result = result_of(facts.invariants, invariant)
        if result is not None and result.holds is not None:
            deployment.measure(what, len(result.offenders) if result.holds is False else 0, detail=result.detail)
    undone = [fault.undo_s for fault in facts.faults if fault.undo_s is not None]
    if undone:
        deployment.measure("longest_undo_s", round(max(undone), 3), unit="s")
    _keep(deployment, run)
    reason = "; ".join(found.reasons)
    if found.outcome is Outcome.FAIL:
        deployment.violated(reason)
    if found.outcome is not Outcome.PASS:
        deployment.undecidable(reason, f"experiment {run.experiment.name}: see its journal")


def _keep(deployment: Deployment, run: TrialRun) -> None:
    deployment.keep("journal", run.journal.path.read_text(encoding="utf-8"))
    deployment.keep("witnesses", {fault.what: fault.witnessed for fault in run.facts.faults})
