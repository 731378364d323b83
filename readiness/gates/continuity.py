"""Continuity: nothing fails while releases roll, and what was written outlives the instance that wrote it."""

from __future__ import annotations

from collections.abc import Sequence

from readiness.deployment import Deployment
from readiness.gate import at_least, at_most, gate
from readiness.gates.markers import judge_markers, write_markers
from readiness.gates.rolling import Rolled, judge_probes, probe_rate, roll
from readiness.gates.rollouts import (
    awaited,
    deploy_current,
    first_words,
    lost,
    must_serve,
    releases_of,
    run_bounded,
)
from readiness.needs import any_of, golden, procedure, release, service, variant, workload
from readiness.operations import Operation
from readiness.target import Instance
from readiness.waiting import NotInTime, eventually
from readiness.web import EXCHANGE_S
from readiness.workload import Transaction

WORK_PER_S = 2.0
"""Transactions a second beside the probes, so that every stop meets work in hand."""
CUT_S = EXCHANGE_S - 0.5
"""An exchange that took so long without an answer was ended by us."""
BACK_S = 60.0
"""How long a recreated service may take until all its replicas are ready."""


@gate(
    "PAT-CM-003",
    risk="critical",
    blocking=True,
    mode="drill",
    version=1,
    why="""A team that deploys every day and drops a few requests each time has an outage every day; it is only spread
        so thin that nobody looks for it. What drops them is the stop of the old instances: connections that are cut,
        work that is let fall.""",
    measures="""Sends cheap requests at a constant rate, half of them over kept connections, and a trickle of
        transactions, while the candidate is deployed and rolled back again as often as it takes for 1000 requests to
        fall into rolling updates; looks at the end of every request and of every accepted transaction.""",
    red="""A request failed during a rolling update (refused, cut, answered with anything but success), a transaction
        was refused, or one that was accepted did not end well.""",
    mend="""Let new instances be ready before old ones stop. On SIGTERM: leave the routing first, answer what is still
        coming with `Connection: close`, finish what is in hand, give the rest back to the queue, and only then
        end.""",
    needs=[
        procedure("deploy"),
        procedure("rollback"),
        release("current"),
        release("candidate"),
        variant("ok"),
        workload("version_at"),
    ],
    limits={
        "probes": at_least(1000, "", "catalogue: over at least 1000 probes"),
        "failed_probes": at_most(0, "", "seed: rolling updates for zero-downtime deployment"),
        "lost_transactions": at_most(0, "", "seed: rolling updates for zero-downtime deployment"),
    },
    patterns=["microservices"],
    typical_s=45.0,
    within_s=900.0,
)
def no_request_fails_while_releases_roll(deployment: Deployment) -> None:
    """No request fails and no accepted work is dropped while releases are rolled out and back."""
    current, candidate = releases_of(deployment).current, releases_of(deployment).candidate
    assert candidate is not None
    must_serve(deployment, current)
    rate_per_s = probe_rate(deployment)
    what = f"roll {candidate} out and back, again and again"
    with (
        deployment.change(what, undo=deploy_current(deployment)),
        deployment.traffic(_variant(deployment), WORK_PER_S) as traffic,
        deployment.probes(rate_per_s) as probes,
    ):
        rolled = roll(deployment, current, candidate, probes)
        judge_probes(deployment, rolled, probes.finish())
        with deployment.step("await the work and look at it"):
            _judge_work(deployment, awaited(deployment, traffic.finish()))
        _must_have_rolled(deployment, rolled, rate_per_s)


def _variant(deployment: Deployment) -> str:
    """Slow work is in hand when a process is told to stop; quick work may just not be."""
    slow = deployment.descriptor.workload.slow
    return "slow" if slow is not None and slow.result is not None else "ok"


def _judge_work(deployment: Deployment, sent: Sequence[Transaction]) -> None:
    cut = [one for one in sent if not one.accepted and one.status_code is None and (one.latency_s or 0.0) >= CUT_S]
    refused = [one for one in sent if not one.accepted and one not in cut]
    accepted = [one for one in sent if one.accepted]
    deployment.measure("transactions_not_accepted", len(refused), equals=0, detail=first_words(refused))
    gone = lost(accepted)
    deployment.measure(
        "lost_transactions", len(gone), limit="lost_transactions", detail=f"of {len(accepted)}: {first_words(gone)}"
    )
    if not accepted:
        deployment.undecidable("no transaction was accepted meanwhile", "workload.ok: a transaction that works")
    if cut:
        deployment.undecidable(
            f"whether {len(cut)} transactions would have been accepted is not known: nobody waited longer than "
            f"{EXCHANGE_S:.0f} s for the answer ({first_words(cut[:1])})",
            "a quieter machine, or a rolling update that lets nobody wait so long",
        )


def _must_have_rolled(deployment: Deployment, rolled: Rolled, rate_per_s: float) -> None:
    """What is green must rest on the whole sample."""
    if rolled.problem:
        deployment.undecidable(rolled.problem, rolled.remedy)
    wanted, seconds = deployment.limit("probes").value, max(rolled.seconds, 0.1)
    if rolled.probes < wanted:
        deployment.undecidable(
            f"only {rolled.probes} of {wanted:.0f} requests fell into the {len(rolled.windows)} rolling updates that "
            f"the gate had time for, at {rate_per_s:.0f} a second",
            f"workload.max_rate_per_s: {1.5 * wanted / seconds:.0f}",
        )
    deployment.measure("probes", rolled.probes, limit="probes", detail=f"in {len(rolled.windows)} rolling updates")


@gate(
    "PAT-CM-006",
    risk="critical",
    blocking=True,
    mode="drill",
    version=1,
    why="""An instance is replaced one day, by a node that fails or a scheduler that moves it. Whether its state
        lay on a volume that outlives it, or in the instance itself, is then found out by losing it.""",
    measures="""Takes a backup where the operators have a command for it, stores something of a user, has work done,
        asks the known questions and counts what there is; then destroys and recreates every instance of each stateful
        service with the operators' own `recreate`, and reads all of it again after each service.""",
    red="""Something that was stored or done is gone or altered, a known question is not answered any more, a component
        holds less than before, or a recreated service does not become ready again.""",
    mend="""Give what is stateful a named volume that is declared beside the service, acknowledge a write when it is on
        it, and let readiness look at what must be there. Restore what was lost from the backup that the gate
        took.""",
    needs=[
        procedure("recreate"),
        procedure("start"),
        service("stateful"),
        variant("ok"),
        workload("remember"),
        any_of(golden(), procedure("inventory")),
    ],
    limits={"markers_lost": at_most(0, "", "catalogue: 100 % of the markers survive")},
    patterns=["microservices"],
    typical_s=20.0,
    within_s=600.0,
)
def state_outlives_its_instances(deployment: Deployment) -> None:
    """Everything that was written before a stateful instance was destroyed and recreated is there afterwards."""
    stateful = [name for name, spec in deployment.descriptor.services.items() if spec.stateful and spec.replicas > 0]
    _must_be_seen(deployment, stateful)
    with deployment.step("write what must outlive the instances"):
        written = write_markers(deployment)
    for name in stateful:
        for hit in _units(deployment, name):
            with deployment.step(f"recreate {_named(hit)}"):
                _recreate(deployment, name, hit)
        with deployment.step(f"read again what was written before {name} was recreated"):
            if not judge_markers(deployment, written, name):
                return


def _must_be_seen(deployment: Deployment, stateful: Sequence[str]) -> None:
    for name in stateful:
        running = deployment.instances(name)
        if not running or any(one.pid is None for one in running):
            deployment.undecidable(
                f"the processes of {name} are not known, so nothing would show that they were replaced",
                f"services.{name}.process: {{pidfile: …}}",
            )


def _units(deployment: Deployment, name: str) -> list[list[Instance]]:
    """Give what one call of `recreate` hits: an instance where it takes `{instance}`, else all of the service."""
    running = deployment.instances(name)
    takes_one = any("{instance}" in part for part in deployment.descriptor.procedures["recreate"].run)
    return [[one] for one in running] if takes_one else [running]


def _named(hit: Sequence[Instance]) -> str:
    return ", ".join(one.name for one in hit)


def _recreate(deployment: Deployment, name: str, hit: Sequence[Instance]) -> None:
    gone = {(one.pid, one.started) for one in hit}

    def witness() -> str:
        alive = {(one.pid, one.started) for one in deployment.instances(name)} & gone
        return "" if alive else f"the processes of {_named(hit)} are gone"

    undo = [Operation("procedure", "start", {"service": name})]
    with deployment.change(f"recreate {_named(hit)}", undo=undo, service=name, replicas=len(hit), witness=witness):
        ran = run_bounded(deployment, "recreate", service=name, instance=hit[0].name)
        try:
            eventually(lambda: deployment.all_ready(name), within=deployment.deadline.within(BACK_S), every_s=0.25)
        except NotInTime as late:
            deployment.violated(f"{name} is not ready {late.waited_s:.0f} s after it was recreated: {ran.told()}")
        if not ran.ok:
            deployment.undecidable(f"nothing was recreated: {ran.told()}", "procedures.recreate must end with 0")
