"""OPS-SCL and PRF-LOD-005: whether more replicas do more work, and lose none while their number changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from readiness.deployment import Deployment
from readiness.descriptor import ScalingSpec
from readiness.gate import at_least, at_most, gate
from readiness.gates.load_runs import tell, throughput
from readiness.load.plan import Plan, Stage
from readiness.loadrun import LoadRun
from readiness.needs import load, procedure, scaling, variant
from readiness.operations import PROCEDURE, Operation
from readiness.waiting import NotInTime, eventually
from readiness.workload import Transaction

_NEEDS = [load("scalability"), variant("ok"), scaling(), procedure("scale"), procedure("status")]
_SETTLE_S = 2.0
"""The first seconds of a run fill the pipeline: nothing can have ended yet."""
_FEWEST = 4
"""Transactions after that: with fewer a throughput is chance."""
_ALL = 0.98
_RESIZE_RATE = 2.0
_COEFFICIENTS = 3
"""The Universal Scalability Law has so many: it takes as many numbers of replicas."""
_RESIZED_S = 30.0
"""So long after its command ended the new number of replicas may take to show, in seconds."""


@dataclass(frozen=True, slots=True)
class _Measured:
    """What the series of runs with more and more replicas showed."""

    runs: Mapping[int, LoadRun]
    throughput: Mapping[int, float]
    """Replicas → transactions done a second."""
    resized: Sequence[Transaction]
    """What was sent while the number of replicas changed."""


@gate(
    "OPS-SCL-005",
    risk="high",
    blocking=False,
    mode="drill",
    version=1,
    why="Scaling out is the answer to every load plan. Where new replicas stay idle it is an answer that costs money "
    "and helps nobody; where scaling in drops what a replica held, it loses work every evening.",
    measures="Scales the declared services to 1, 2, 4 replicas by the operators' command, offers each number of "
    "replicas the same load per replica (slightly more than it can do) and counts what is done a second. Then scales "
    "in again under traffic and follows every transaction to its end and its effect.",
    red="At the most replicas less is done than the limit's share of that many times what one does, or a transaction "
    "sent during a change of the number is lost, fails or has two effects.",
    mend="Let every replica take from one queue; pin nothing to a shard; drain a replica before it is stopped, and "
    "give back what it holds.",
    needs=_NEEDS,
    limits={"efficiency": at_least(0.7, "", "the catalogue"), "lost_in_resize": at_most(0)},
    typical_s=60.0,
    within_s=420.0,
)
def more_replicas_do_more_work(deployment: Deployment) -> None:
    """Each added replica does its share of the work, and no task is lost or doubled while their number changes."""
    found = deployment.once("scaling", lambda: _measure(deployment))
    spec = _spec(deployment)
    fewest, most = spec.replicas[0], spec.replicas[-1]
    for replicas, run in found.runs.items():
        tell(deployment, run)
        deployment.measure(f"throughput_at_{replicas}", round(found.throughput[replicas], 3), unit="/s")
    _held_back(deployment, found, fewest)
    share = _efficiency(found, fewest, most)
    told = f"{most} replicas do {found.throughput[most]:.2f}/s, {fewest} do {found.throughput[fewest]:.2f}/s"
    deployment.measure("efficiency", round(share, 3), limit="efficiency", detail=told)
    amiss = [one for one in found.resized if not one.as_meant]
    deployment.measure(
        "lost_in_resize",
        len(amiss),
        limit="lost_in_resize",
        detail=f"of {len(found.resized)}" + (f": {amiss[0].outcome} {amiss[0].error}" if amiss else ""),
    )
    deployment.count(len(found.resized) - len(amiss), len(found.resized))


@gate(
    "PRF-LOD-005",
    risk="medium",
    blocking=False,
    mode="drill",
    version=1,
    why="A lock that all replicas share shows only when there are many: plans that multiply are wrong by then.",
    measures="Takes the throughputs at 1, 2, 4 replicas (of OPS-SCL-005's runs) and fits the Universal Scalability Law "
    "X(n) = λn / (1 + σ(n-1) + κn(n-1)) (Gunther 2007): σ is contention, κ the cost of agreement.",
    red="The last doubling of replicas adds less than the limit.",
    mend="Find what is shared: a lock, one connection, one table row; split it, or take it out of the path.",
    needs=_NEEDS,
    limits={"last_gain": at_least(1.4, "x", "default: 0.7 of what a doubling could add at best")},
    typical_s=1.0,
    within_s=420.0,
)
def doubling_replicas_still_gains(deployment: Deployment) -> None:
    """The throughput still grows at the last doubling of replicas; contention is measured and told."""
    found = deployment.once("scaling", lambda: _measure(deployment))
    from readiness.load.stats.usl import fit

    replicas = sorted(found.throughput)
    _held_back(deployment, found, replicas[0])
    if len(replicas) >= _COEFFICIENTS and min(found.throughput.values()) > 0:
        law = fit(replicas, [found.throughput[n] for n in replicas])
        deployment.measure("contention", round(law.sigma, 4), detail="σ of the Universal Scalability Law")
        deployment.measure("coherency", round(law.kappa, 5), detail="κ of the Universal Scalability Law")
    last, most = replicas[-2:]
    gain = found.throughput[most] / found.throughput[last] if found.throughput[last] else 0.0
    per_doubling = gain ** (1 / _doublings(last, most))
    told = f"from {last} to {most} replicas: {found.throughput[last]:.2f}/s to {found.throughput[most]:.2f}/s"
    deployment.measure("last_gain", round(per_doubling, 3), limit="last_gain", detail=told)


def _held_back(deployment: Deployment, found: _Measured, fewest: int) -> None:
    """UNKNOWN where the fewest replicas did all that was offered: then nothing shows what more of them add."""
    offered = found.runs[fewest].result.plan.stages[0].rate_from
    if found.throughput[fewest] >= _ALL * offered:
        deployment.undecidable(
            f"{fewest} replicas did all of the {offered:g}/s that they were offered, so their limit was not seen",
            "scaling.rate_per_replica: <slightly more than one replica can do>",
        )


def _measure(deployment: Deployment) -> _Measured:
    spec = _spec(deployment)
    declared = {name: deployment.descriptor.services[name].replicas for name in spec.services}
    undo = [_scale(name, replicas) for name, replicas in declared.items()]
    runs, done = {}, {}
    _long_enough(deployment, _plan(deployment, spec, spec.replicas[0]))
    with deployment.change(
        f"scale {', '.join(spec.services)} to {spec.replicas}", undo=undo, witness=lambda: _seen(spec)
    ):
        for replicas in spec.replicas:
            with deployment.step(f"scale to {replicas}"):
                _resize(deployment, spec, replicas)
            plan = _plan(deployment, spec, replicas)
            run = deployment.load("scalability", label=f"scalability-{replicas}", plan=plan)
            runs[replicas] = run
            done[replicas] = throughput(run, (_SETTLE_S, plan.duration_s))
        with deployment.step("scale in under traffic"), deployment.traffic("ok", _RESIZE_RATE) as traffic:
            for replicas in (spec.replicas[0], max(declared.values())):
                _resize(deployment, spec, replicas)
    return _Measured(runs, done, traffic.transactions)


def _long_enough(deployment: Deployment, plan: Plan) -> None:
    arrivals = plan.stages[0].rate_from * (plan.duration_s - _SETTLE_S)
    if arrivals < _FEWEST:
        deployment.undecidable(
            f"{max(0.0, arrivals):.1f} transactions at {_spec(deployment).replicas[0]} replicas are too few to tell a "
            "throughput",
            "loadtests of the scenario: {profile: scalability, duration: <longer>}",
        )


def _seen(spec: ScalingSpec) -> str:
    return f"loads were sent at {', '.join(map(str, spec.replicas))} replicas"


def _resize(deployment: Deployment, spec: ScalingSpec, replicas: int) -> None:
    for service in spec.services:
        ran = deployment.run("scale", service=service, replicas=str(replicas))
        if not ran.ok:
            deployment.violated(f"{service} could not be scaled to {replicas}: {ran.told()}")

    def off() -> list[str]:
        counted = {service: len(deployment.instances(service)) for service in spec.services}
        return [f"{service} has {count} replicas" for service, count in counted.items() if count != replicas]

    try:
        eventually(off, within=deployment.deadline.within(_RESIZED_S), until=lambda wrong: not wrong)
    except NotInTime as late:
        deployment.violated(f"after it was scaled to {replicas}: {late.last}")


def _plan(deployment: Deployment, spec: ScalingSpec, replicas: int) -> Plan:
    base = deployment.load_plan("scalability")
    rate = spec.rate_per_replica * replicas
    return replace(
        base,
        stages=(Stage("measure", base.duration_s, rate, rate),),
        variant=spec.variant,
        drain_s=max(30.0, base.drain_s),
    )


def _spec(deployment: Deployment) -> ScalingSpec:
    spec = deployment.descriptor.scaling
    assert spec is not None
    return spec


def _scale(service: str, replicas: int) -> Operation:
    return Operation(PROCEDURE, "scale", {"service": service, "replicas": replicas})


def _efficiency(found: _Measured, fewest: int, most: int) -> float:
    one = found.throughput[fewest] / fewest
    return found.throughput[most] / most / one if one else 0.0


def _doublings(few: int, many: int) -> float:
    from math import log2

    return log2(many / few)
