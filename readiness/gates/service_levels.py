"""PRF-SLA: whether the number that is signed is the number that callers lived through."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from readiness.deployment import Deployment
from readiness.errors import ProcedureFailed
from readiness.gate import at_least, at_most, gate
from readiness.needs import procedure, release, variant
from readiness.operations import PROCEDURE, Operation
from readiness.records import instant
from readiness.waiting import NotInTime, eventually
from readiness.workload import Transaction

_GOOD, _BAD = 12, 4
_RATE = 2.0
_LATE_S = 30.0
"""So long a dashboard may take to show what has ended, in seconds."""
_QUIET_S = 10.0
_FEWEST_OTHERS = 5.0
"""Others who sent so many more would have been seen while we were quiet."""
_SHAPE = 'procedures.sla must print {"availability": <0 to 1>, "good": <n>, "total": <n>, "budget_left": <share>}'


@gate(
    "PRF-SLA-001",
    risk="high",
    blocking=False,
    mode="drill",
    version=1,
    why="A dashboard that leaves out deploys, or counts steps instead of work, is green while callers are not; the "
    "error budget that is spent unseen ends in an outage that was announced to nobody.",
    measures="Sends transactions that are known to succeed and to fail, at rest and while a release is deployed and "
    "rolled back, keeps the log of what became of each, and asks the operators' own command for the service level of "
    "exactly that time. Both are compared in percentage points.",
    red="The told availability differs from that of the probe log by more than the limit, or the told error budget is "
    "exhausted.",
    mend="Count at the edge, every request that a caller made, in every minute; leave nothing out afterwards.",
    needs=[
        variant("ok"),
        variant("failing"),
        procedure("sla"),
        procedure("deploy"),
        procedure("rollback"),
        procedure("status"),
        release("candidate"),
    ],
    limits={
        "difference_pp": at_most(0.05, "pp", "the catalogue"),
        "budget_left": at_least(0, "", "the catalogue: not exhausted"),
    },
    typical_s=25.0,
    within_s=240.0,
)
def the_dashboard_tells_what_callers_saw(deployment: Deployment) -> None:
    """The told service level equals that of the probe log, deploys and failures included, and budget is left."""
    began = datetime.now(UTC)
    with deployment.step("send known work at rest"):
        log = [*deployment.transact("ok", _GOOD), *deployment.transact("failing", _BAD)]
    with deployment.step("send known work while a release is deployed"):
        log += _during_a_deploy(deployment)
    ended = datetime.now(UTC)
    good, total = _counted(deployment, log)
    deployment.keep("probe-log", [_row(one) for one in log])
    truth = good / total
    told = _told_by(deployment, began, ended, total)
    seen = _number(told, "availability")
    deployment.keep("told", told)
    deployment.count(good, total)
    counted = _number(told, "total") if told.get("total") is not None else total
    if counted > total:
        _nobody_else(deployment, counted - total, (ended - began).total_seconds(), total)
    deployment.measure(
        "difference_pp",
        round(abs(seen - truth) * 100, 4),
        limit="difference_pp",
        detail=f"told {seen:.4%} of {counted:g}, the probe log says {truth:.4%} ({good} of {total})",
    )
    if told.get("budget_left") is not None:
        deployment.measure("budget_left", round(_number(told, "budget_left"), 4), limit="budget_left")


def _during_a_deploy(deployment: Deployment) -> list[Transaction]:
    releases = deployment.descriptor.releases
    assert releases is not None and releases.candidate is not None
    deploy = Operation(PROCEDURE, "deploy", {"release": releases.candidate})
    with (
        deployment.traffic("ok", _RATE) as good,
        deployment.traffic("failing", _RATE / 2) as bad,
        deployment.change(
            f"deploy {releases.candidate} under traffic", do=deploy, undo=[Operation(PROCEDURE, "rollback")]
        ),
    ):
        pass
    return [*good.transactions, *bad.transactions]


def _counted(deployment: Deployment, log: Sequence[Transaction]) -> tuple[int, int]:
    """Good ones and all of the probe log; what was not accepted, or never ended, leaves the truth open."""
    unclear = [one for one in log if one.outcome in ("error", "pending")]
    if unclear:
        deployment.undecidable(
            f"{len(unclear)} of {len(log)} probes were not accepted or never ended ({unclear[0].error}), so the true "
            "service level is open"
        )
    ended = [one for one in log if one.accepted]
    if not ended or not any(one.outcome == "failure" for one in ended):
        deployment.undecidable(
            "no probe failed, so a dashboard that hides failures could not be seen",
            "workload.failing: a transaction that is accepted and fails",
        )
    return sum(one.outcome == "success" for one in ended), len(ended)


def _told_by(deployment: Deployment, began: datetime, ended: datetime, total: int) -> Mapping[str, Any]:
    """What the operators' command says of the time, once it has counted all of it."""

    def asked() -> Mapping[str, Any]:
        return _ask(deployment, began, ended)

    try:
        return eventually(
            asked,
            within=deployment.deadline.within(_LATE_S),
            every_s=1.0,
            until=lambda said: said.get("total") is None or _number(said, "total") >= total,
        )
    except NotInTime as late:
        last: Mapping[str, Any] = late.last if isinstance(late.last, Mapping) else {}
        return last or asked()


def _ask(deployment: Deployment, since: datetime, until: datetime) -> Mapping[str, Any]:
    said = deployment.run("sla", since=instant(since), until=instant(until)).json()
    if not isinstance(said, Mapping):
        raise ProcedureFailed("procedures.sla prints no JSON object", _SHAPE)
    if said.get("availability") is not None and not 0 <= _number(said, "availability") <= 1:
        raise ProcedureFailed(f"procedures.sla tells an availability of {said['availability']}", _SHAPE)
    return said


def _nobody_else(deployment: Deployment, more: float, lasted_s: float, total: int) -> None:
    """UNKNOWN where others may have sent what is counted beyond our own; looks for them while we are quiet.

    A command that counts something else than callers' work also counts more than ours, and is not excused by others.
    """
    since, quiet_until = datetime.now(UTC), time.monotonic() + _QUIET_S
    with deployment.step("send nothing, and see whether others do"):
        eventually(lambda: time.monotonic() >= quiet_until, within=deployment.deadline.within(_QUIET_S + 5))
    told = _ask(deployment, since, datetime.now(UTC))
    expected = more * _QUIET_S / max(lasted_s, 0.001)
    if told.get("total") is None or _number(told, "total") > 0 or expected < _FEWEST_OTHERS:
        deployment.undecidable(
            f"it counts {more:g} more than the {total} that were ours: others used the deployment meanwhile",
            "run when nobody else sends work",
        )


def _number(told: Mapping[str, Any], name: str) -> float:
    value = told.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise ProcedureFailed(f"procedures.sla tells no number as {name}: {str(value)[:40]!r}", _SHAPE)
    return float(value)


def _row(one: Transaction) -> dict[str, object]:
    ended = None if one.ended_at is None else instant(one.ended_at)
    return {"marker": one.marker, "variant": one.variant, "outcome": one.outcome, "ended_at": ended}
