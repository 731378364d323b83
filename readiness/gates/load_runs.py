"""What several gates ask of a load run: what its criteria say, whether calm returned, what became of accepted work."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from readiness.deployment import Deployment
from readiness.load.samples import Outcome
from readiness.loadrun import LoadRun
from readiness.score.confidence import lower_bound
from readiness.together import at_once
from readiness.waiting import NotInTime, eventually
from readiness.workload import Transaction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from readiness.load.stats.recovery import Recovery

_WINDOW_S = 5.0
"""Beyond the run calm is looked for in stretches of so many seconds."""
_FEWEST_BEFORE = 5
SLOWER = 1.2
FLOOR_S = 0.1
"""A single transaction felt a loss where it took more than 1.2 x the median before plus 0.1 s."""
_ENDED_S = 30.0
_LOOKS_AT_MOST = 400


def hold_criteria(deployment: Deployment, run: LoadRun) -> None:
    """Hold the run against the thresholds that were written before it."""
    for one in run.verdict.measured:
        criterion = one.criterion
        unit, value = criterion.unit, None if one.value is None else round(one.value, 4)
        name = f"{run.label}_{criterion.name}"
        if criterion.bound == "at_most":
            deployment.measure(name, value, unit=unit, at_most=criterion.value)
        else:
            deployment.measure(name, value, unit=unit, at_least=criterion.value)


def tell(deployment: Deployment, run: LoadRun) -> None:
    """Keep the run's plan, stages and errors as evidence of the gate."""
    result = run.result
    stages = [
        {
            "stage": stage.name,
            "planned": stage.planned,
            "started": stage.started,
            "ok": stage.ok,
            "shed": stage.shed,
            "broken": stage.broken,
            "p50_s": stage.latency.p50_s,
            "p95_s": stage.latency.p95_s,
        }
        for stage in (*result.stages, result.total)
    ]
    verdict = {"outcome": str(run.verdict.outcome), "reasons": run.verdict.reasons}
    kept = {"sha256": result.sha256, "verdict": verdict, "stages": stages, "errors": dict(result.errors)}
    deployment.keep(f"load-{run.label}", kept)


def recovery_s(deployment: Deployment, run: LoadRun, limit: str) -> float | None:
    """Measure how long after the load had dropped the system was itself again, in seconds; wait up to the limit.

    It is looked for in the run's stage `after`, and then in transactions at the rate of that stage.
    """
    from readiness.load.stats.recovery import recovered

    before, (dropped_s, _) = _offsets(run, "before"), _offsets(run, "after")
    counted = run.result.stage("before").latency.n
    if counted < _FEWEST_BEFORE:
        deployment.undecidable(
            f"{counted} transactions before the overload are too few to tell what calm is",
            f"loadtests of the scenario: {{profile: {run.result.plan.profile}, duration: <longer>}}",
        )
    found = recovered(run.result.seconds, before, dropped_s)
    seconds = found.seconds
    if seconds is None:
        seconds = _afterwards(deployment, run, found, limit)
    most_s = deployment.limit(limit).value
    detail = (
        f"calm: a p95 of at most {found.p95_limit_ms:.0f} ms, and {found.error_limit:.1%} refused or broken, as before"
    )
    shown = None if seconds is None else round(seconds, 1)
    told = detail if shown is not None else f"not within {most_s:g} s; {detail}"
    deployment.measure(limit, shown, limit=limit, detail=told)
    return seconds


def calm_of(before: NDArray[np.float64]) -> float:
    """The latency in seconds that still counts as calm, from the latencies before."""
    import numpy as np

    return float(np.median(before)) * SLOWER + FLOOR_S if len(before) else FLOOR_S


def _afterwards(deployment: Deployment, run: LoadRun, normal: Recovery, limit: str) -> float | None:
    """Go on at the calm rate until the limit is over: so long a deployment may take to recover."""
    began, _ = _offsets(run, "after")
    dropped_s = run.began_s + began
    rate = run.result.plan.stages[0].rate_from
    most_s = deployment.limit(limit).value

    def window() -> float | None:
        at = time.time()
        with deployment.traffic(run.result.plan.variant, rate) as traffic:
            _pause(deployment, _WINDOW_S)
        seen = traffic.summary()
        unserved = seen.sent - seen.succeeded
        quick = seen.p95_ms is not None and seen.p95_ms <= normal.p95_limit_ms
        calm = quick and unserved <= normal.error_limit * seen.sent
        return at - dropped_s if calm else None

    left_s = most_s - (time.time() - dropped_s)
    if left_s <= 0:
        if window() is not None:
            deployment.undecidable(
                f"calm had not come back when the run {run.label} ended, and had when it was looked at again, "
                f"more than {most_s:g} s later",
                "run this gate alone, or give the profile a longer duration",
            )
        return None
    try:
        return eventually(window, within=deployment.deadline.within(left_s), until=lambda seen: seen is not None)
    except NotInTime:
        if deployment.deadline.expired:
            deployment.undecidable("the time of the gate ended before the limit for recovery", "a later deadline")
        return None


def _pause(deployment: Deployment, seconds: float) -> None:
    """Let traffic go on for so long."""
    until = time.monotonic() + seconds
    eventually(lambda: time.monotonic() >= until, within=deployment.deadline.within(seconds + 5), every_s=0.2)


def lost(deployment: Deployment, run: LoadRun) -> list[str]:
    """Await what was accepted and had not ended when the run was over; gives the markers of what never ends."""
    waiting = list(run.result.unfinished)[:_LOOKS_AT_MOST]
    if not waiting:
        return []

    def still() -> bool:
        nonlocal waiting
        looks = [
            functools.partial(deployment.look_again, {**one, "variant": run.result.plan.variant}) for one in waiting
        ]
        seen: Sequence[Transaction] = at_once(looks)
        waiting = [one for one, now in zip(waiting, seen, strict=True) if now.outcome == "pending"]
        return not waiting

    try:
        eventually(still, within=deployment.deadline.within(_ENDED_S), every_s=0.5)
    except NotInTime:
        return [one["marker"] for one in waiting]
    return []


def error_share(run: LoadRun, stages: Sequence[str] | None = None, *, shed_too: bool = False) -> tuple[int, int]:
    """Count what was not served (with `shed_too` also what was refused for load), and all that was sent."""
    chosen = [stage for stage in run.result.stages if stages is None or stage.name in stages]
    bad = sum(stage.broken + (stage.shed if shed_too else 0) for stage in chosen)
    return bad, sum(stage.started for stage in chosen)


def least_percent(bad: int, of: int) -> float:
    """The lower bound of the share of bad ones at 95 %, in percent (one-sided; Clopper and Pearson 1934)."""
    return lower_bound(bad, of) * 100 if of else 0.0


def throughput(run: LoadRun, between: tuple[float, float]) -> float:
    """Transactions that ended well a second, between two offsets of the run in seconds."""
    samples = run.samples
    ended = samples[(samples["outcome"] == Outcome.OK)]["ended_s"]
    return float(((ended >= between[0]) & (ended < between[1])).sum()) / (between[1] - between[0])


def knee(run: LoadRun) -> float:
    """The most transactions a second that were completed, over any five seconds in a row of the run."""
    import numpy as np

    samples = run.samples
    ended = np.sort(samples[samples["outcome"] == Outcome.OK]["ended_s"])
    if len(ended) == 0:
        return 0.0
    until = np.searchsorted(ended, ended + 5.0, side="right")
    return float((until - np.arange(len(ended))).max()) / 5.0


def first_errors(run: LoadRun) -> str:
    """The most frequent errors in words."""
    ordered = sorted(run.result.errors.items(), key=lambda item: -item[1])
    return "; ".join(f"{count} x {kind}" for kind, count in ordered[:3])


def _offsets(run: LoadRun, stage: str) -> tuple[float, float]:
    began, ended = run.stretch(stage)
    return began - run.began_s, ended - run.began_s
