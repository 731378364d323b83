"""Architecture: what dies comes back, what runs fits together, and what does not work is not let in."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from readiness.deployment import Deployment
from readiness.gate import at_most, gate
from readiness.gates.kills import can_be_judged, kill_replicas, must_stay
from readiness.gates.rollouts import (
    Fleet,
    awaited,
    deploy_current,
    elsewhere,
    first_words,
    fleet,
    must_serve,
    releases_of,
    run_bounded,
    settle,
    told,
)
from readiness.needs import capability, procedure, release, service, variant, workload
from readiness.operations import Operation
from readiness.procedures import Ran
from readiness.target import Kills
from readiness.units import format_duration
from readiness.waiting import NotInTime, eventually
from readiness.workload import Transaction

ASYNC_S = 30.0
"""How long a deploy that has returned may take until its release is seen."""


@gate(
    "ARC-ORC-003",
    risk="critical",
    blocking=True,
    mode="drill",
    version=1,
    why="""Processes die: out of memory, by a fault, with their machine. Whether somebody brings them back is decided
        long before, in a line that nobody looks at until the night it is missing.""",
    measures="""Kills a replica of every service with SIGKILL, one at a time, then a second one of as many services as
        ten seconds allow, and takes the time until a new process is there, as many replicas are ready as
        are declared, and the new one stays.""",
    red="""A service had fewer ready replicas than declared before anything was killed, a replacement was not ready
        within 60 s, or it did not stay.""",
    mend="""Give every component a restart policy that holds for every way of dying and has no limit of attempts that
        a bad night can use up; look why a replacement does not become ready.""",
    needs=[capability(Kills), procedure("start"), service("process")],
    limits={"ready_s": at_most(60.0, "s", "default of the catalogue")},
    typical_s=20.0,
    within_s=900.0,
)
def killed_replicas_are_replaced(deployment: Deployment) -> None:
    """A killed replica of any service is replaced by a ready one in time, and the replacement stays."""
    ours = [name for name, spec in deployment.descriptor.services.items() if spec.replicas > 0]
    unseen = [name for name in ours if not can_be_judged(deployment, name)]
    replaced = kill_replicas(deployment, [name for name in ours if name not in unseen])
    with deployment.step("see that the replacements stay"):
        must_stay(deployment, replaced)
    if unseen:
        deployment.undecidable(
            f"the processes of {', '.join(unseen)} are not known, so nothing could be killed there",
            f"services.{unseen[0]}.process: {{pidfile: …}}, or replicas: 0 for what is not run by this team",
        )


@gate(
    "ARC-VER-005",
    risk="high",
    blocking=False,
    mode="observe",
    version=1,
    why="""One replica that a deploy forgot speaks last year's language to its peers. It works until the day on which
        a message comes its way that it does not know.""",
    measures="""Asks every instance which release it is, holds every two releases that run (and the declared current
        one) against the declared matrix, and runs the operators' `contract` probe between the current and the
        previous release both ways.""",
    red="""Two releases that run side by side are not declared to fit, or the contract probe fails.""",
    mend="""Deploy what was left behind; make the deploy verify the release of every instance at its end. Where the
        probe fails, keep the old form of the message for one more release.""",
    needs=[service("version"), release("current"), release("previous"), procedure("contract")],
    typical_s=1.5,
)
def running_versions_fit_together(deployment: Deployment) -> None:
    """All releases that run side by side are declared to fit, and messages pass to the previous release and back."""
    releases = releases_of(deployment)
    with deployment.step("ask every instance for its release"):
        running = fleet(deployment)
        routed = _routed(deployment)
    deployment.keep("releases", {name: {str(key): n for key, n in told.items()} for name, told in running.items()})
    _judge_matrix(deployment, running, routed, releases.current)
    with deployment.step("probe the contract with the previous release"):
        _judge_contract(deployment, releases.current, str(releases.previous))
    _must_be_seen(deployment, running)


def _routed(deployment: Deployment) -> set[str]:
    """Name the releases that serve a few cheap reading requests, where the descriptor has one."""
    where = deployment.descriptor.workload.version_at
    if where is None or where.request is None or where.response_header is None or where.request.method != "GET":
        return set()
    answers = [deployment.http(where.request) for _ in range(4)]
    return {found for answer in answers if answer.ok and (found := answer.headers.get(where.response_header.lower()))}


def _judge_matrix(deployment: Deployment, running: Fleet, routed: set[str], current: str) -> None:
    """Every two releases must be declared to fit, in the row of either."""
    matrix = deployment.descriptor.compatibility
    places: dict[str, list[str]] = {}
    for service_name, releases in running.items():
        for name in releases:
            if name is not None:
                places.setdefault(name, []).append(service_name)
    for name in routed - set(places):
        places[name] = ["routed requests"]
    if current not in places:
        deployment.undecidable(
            f"the deployment runs {', '.join(sorted(places))}, its descriptor calls {current} current",
            "releases.current",
        )
    names = sorted(places)
    pairs = [(one, other) for index, one in enumerate(names) for other in names[index + 1 :]]
    unfit = [(a, b) for a, b in pairs if b not in matrix.get(a, []) and a not in matrix.get(b, [])]
    if unfit and not matrix:
        deployment.undecidable(
            f"{' and '.join(unfit[0])} run side by side, and nothing says whether they fit",
            'compatibility: {"<release>": ["<release that it may run beside>"]}',
        )
    said = "; ".join(f"{a} (in {', '.join(places[a])}) beside {b} (in {', '.join(places[b])})" for a, b in unfit[:3])
    deployment.measure("releases_running", ", ".join(names))
    deployment.measure("pairs_that_do_not_fit", len(unfit), equals=0, detail=said)


def _judge_contract(deployment: Deployment, current: str, previous: str) -> None:
    for one, other in ((current, previous), (previous, current)):
        ran = deployment.run("contract", release=one, other=other, peer=other, current=current, previous=previous)
        if ran.exit_code not in (0, 1):
            deployment.undecidable(ran.told(), "procedures.contract: exit 0 when messages pass, 1 when they do not")
        deployment.measure(
            f"contract_of_{one}_with_{other}", "passes" if ran.ok else "fails", equals="passes", detail=ran.told()
        )


def _must_be_seen(deployment: Deployment, running: Fleet) -> None:
    """An instance that does not answer, or was not found, could be of any release."""
    for name, releases in running.items():
        spec = deployment.descriptor.services[name]
        declared = spec.replicas if spec.instances is not None or spec.process is not None else min(1, spec.replicas)
        if releases[None] or releases.total() < declared:
            deployment.undecidable(
                f"of {name} {releases.total() - releases[None]} of {max(declared, releases.total())} instances tell "
                f"their release",
                f"services.{name}.version, services.{name}.instances: where each instance can be asked",
            )


@gate(
    "ARC-VAL-008",
    risk="critical",
    blocking=True,
    mode="drill",
    version=1,
    why="""The worst release is the one that says it is well: ready answers 200 and nothing works. Only a validation
        that has work done finds it before the users do.""",
    measures="""With work going on, deploys the release that was built to be bad (ready says yes, the workload fails)
        with the operators' own command, which must refuse it within its window; then samples which release serves
        requests and which runs, and looks at the work that was under way.""",
    red="""The command reports success or does not end, the bad release still serves or runs after it was refused, or
        work that was accepted meanwhile vanished.""",
    mend="""Let the deploy validate by doing transactions through the real entrance, pinned to the new release, before
        it gets traffic, and let its abort bring back weights and instances.""",
    needs=[
        procedure("deploy"),
        release("current"),
        release("known_bad"),
        variant("ok"),
        workload("version_at"),
        service("version"),
    ],
    limits={"clean_s": at_most(30.0, "s", "default: traffic and instances after the refusal")},
    typical_s=10.0,
    within_s=300.0,
)
def bad_release_is_refused(deployment: Deployment) -> None:
    """A release that says it is ready and does not work is refused by the deploy itself, and leaves nothing behind."""
    releases = releases_of(deployment)
    current, bad = releases.current, str(releases.known_bad)
    _must_be_built(deployment, bad)
    must_serve(deployment, current)
    before = fleet(deployment)
    back = deploy_current(deployment)
    with deployment.change(f"deploy {bad}", undo=back) as change, deployment.traffic() as traffic:
        with deployment.step(f"deploy {bad} under work"):
            ran = run_bounded(deployment, "deploy", release=bad)
        if ran.ok and "rollback" in deployment.descriptor.procedures:
            # It was let in, so its validation is not to be trusted with the way back either.
            deployment.undo_by(change, [Operation("procedure", "rollback"), *back])
        deployment.measure("validation_s", round(ran.duration_s, 2), detail=ran.told())
        with deployment.step("see what serves now"):
            if ran.ok:
                _judge_promoted(deployment, bad, traffic.finish())
            if ran.timed_out:
                deployment.violated(f"{bad} was not refused in time: {ran.told()}")
            _judge_clean(deployment, current, before, ran)
        _judge_work(deployment, bad, awaited(deployment, traffic.finish()))
        with deployment.step("see that the deploy refuses only what is bad"):
            again = run_bounded(deployment, "deploy", release=current)
    if not again.ok:
        deployment.undecidable(
            f"the deploy refuses {current} as well, so its refusal of {bad} says nothing: {again.told()}",
            "procedures.deploy: ends with 0 when the release is live already",
        )


def _must_be_built(deployment: Deployment, bad: str) -> None:
    """A release that is not there is refused for that reason, which says nothing about validation."""
    if "artifact" in deployment.descriptor.procedures:
        ran = deployment.run("artifact", release=bad)
        if not ran.ok:
            deployment.undecidable(f"{bad} is not built: {ran.told()}", "releases.known_bad: a release that is built")


def _judge_promoted(deployment: Deployment, bad: str, sent: Sequence[Transaction]) -> None:
    """The deploy reported success: judge what that success let in."""
    try:
        served = eventually(
            lambda: deployment.served_by(20),
            within=deployment.deadline.within(ASYNC_S),
            every_s=0.5,
            until=lambda seen: seen[bad] > 0,
        )
    except NotInTime as late:
        seen = late.last if isinstance(late.last, Counter) else Counter[str]()
        deployment.undecidable(
            f"the deploy of {bad} ended with 0, and {told(seen)} serve: whether it was refused cannot be told",
            "procedures.deploy: ends with another code than 0 when the validation refuses a release",
        )
    tried = [*deployment.transact("ok", 10), *sent]
    by_bad = [transaction for transaction in tried if transaction.release == bad]
    failed = [transaction for transaction in by_bad or tried if not transaction.as_meant]
    if not failed:
        deployment.undecidable(
            f"{bad} was let in, and its work succeeds: it is not the release that this drill needs",
            "releases.known_bad: built to the published recipe (ready answers 200, the workload fails)",
        )
    deployment.violated(
        f"{bad} was let in with exit code 0: {served[bad]} of {served.total()} requests are served by it, and "
        f"{len(failed)} of its {len(by_bad or tried)} transactions failed ({first_words(failed[:1])})"
    )


def _judge_clean(deployment: Deployment, current: str, before: Fleet, ran: Ran) -> None:
    """After the refusal nothing may be left of the bad release."""
    limit_s = deployment.limit("clean_s").value
    took_s, left, cut_short = settle(
        deployment, time.monotonic(), limit_s, lambda: elsewhere(deployment, current, before)
    )
    if left and cut_short:
        deployment.undecidable(f"after {took_s:.0f} s {left}, when the time of the gate ended", "a later deadline")
    detail = f"refused ({ran.told()}), and yet {left}" if left else "until all was on the current release again"
    deployment.measure("clean_s", round(took_s, 2), limit="clean_s", detail=detail)
    if left:
        deployment.violated(f"{format_duration(took_s)} after the refusal, {left}")
    again = elsewhere(deployment, current, before)
    deployment.measure("left_of_bad_release", again.strays or "nothing", equals="nothing")


def _judge_work(deployment: Deployment, bad: str, sent: Sequence[Transaction]) -> None:
    """Work may have met the bad release and failed, as long as its caller was told: what vanished is lost."""
    accepted = [transaction for transaction in sent if transaction.accepted]
    vanished = [transaction for transaction in accepted if transaction.outcome == "pending"]
    failed = [transaction for transaction in accepted if transaction.outcome == "failure"]
    deployment.count(len(accepted) - len(vanished), len(accepted))
    deployment.measure("accepted_and_vanished", len(vanished), equals=0, detail=first_words(vanished))
    deployment.measure("reported_failed", len(failed), detail=f"of {len(accepted)} while {bad} was tried")
