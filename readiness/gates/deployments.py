"""Deploying: what goes out was tested, and the way back takes all traffic and all state along."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from readiness.deployment import Deployment
from readiness.gate import at_most, gate
from readiness.gates.rollouts import (
    SAMPLE,
    Fleet,
    awaited,
    changed,
    deploy_current,
    elsewhere,
    first_words,
    fleet,
    forgotten,
    lost,
    must_serve,
    promote,
    releases_of,
    roll_back,
    run_bounded,
    settle,
    told,
    work_again,
)
from readiness.gates.suites import DIGEST_LINE, digest_of, judge_age, judge_binding, judge_results, stated
from readiness.needs import evidence, procedure, release, service, variant, workload
from readiness.together import at_once
from readiness.workload import Transaction

ALONE_WITHIN_S = 30.0
"""How long other releases may still serve beside the previous one before its reading of the state is judged."""
READ_AGAIN = 30
"""About how many results of the drill are read again, spread over its whole time."""
QUEUED = 8
"""Transactions that are handed in right before the schema changes."""


@gate(
    "OPS-DEP-001",
    risk="critical",
    blocking=True,
    mode="observe",
    version=1,
    why="""A green pipeline says little when its tests were skipped, ran on another build, or ran last month. What
        goes out must be what was tested.""",
    measures="""Asks `artifact` for the digest of the release that is to be deployed (the candidate, else the current
        one), reads that release's JUnit report, and holds each suite that is bound to this digest against it: what
        ran, what failed, when.""",
    red="""A required suite is missing, is of another digest, has a failure or an error, or ran no test at all; a
        suite of this digest was skipped as a whole; or a suite ran more than seven days ago.""",
    mend="""Run the required suites on the very artefact that will be deployed and publish their report with its
        digest; make the pipeline fail when a suite runs nothing.""",
    needs=[procedure("artifact"), evidence("reports"), release("current")],
    limits={"age_d": at_most(7.0, "d", "catalogue: at most 7 d old")},
    typical_s=0.6,
)
def deployed_artifact_passed_its_tests(deployment: Deployment) -> None:
    """All required suites ran and passed on the exact artefact that is to be deployed, within the last seven days."""
    releases = releases_of(deployment)
    chosen = releases.candidate or releases.current
    digest = digest_of(deployment, chosen)
    report = deployment.report(chosen)
    deployment.keep("suites", [repr(suite) for suite in report.suites])
    source = deployment.descriptor.evidence.reports
    required = list(source.required_suites) if source is not None else []
    missing = [name for name in required if not any(name in suite.names for suite in report.suites)]
    detail = f"{', '.join(missing)} in {report.path.name} of {chosen}"
    deployment.measure("required_suites_missing", len(missing), equals=0, detail=detail)
    named = required or list(dict.fromkeys(suite.name for suite in report.suites))
    unbound = [
        silent
        for name in named
        if (silent := judge_binding(deployment, name, [one for one in report.suites if name in one.names], digest))
    ]
    bound = [suite for suite in report.suites if stated(suite) == digest]
    judged = [suite for suite in bound if not required or suite.names & set(required)]
    for suite in judged:
        judge_results(deployment, suite)
    hollow = [suite.name for suite in bound if suite.tests and not suite.passed and suite.skipped == suite.tests]
    deployment.measure("suites_skipped_as_a_whole", len(hollow), equals=0, detail=", ".join(sorted(hollow)))
    if not report.suites:
        deployment.measure("tests_executed", 0, at_least=1, detail=f"{report.path.name} holds no suite")
    for suite in judged:
        judge_age(deployment, suite)
    if unbound:
        deployment.undecidable(f"the suite {unbound[0]} does not say which artefact it ran on", DIGEST_LINE)


@gate(
    "OPS-DEP-003",
    risk="critical",
    blocking=True,
    mode="drill",
    version=1,
    why="""Rolling back is the way out of every bad release. When a tenth of the traffic stays on the bad one, or the
        way back loses work, there is no way out.""",
    measures=f"""With work going on, deploys the candidate until it serves, rolls back with the operators' command,
        and takes the time until {SAMPLE} routed requests and every instance are on the previous release; samples both
        again after the work has ended; then looks at every transaction of the drill.""",
    red="""The command fails or takes longer than 5 minutes in all, a request or an instance is still on the
        candidate, or a transaction accepted during the drill did not end well, exactly once, with its result
        unaltered.""",
    mend="""Move the weights of all routes before the instances and verify them at the end of the rollback; drain an
        instance before it is stopped; let unfinished work move to the release that stays.""",
    needs=[
        procedure("deploy"),
        procedure("rollback"),
        release("current"),
        release("candidate"),
        variant("ok"),
        workload("version_at"),
        service("version"),
    ],
    limits={"rollback_s": at_most(300.0, "s", "default of the catalogue: 5 min")},
    typical_s=20.0,
    within_s=600.0,
)
def rollback_moves_all_traffic(deployment: Deployment) -> None:
    """A rollback moves all traffic and all instances to the previous release in time, and no accepted work is lost."""
    current, candidate = releases_of(deployment).current, releases_of(deployment).candidate
    assert candidate is not None
    must_serve(deployment, current)
    before = fleet(deployment)
    what = f"deploy {candidate} and roll it back"
    with deployment.change(what, undo=deploy_current(deployment)), deployment.traffic() as traffic:
        with deployment.step(f"deploy {candidate} under work"):
            promote(deployment, candidate)
        with deployment.step("roll back and watch requests and instances"):
            settled_at = roll_back(deployment, current, before)
        with deployment.step("await the work and look at it"):
            sent = awaited(deployment, traffic.finish())
            _judge_work(deployment, sent)
            _judge_later_traffic(deployment, current, before, [t for t in sent if t.started_at > settled_at])


def _judge_work(deployment: Deployment, sent: Sequence[Transaction]) -> None:
    accepted = [transaction for transaction in sent if transaction.accepted]
    if not accepted:
        deployment.undecidable("no transaction was accepted during the drill", "workload.ok: a transaction that works")
    gone = lost(accepted)
    deployment.count(len(accepted) - len(gone), len(accepted))
    deployment.measure("not_accepted", len(sent) - len(accepted), detail="told to the caller, so not lost")
    deployment.measure("lost_transactions", len(gone), equals=0, detail=f"of {len(accepted)}: {first_words(gone)}")
    good = [transaction for transaction in accepted if transaction.as_meant]
    read = good[:: len(good) // READ_AGAIN + 1]
    altered = changed(deployment, read)
    deployment.measure("altered_results", len(altered), equals=0, detail=f"of {len(read)}: {'; '.join(altered[:3])}")


def _judge_later_traffic(deployment: Deployment, current: str, before: Fleet, later: Sequence[Transaction]) -> None:
    """Sample once more: what was routed elsewhere after all seemed to be back, a reconciler may have brought again."""
    strays = [t for t in later if t.release not in (None, current)]
    deployment.measure("work_on_another_release", len(strays), equals=0, detail=first_words(strays))
    left = elsewhere(deployment, current, before)
    if left.silent:  # one failed request is no stray; look once more
        left = elsewhere(deployment, current, before)
    told_why = f"after every instance and {2 * SAMPLE} requests in two samples"
    deployment.measure("left_on_another_release", str(left) or "nothing", equals="nothing", detail=told_why)


@gate(
    "OPS-DEP-004",
    risk="critical",
    blocking=True,
    mode="drill",
    version=1,
    why="""A migration that goes one way turns every rollback into an outage: the old release meets state that it
        cannot read, and the new one is the problem.""",
    measures="""Writes state through the current release (finished work of every declared variant, work in progress,
        something of a user), rolls back to the previous release, reads all of it there, has new work done, returns to
        the current release and reads everything again.""",
    red="""The rollback fails, the previous release cannot read what the current one wrote or reads it differently,
        work that was in progress is lost, new work fails there, or the way forward again loses something.""",
    mend="""Migrate in steps that the previous release can live with (expand, then contract a release later); give
        each migration its way back, queued work included, and try it on real state.""",
    needs=[
        procedure("deploy"),
        procedure("rollback"),
        release("current"),
        release("previous"),
        variant("ok"),
        workload("remember"),
        workload("version_at"),
    ],
    limits={"serves_s": at_most(300.0, "s", "default, as for OPS-DEP-003")},
    typical_s=25.0,
    within_s=600.0,
)
def previous_release_reads_new_state(deployment: Deployment) -> None:
    """The previous release reads everything that the current one wrote, works on it, and gives it back whole."""
    current, previous = releases_of(deployment).current, releases_of(deployment).previous
    assert previous is not None
    must_serve(deployment, current)
    with deployment.step(f"write state through {current}"):
        written, saved = _write(deployment), [_remember(deployment, "new")]
    what = f"roll back to {previous}, across its schema"
    with deployment.change(what, undo=deploy_current(deployment)), deployment.traffic(rate_per_s=2.0) as traffic:
        queued = _hand_in(deployment)
        with deployment.step(f"roll back to {previous}"):
            settled_at = _reach_previous(deployment, previous)
        with deployment.step(f"read and work under {previous}"):
            _judge_state(deployment, "under_previous", written, saved)
            sent = awaited(deployment, [*(deployment.finish(one) for one in queued), *traffic.finish()])
            _judge_in_progress(deployment, previous, sent, settled_at)
            later = _work_there(deployment, previous)
            saved.append(_remember(deployment, "old"))
    with deployment.step(f"read again under {current}"):
        _judge_state(deployment, "under_current_again", [*written, *later], saved)


def _write(deployment: Deployment) -> list[Transaction]:
    """Write finished work of every declared variant that has an end; what does not end as meant here is not judged."""
    declared = deployment.descriptor.workload
    specs = {name: getattr(declared, name) for name in ("retried", "failing", "slow")}
    others = [name for name, spec in specs.items() if spec is not None and spec.result is not None]
    by_name = at_once([functools.partial(deployment.transact, name) for name in others])
    written = [*deployment.transact("ok", 3), *(one for sent in by_name for one in sent)]
    whole = [transaction for transaction in written if transaction.accepted and transaction.as_meant]
    if not any(transaction.variant == "ok" for transaction in whole):
        deployment.undecidable(f"no work could be done before the drill: {first_words(written)}", "workload.ok")
    return whole


def _remember(deployment: Deployment, when: str) -> str:
    marker = f"rd-{deployment.run_id[-12:]}-{when}".lower().replace("_", "-")
    deployment.remember(marker)
    return marker


def _reach_previous(deployment: Deployment, previous: str) -> datetime:
    """Roll back, and give the moment from which the previous release alone served."""
    began_s = time.monotonic()
    ran = run_bounded(deployment, "rollback")
    if not ran.ok:
        deployment.violated(f"the rollback across the schema failed: {ran.told()}")
    limit_s = deployment.limit("serves_s").value
    took_s, left, cut_short = settle(
        deployment, began_s, limit_s, lambda: _not_served_by(deployment, previous, nobody_else=False)
    )
    if left.startswith("nobody") and not cut_short:
        deployment.violated(f"{previous} does not serve {took_s:.0f} s after the rollback began")
    if not left:
        deployment.measure("serves_s", round(took_s, 2), limit="serves_s", detail=f"until {previous} served")
        _, left, _ = settle(deployment, time.monotonic(), ALONE_WITHIN_S, lambda: _not_served_by(deployment, previous))
    if left:
        deployment.undecidable(
            f"the rollback did not lead to {previous} alone: requests are served by {left}",
            "releases.previous: the release that a rollback of the current one leads to",
        )
    return datetime.now(UTC)


def _not_served_by(deployment: Deployment, previous: str, nobody_else: bool = True) -> str:
    served = deployment.served_by(SAMPLE)
    reached = set(served) == {previous} if nobody_else else served[previous] > 0
    return "" if reached else told(served)


def _judge_state(deployment: Deployment, when: str, written: Sequence[Transaction], saved: Sequence[str]) -> None:
    different = changed(deployment, written)
    deployment.measure(
        f"unreadable_{when}", len(different), equals=0, detail=f"of {len(written)}: {'; '.join(different[:3])}"
    )
    gone = forgotten(deployment, saved)
    deployment.measure(f"saved_data_lost_{when}", len(gone), equals=0, detail=", ".join(gone))


def _hand_in(deployment: Deployment) -> list[Transaction]:
    """Hand work in that is still queued or under way when the schema changes."""
    slow = deployment.descriptor.workload.slow
    variant = "slow" if slow is not None and slow.result is not None else "ok"
    return [deployment.submit(variant) for _ in range(QUEUED)]


def _judge_in_progress(
    deployment: Deployment, previous: str, sent: Sequence[Transaction], settled_at: datetime
) -> None:
    """Judge the work that met the change; what was routed past the previous release afterwards is OPS-DEP-003's."""
    strays = [one for one in sent if one.started_at > settled_at and one.release not in (None, previous)]
    gone = [one for one in lost(sent) if one not in strays]
    accepted = sum(one.accepted for one in sent)
    deployment.measure("work_in_progress_lost", len(gone), equals=0, detail=f"of {accepted}: {first_words(gone)}")
    if strays:
        deployment.undecidable(
            f"{len(strays)} transactions were still routed past {previous}: {first_words(strays[:1])}",
            "see OPS-DEP-003",
        )


def _work_there(deployment: Deployment, previous: str) -> list[Transaction]:
    """Have new work done by the previous release."""
    new = work_again(deployment, 3)
    failed = [one for one in new if not one.as_meant and one.release in (None, previous)]
    deployment.measure("new_work_failed", len(failed), equals=0, detail=f"by {previous}: {first_words(failed)}")
    return [transaction for transaction in new if transaction.as_meant]
