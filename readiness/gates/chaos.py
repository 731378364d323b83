"""Chaos: every failure mode has an experiment that could fail; each experiment is a gate of its own."""

from __future__ import annotations

from readiness.deployment import Deployment
from readiness.gate import gate
from readiness.needs import failure_modes, variant


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
