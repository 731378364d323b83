"""Experiments as gates: each file is one, with the words for reports made from what stands in it."""

from __future__ import annotations

from readiness.chaos.experiment import Experiment
from readiness.chaos.invariants import NO_EFFECT_TWICE, NONE_LOST, result_of
from readiness.chaos.windows import figures, judge
from readiness.deployment import Deployment
from readiness.gate import TTL_S, Gate
from readiness.model import GateInfo, Mode, Outcome, Risk
from readiness.needs import variant
from readiness.pillars import capability_of, pillar_of
from readiness.trials import TrialRun

PREFIX = "IMP-CHA"
"""What the ids of experiments, and of the gate over them, begin with."""
_WITHIN_S = 240.0
"""Beside the experiment's own pauses: the calm before, the recovery, and the end of all that was accepted."""


def experiment_gate(experiment: Experiment, *, rehearse: bool = False, hollow: bool = False) -> Gate:
    """Make the gate of an experiment: `IMP-CHA-<NAME>`; its evidence is void as soon as its file changes."""
    trial = experiment.trial
    assert trial is not None, "it was checked as a gate"
    id = f"{PREFIX}-{experiment.name.upper()}"
    data = experiment.data
    steady = data["steady-state-hypothesis"]["title"]
    sends = variant(trial.traffic.variant)
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
        needs=(str(sends),),
        ttl_s=TTL_S[Mode.DRILL],
        typical_s=trial.before.total_seconds() + pauses_s + trial.after.total_seconds() + 4.0,
        module="chaos",
    )
    return Gate(info, function, (sends,), _WITHIN_S + pauses_s)


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
