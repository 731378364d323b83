"""PRF-SLA: whether the number that is signed is the number that callers lived through."""

from __future__ import annotations

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
_SHAPE = 'procedures.sla must print {"availability": <0 to 1>, "good": <n>, "total": <n>, "budget_left": <share>}'
"""So long a dashboard may take to show what has ended, in seconds."""


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
    others = told.get("total")
    if isinstance(others, int | float) and others > total:
        deployment.undecidable(
            f"it counts {others:g} where {total} were ours: others used the deployment meanwhile",
            "run when nobody else sends work",
        )
    deployment.measure(
        "difference_pp",
        round(abs(seen - truth) * 100, 4),
        limit="difference_pp",
        detail=f"told {seen:.4%}, the probe log says {truth:.4%} ({good} of {total})",
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
        deployment.undecidable("no probe failed, so a dashboard that hides failures could not be seen")
    return sum(one.outcome == "success" for one in ended), len(ended)


def _told_by(deployment: Deployment, began: datetime, ended: datetime, total: int) -> Mapping[str, Any]:
    """What the operators' command says of the time, once it has counted all of it."""

    def asked() -> Mapping[str, Any]:
        ran = deployment.run("sla", since=instant(began), until=instant(ended))
        said = ran.json()
        if not isinstance(said, Mapping) or not isinstance(said.get("availability"), int | float):
            raise ProcedureFailed(
                "procedures.sla does not print its numbers",
                _SHAPE,
            )
        return said

    try:
        return eventually(
            asked,
            within=deployment.deadline.within(_LATE_S),
            every_s=1.0,
            until=lambda said: said.get("total", total) >= total,
        )
    except NotInTime as late:
        last: Mapping[str, Any] = late.last if isinstance(late.last, Mapping) else {}
        return last or asked()


def _number(told: Mapping[str, Any], name: str) -> float:
    value = told.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ProcedureFailed(
            f"procedures.sla tells no number as {name}", f'procedures.sla must print {{"{name}": <n>}}'
        )
    return float(value)


def _row(one: Transaction) -> dict[str, object]:
    ended = None if one.ended_at is None else instant(one.ended_at)
    return {"marker": one.marker, "variant": one.variant, "outcome": one.outcome, "ended_at": ended}
