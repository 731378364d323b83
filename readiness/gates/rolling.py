"""Rolling updates under probes: which requests fell into one, and how they ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from readiness.deployment import Deployment
from readiness.gates.rollouts import SERVES_WITHIN_S, run_bounded, told
from readiness.probe_traffic import ProbeOutcome, ProbeTraffic
from readiness.score.confidence import LEVEL, lower_bound
from readiness.waiting import NotInTime, eventually

PROBES_PER_S = 50.0
SHARE_OF_RATE = 0.8
"""Of the declared rate; the rest is for the transactions beside the probes."""
MOST_ROUNDS = 100
"""A deploy that takes no time would otherwise be repeated for as long as the gate may take."""
_SHOWN = 3


@dataclass(slots=True)
class Rolled:
    """The rolling updates of a drill, and what kept it from having more of them."""

    windows: list[tuple[datetime, datetime]] = field(default_factory=list)
    probes: int = 0
    """Requests that were under way during one of them."""
    problem: str = ""
    remedy: str = ""

    @property
    def seconds(self) -> float:
        """How long the updates took, in all."""
        return sum((end - start).total_seconds() for start, end in self.windows)

    def during(self, outcomes: Sequence[ProbeOutcome]) -> list[ProbeOutcome]:
        """Give the requests that were under way during an update."""
        return [
            one
            for one in outcomes
            if any(one.at <= end and one.at + timedelta(seconds=one.latency_s) >= start for start, end in self.windows)
        ]


def probe_rate(deployment: Deployment) -> float:
    """Give the rate of the probes; UNKNOWN where the declared one never fills the sample in the time of the gate."""
    declared, wanted = deployment.descriptor.workload.max_rate_per_s, deployment.limit("probes").value
    rate_per_s = min(PROBES_PER_S, SHARE_OF_RATE * declared)
    half_s = deployment.deadline.left_s / 2
    if wanted / rate_per_s > half_s:
        deployment.undecidable(
            f"{wanted:.0f} requests take {wanted / rate_per_s:.0f} s at the declared {declared:g} a second, longer "
            "than the gate can keep a deployment rolling",
            f"workload.max_rate_per_s: {wanted / half_s / SHARE_OF_RATE:.1f}",
        )
    return rate_per_s


def roll(deployment: Deployment, current: str, candidate: str, probes: ProbeTraffic) -> Rolled:
    """Roll the candidate out and back until the sample is full, a request has failed or the time is short."""
    rolled, wanted = Rolled(), deployment.limit("probes").value
    for number in range(1, MOST_ROUNDS + 1):
        began_s = deployment.deadline.left_s
        for procedure, release in (("deploy", candidate), ("rollback", current)):
            with deployment.step(f"{procedure} under probes, round {number}"):
                _update(deployment, rolled, procedure, release)
            if rolled.problem:
                return rolled
        seen = rolled.during(probes.outcomes)
        took_s = began_s - deployment.deadline.left_s
        if len(seen) >= wanted or any(one.error for one in seen) or deployment.deadline.left_s < 3 * took_s:
            break
    return rolled


def _update(deployment: Deployment, rolled: Rolled, procedure: str, release: str) -> None:
    """Do one rolling update and see that it has led where it should."""
    began_at = datetime.now(UTC)
    ran = run_bounded(deployment, procedure, release=release)
    if not ran.ok:
        rolled.problem, rolled.remedy = f"there was no rolling update to watch: {ran.told()}", f"procedures.{procedure}"
    else:
        try:
            eventually(
                lambda: deployment.served_by(5),
                within=deployment.deadline.within(SERVES_WITHIN_S),
                until=lambda served: set(served) == {release},
            )
        except NotInTime as late:
            served = late.last if isinstance(late.last, Counter) else Counter[str]()
            rolled.problem = f"{procedure} ended with 0, and requests are served by {told(served)}, not by {release}"
            rolled.remedy = "workload.version_at: where an answer tells the release that served it"
    rolled.windows.append((began_at, datetime.now(UTC)))


def judge_probes(deployment: Deployment, rolled: Rolled, outcomes: Sequence[ProbeOutcome]) -> None:
    """Hold the requests of the updates against the promise that none fails, and say what that proves."""
    deployment.keep("requests", "\n".join(map(_line, outcomes)))
    seen = rolled.during(outcomes)
    rolled.probes = len(seen)
    failed = [one for one in seen if one.error]
    for kept, kind in ((True, "kept"), (False, "fresh")):
        mine = [one for one in seen if one.kept is kept]
        broken = sum(bool(one.error) for one in mine)
        deployment.measure(f"failed_on_{kind}_connections", broken, detail=f"of {len(mine)}")
    deployment.count(len(seen) - len(failed), len(seen))
    detail = f"of {len(seen)}: " + "; ".join(_line(one) for one in failed[:_SHOWN])
    deployment.measure("failed_probes", len(failed), limit="failed_probes", detail=detail)
    if not seen:
        return
    latencies_ms = sorted(one.latency_s * 1000 for one in seen)
    deployment.measure("p95_ms", round(latencies_ms[max(0, -(-len(seen) * 95 // 100) - 1)], 1), unit="ms")
    deployment.measure("slowest_ms", round(latencies_ms[-1], 1), unit="ms")
    proved = lower_bound(len(seen) - len(failed), len(seen))
    deployment.measure(
        "proved_share",
        round(100 * proved, 2),
        unit="%",
        detail=f"at least this share of requests succeeds during an update, with {LEVEL:.0%} confidence",
    )


def _line(one: ProbeOutcome) -> str:
    kind = "kept" if one.kept else "fresh"
    said = one.error or f"ok by {one.release or 'nobody who tells'}"
    return f"{one.at.isoformat(timespec='milliseconds')} {kind} {one.latency_s * 1000:.1f} ms {said}"
