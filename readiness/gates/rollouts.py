"""What the drills of deploying and rolling back share: which release runs where, and what became of the work."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from readiness.deployment import Deployment
from readiness.descriptor import Releases
from readiness.errors import Undecidable
from readiness.operations import Operation
from readiness.procedures import Ran
from readiness.target import Instance
from readiness.templates import field_of
from readiness.units import format_duration
from readiness.waiting import Deadline, NotInTime, eventually
from readiness.workload import Transaction

SAMPLE = 60
"""Requests of one sample. All of n in order bounds a leftover share p: (1 - p)^60 is 0.2 % for p = 10 %, so that share
is seen with 99.8 %; two samples bound it at 2.5 % with 95 % confidence (1 - 0.05^(1/120), the rule of three)."""
SERVES_WITHIN_S = 30.0
READING_S = 20.0
"""How long readings may fail before that counts: a request may meet a replica that is just being replaced."""
LATE_S = 90.0
"""How much longer than its variant's `within` a transaction may take during a drill before it counts as lost."""

Fleet = dict[str, Counter[str | None]]
"""Service → release that an instance says it is (None: it does not tell) → how many."""


def releases_of(deployment: Deployment) -> Releases:
    """Give the declared releases; a gate that uses it needs one of them."""
    assert deployment.descriptor.releases is not None
    return deployment.descriptor.releases


def deploy_current(deployment: Deployment) -> list[Operation]:
    """Give the undo of a drill that deploys something else: the operators' deploy of the declared current release."""
    return [Operation("procedure", "deploy", {"release": releases_of(deployment).current})]


def fleet(deployment: Deployment) -> Fleet:
    """Ask every instance of every service that a deploy replaces which release it is."""
    told: Fleet = {}
    for name, spec in deployment.descriptor.services.items():
        if spec.released and spec.version is not None:
            told[name] = Counter(_version(deployment, instance) for instance in deployment.instances(name))
    if not any(release is not None for releases in told.values() for release in releases):
        deployment.undecidable(
            "no instance tells which release it is", "services.<service>.version: <path that answers its release>"
        )
    return told


def _version(deployment: Deployment, instance: Instance) -> str | None:
    """Ask a replica for its release, once more where it does not answer: it may just be busy."""
    return deployment.version(instance) or deployment.version(instance)


def must_serve(deployment: Deployment, release: str) -> None:
    """End the gate as UNKNOWN unless all requests are served by the release that the descriptor calls current."""
    try:
        eventually(
            lambda: deployment.served_by(10),
            within=deployment.deadline.within(READING_S),
            until=lambda served: set(served) == {release},
        )
    except NotInTime as late:
        served = late.last if isinstance(late.last, Counter) else Counter[str]()
        deployment.undecidable(
            f"before the drill requests are served by {told(served)}, not by {release} alone", "releases.current"
        )


def told(served: Counter[str]) -> str:
    """Write down which releases served how many requests."""
    return ", ".join(f"{name or 'nobody (it failed)'} ({count})" for name, count in sorted(served.items())) or "nobody"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What is not on a release: requests and instances seen on another one, and what did not answer."""

    strays: str = ""
    silent: str = ""

    def __str__(self) -> str:
        return self.strays or self.silent

    def __bool__(self) -> bool:
        return bool(self.strays or self.silent)


def elsewhere(deployment: Deployment, release: str, before: Fleet) -> Whereabouts:
    """Look which request or instance is not on a release; false when all are.

    An instance that was on a release of its own before the drill may keep it: that is not the drill's doing.
    """
    for service, releases in fleet(deployment).items():
        was: Counter[str | None] = before.get(service, Counter())
        strange = [f"{count} on {name}" for name, count in releases.items() if name not in {release, None, *was}]
        if strange:
            return Whereabouts(strays=f"of {service} there are {', '.join(strange)}")
        if releases[None] > was[None]:
            return Whereabouts(silent=f"of {service} {releases[None]} do not tell their release")
        if releases.total() < was.total():
            return Whereabouts(silent=f"of {service} {releases.total()} of {was.total()} are there")
    served = deployment.served_by(SAMPLE)
    if set(served) <= {release, ""}:
        return Whereabouts(silent=f"{served['']} of {SAMPLE} requests failed" if served[""] else "")
    return Whereabouts(strays=f"{SAMPLE} requests were served by {told(served)}")


def settle(
    deployment: Deployment, began_s: float, limit_s: float, unsettled: Callable[[], Whereabouts | str]
) -> tuple[float, str, bool]:
    """Poll until nothing is unsettled or the limit has passed: seconds since `began_s`, what is left, and whether the
    gate's own time ended before the limit could be judged."""
    left_s = max(0.0, began_s + limit_s - time.monotonic())
    try:
        eventually(unsettled, within=deployment.deadline.within(left_s), every_s=0.2, until=lambda left: not left)
    except NotInTime as late:
        waited_s = time.monotonic() - began_s
        return waited_s, str(late.last), waited_s < limit_s
    return time.monotonic() - began_s, "", False


def promote(deployment: Deployment, candidate: str) -> None:
    """Deploy the candidate and see that it serves; without that there is nothing to roll back (UNKNOWN)."""
    ran = run_bounded(deployment, "deploy", release=candidate)
    if not ran.ok:
        deployment.undecidable(f"there was nothing to roll back: {ran.told()}", "releases.candidate: one that deploys")
    try:
        eventually(
            lambda: deployment.served_by(10),
            within=deployment.deadline.within(SERVES_WITHIN_S),
            until=lambda served: served[candidate] > served.total() / 2,
        )
    except NotInTime as late:
        deployment.undecidable(
            f"{candidate} was deployed and does not serve ({late.last}): there was nothing to roll back",
            "workload.version_at: where an answer tells the release that served it",
        )


def roll_back(deployment: Deployment, current: str, before: Fleet) -> datetime:
    """Roll back, measure until everything is on the previous release, and give the moment when it was."""
    began_s = time.monotonic()
    ran = run_bounded(deployment, "rollback")
    if not ran.ok:
        deployment.violated(f"the rollback failed: {ran.told()}")
    limit_s = deployment.limit("rollback_s").value
    took_s, left, cut_short = settle(deployment, began_s, limit_s, lambda: elsewhere(deployment, current, before))
    if left and cut_short:
        deployment.undecidable(
            f"{format_duration(took_s)} after the rollback began, {left}; the gate's time ended before the limit",
            "a later deadline of the gate",
        )
    told_why = left or f"the command took {ran.duration_s:.1f} s"
    deployment.measure("rollback_s", round(took_s, 2), limit="rollback_s", detail=told_why)
    if left:
        deployment.violated(f"{format_duration(took_s)} after the rollback began, {left}")
    return datetime.now(UTC)


def run_bounded(deployment: Deployment, procedure: str, **arguments: str) -> Ran:
    """Run a procedure; when the gate's own time ended it, before its `within` did, nothing is known."""
    ran = deployment.run(procedure, **arguments)
    own_s = deployment.descriptor.procedures[procedure].within.total_seconds()
    if ran.timed_out and ran.within_s < own_s - 1.0:
        raise Undecidable(f"{ran.told()}: the time of the gate, not the {own_s:.0f} s it may take", "time_budget")
    deployment.keep(procedure, f"{ran.told()}\n\n{ran.stdout}\n{ran.stderr}")
    return ran


def awaited(deployment: Deployment, sent: Iterable[Transaction]) -> list[Transaction]:
    """Give transactions more time to end: what is late during a drill is late, only what never ends is lost."""
    deadline = deployment.deadline.within(LATE_S)

    def looked(one: Transaction) -> Transaction:
        if not one.accepted or one.outcome != "pending":
            return one
        try:
            return eventually(
                lambda: deployment.reread(one), within=deadline, every_s=0.5, until=lambda now: now.outcome != "pending"
            )
        except NotInTime:
            return one

    ended = [looked(one) for one in sent]
    late = [one for one in ended if one.accepted and one.outcome == "pending"]
    if late and deployment.deadline.expired:
        deployment.undecidable(
            f"the time of the gate ended while {len(late)} transactions still went on", "a later deadline of the gate"
        )
    return ended


def lost(transactions: Iterable[Transaction]) -> list[Transaction]:
    """Give the transactions that were accepted and did not end as success, with the effect and result promised."""
    return [one for one in transactions if one.accepted and not one.as_meant]


def first_words(transactions: Sequence[Transaction]) -> str:
    """Describe a few transactions in one line."""
    return "; ".join(
        f"{one.marker} ({one.variant}): {one.outcome}, {one.error or 'no reason'}" for one in transactions[:3]
    )


def work_again(deployment: Deployment, n: int) -> list[Transaction]:
    """Have work done; what was not taken in at first is handed in once more, what is late is awaited."""
    tried = awaited(deployment, deployment.transact("ok", n))
    taken = [one for one in tried if one.accepted]
    return taken + (awaited(deployment, deployment.transact("ok", n - len(taken))) if len(taken) < n else [])


def forgotten(deployment: Deployment, markers: Iterable[str]) -> list[str]:
    """Give the markers under which nothing is stored any more; UNKNOWN when that cannot be asked."""
    gone = []
    deadline = deployment.deadline.within(READING_S)
    for marker in markers:
        try:
            eventually(lambda marker=marker: deployment.recall(marker), within=deadline)  # type: ignore[misc]
        except NotInTime as late:
            if late.last is None:
                deployment.undecidable(f"what was stored under {marker} cannot be asked for", "workload.remember.read")
            gone.append(marker)
    return gone


def changed(deployment: Deployment, written: Sequence[Transaction]) -> list[str]:
    """Read transactions again and say which of them are not as they were in what their variant checks."""
    different = []
    deadline = deployment.deadline.within(READING_S)
    for before in written:
        now = _settled_reading(deployment, before, deadline)
        if now.outcome != before.outcome:
            different.append(f"{before.marker} ({before.variant}) was {before.outcome}, is {now.outcome} {now.error}")
            continue
        for name in _checked_fields(deployment, before.variant):
            was, is_now = field_of(before.result, name), field_of(now.result, name)
            if str(was) != str(is_now):
                different.append(f"{before.marker} ({before.variant}): {name} was {was!r:.80}, is {is_now!r:.80}")
    return different


def _settled_reading(deployment: Deployment, before: Transaction, deadline: Deadline) -> Transaction:
    """Read once more where a reading fails: one request may meet a replica that is just being replaced."""
    try:
        return eventually(
            lambda: deployment.reread(before),
            within=deadline,
            every_s=0.3,
            until=lambda now: now.outcome == before.outcome,
        )
    except NotInTime as late:
        assert isinstance(late.last, Transaction)
        return late.last


def _checked_fields(deployment: Deployment, variant: str) -> list[str]:
    spec = getattr(deployment.descriptor.workload, variant, None)
    if spec is None:
        return []
    named = [*spec.expect, *spec.once, *([spec.answer] if spec.answer else [])]
    return list(dict.fromkeys([*(spec.result.success if spec.result is not None else ()), *named]))
