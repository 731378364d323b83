"""PRF-CAP: whether there is room above the peak, and whether the peak is still carried when a part is lost."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from readiness.deployment import Deployment
from readiness.gate import at_least, at_most, gate
from readiness.gates.load_runs import calm_of, first_errors, knee, least_percent, tell
from readiness.load.plan import Plan, Stage
from readiness.load.samples import BROKEN, TIMED, Outcome
from readiness.loadrun import LoadRun
from readiness.needs import capability, load, objective, procedure, service, signal, variant
from readiness.operations import PROCEDURE, Operation
from readiness.resources import CPU, MEMORY
from readiness.target import Instance, Kills
from readiness.thresholds import Criterion
from readiness.waiting import eventually

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from readiness.load.runner import Running

_BEFORE_S, _AFTER_S = 4.0, 3.0
_LOST_S = 7.0
"""So long after the last loss began the next one begins, in seconds: time to lose, to suffer and to come back.

At a low rate it is longer, up to `_LOST_AT_MOST_S`: two thirds of it must see transactions enough for a p95.
"""
_LOST_AT_MOST_S = 60.0
_FELT_S = 3.0
"""So long a loss must be under load for callers to feel it, in seconds."""
_STARTED_S = 60.0
_FEWEST_DURING = 20
"""With fewer the p95 is the slowest of all."""


@gate(
    "PRF-CAP-001",
    risk="high",
    blocking=False,
    mode="drill",
    version=1,
    why="Capacity computed on averages hides the second in which a core is full: that is the one that callers wait in.",
    measures="Measures the knee under the stress load (most completions a second over 5 s), and the highest use of "
    "processor and memory of every single replica, second by second, while the deployment carries its declared peak. "
    "Headroom is what is left: of the rate below the knee, of the busiest replica's processor and memory.",
    red="Less headroom than the limit: the declared peak is too near the knee, or a replica's processor or memory is "
    "used beyond it in some second.",
    mend="Spread periodic work over time, bound caches, add replicas, or promise less.",
    needs=[load("steady"), load("stress"), objective("peak_rate"), service("limits"), signal(CPU), signal(MEMORY)],
    limits={"headroom_percent": at_least(30, "%", "the catalogue")},
    typical_s=1.0,
    within_s=420.0,
)
def there_is_room_above_the_peak(deployment: Deployment) -> None:
    """At the declared peak every replica keeps its headroom of processor and memory, and the rate is below the knee."""
    peak_rate = deployment.descriptor.objectives.peak_rate
    assert peak_rate is not None
    steady, stress = deployment.load("steady"), deployment.load("stress")
    at_rate = steady.result.plan.stages[0].rate_from
    if at_rate < peak_rate:
        deployment.undecidable(
            f"the steady load was {at_rate:g}/s, below the declared peak of {peak_rate:g}/s",
            f"loadtests of the scenario: {{profile: steady, rate: {peak_rate:g}/s}}",
        )
    most = knee(stress)
    room = (1 - peak_rate / most) * 100 if most else 0.0
    deployment.measure(
        "headroom_of_rate",
        round(room, 1),
        limit="headroom_percent",
        detail=f"peak {peak_rate:g}/s, knee {most:.2f}/s",
    )
    peaks = steady.resources.peaks(deployment.descriptor, _whole(steady))
    deployment.keep("peaks", [(peak.instance, peak.what, round(peak.share, 4)) for peak in peaks])
    unread = {}
    for what in ("cpu", "memory"):
        unread[what] = steady.resources.unread(deployment.descriptor, what)
        busiest = next((peak for peak in peaks if peak.what == what), None)
        if busiest is None:
            deployment.undecidable(
                f"no replica has both a limit of {what} and readings of it",
                f"services.<service>.limits: {{{what}: …}}",
            )
        deployment.measure(
            f"headroom_of_{what}",
            round((1 - busiest.share) * 100, 1),
            limit="headroom_percent",
            detail=f"{busiest.instance} used {busiest.share:.0%}",
        )
    for what, services in unread.items():
        if services:
            deployment.undecidable(
                f"not every replica of {', '.join(services)} showed its {what} during the load",
                f"services.{services[0]}.metrics: <path>",
            )


@dataclass(frozen=True, slots=True)
class _Loss:
    """One replica that was lost for a while: offsets in seconds since the load's zero."""

    service: str
    from_s: float
    to_s: float


@gate(
    "PRF-CAP-005",
    risk="critical",
    blocking=True,
    mode="drill",
    version=1,
    why="Redundancy that is needed for the peak is no redundancy: the first host that fails takes the peak with it.",
    measures="Carries the declared peak and meanwhile loses one replica of every replicated service, one after the "
    "other: it is killed and kept down by the operators' command, and started again. Latency from the intended start, "
    "and what was refused or broken, are held against the objectives over all losses; the time until calm is told for "
    "each.",
    red="With one replica less the p95 is above the objective, or more is refused or broken than the objective of "
    "availability allows (by the lower bound of the share at 95 %).",
    mend="Have one replica more than the peak needs; take work back from a dead replica within seconds; let no caller "
    "keep the address of a dead one.",
    needs=[
        load("steady"),
        variant("ok"),
        objective("peak_rate"),
        capability(Kills),
        service("process"),
        procedure("stop"),
        procedure("start"),
        procedure("status"),
    ],
    limits={
        "unserved_percent": at_most(0.5, "%", "objectives.availability, else 99.5 %"),
        "p95_s": at_most(2, "s", "objectives.p95, else 2 s"),
    },
    typical_s=50.0,
    within_s=420.0,
)
def the_peak_is_carried_with_one_replica_less(deployment: Deployment) -> None:
    """Whichever replica is lost at the declared peak, the objectives of latency and availability hold."""
    objectives = deployment.descriptor.objectives
    assert objectives.peak_rate is not None
    replicated = [name for name, spec in deployment.descriptor.services.items() if spec.replicas > 1 and spec.process]
    if not replicated:
        deployment.undecidable(
            "no service has a second replica that could carry the peak", "services.<service>.replicas: 2"
        )
    each_s = 1.5 * 1.2 * _FEWEST_DURING / (objectives.peak_rate * len(replicated))
    each_s = min(max(_LOST_S, each_s), _LOST_AT_MOST_S)
    stages = [
        Stage(name, seconds, objectives.peak_rate, objectives.peak_rate)
        for name, seconds in (("before", _BEFORE_S), ("lost", each_s * len(replicated)), ("after", _AFTER_S))
    ]
    base = deployment.load_plan("steady")
    promised = Criterion("p95", "at_most", _p95_s(deployment), "s", "lost")
    plan = Plan("steady", tuple(stages), variant=base.variant, workers=base.workers, criteria=(promised,))
    losses: list[_Loss] = []

    def lose_each(going: Running) -> None:
        zero_s = eventually(lambda: going.zero_s, within=deployment.deadline.within(_STARTED_S))
        assert zero_s is not None
        for number, name in enumerate(replicated):
            at_s = zero_s + _BEFORE_S + number * each_s
            _wait_until(deployment, at_s)
            losses.append(_lose(deployment, name, zero_s, at_s + each_s * 2 / 3))

    run = deployment.load("steady", label="n-1", plan=plan, meanwhile=lose_each)
    tell(deployment, run)
    late = [loss.service for loss in losses if loss.from_s > plan.duration_s - _FELT_S]
    if late:
        deployment.undecidable(
            f"losing the others took longer than the load, so {late[0]} was lost when there was hardly any",
            "a quiet machine, or a quicker procedures.stop and procedures.start",
        )
    _judge(deployment, run, losses)


def _lose(deployment: Deployment, name: str, zero_s: float, until_s: float) -> _Loss:
    """Kill a replica, keep it down until then, and start it again."""
    victim = _victim(deployment, name)
    restored = [Operation(PROCEDURE, "start", {"service": name})]
    began_s = time.time()

    def gone() -> str:
        there = {one.pid for one in deployment.instances(name)}
        return f"process {victim.pid} of {victim.name} is gone" if victim.pid not in there else ""

    with deployment.change(
        f"lose {victim.name} at the peak", do=deployment.killing(victim), undo=restored, service=name, witness=gone
    ):
        ran = deployment.run("stop", service=name, instance=victim.name)
        if not ran.ok:
            deployment.undecidable(
                f"{victim.name} could not be kept down: {ran.told()}", "procedures.stop must end with 0"
            )
        _wait_until(deployment, until_s)
    return _Loss(name, began_s - zero_s, time.time() - zero_s)


def _victim(deployment: Deployment, name: str) -> Instance:
    running = [one for one in deployment.instances(name) if one.pid is not None]
    if not running:
        deployment.undecidable(f"no process of {name} is known", f"services.{name}.process: {{pidfile: …}}")
    return running[-1]


def _wait_until(deployment: Deployment, wall_s: float) -> None:
    left_s = wall_s - time.time()
    if left_s > 0:
        eventually(lambda: time.time() >= wall_s, within=deployment.deadline.within(left_s + 5), every_s=0.05)


def _judge(deployment: Deployment, run: LoadRun, losses: Sequence[_Loss]) -> None:
    import numpy as np

    from readiness.load.merging import rank

    samples = run.samples
    calm_s = calm_of(run.result.latencies_s("before"))
    inside = np.zeros(len(samples), dtype=bool)
    for loss in losses:
        hit = (samples["intended_s"] >= loss.from_s) & (samples["intended_s"] < loss.to_s)
        inside |= hit
        _tell_loss(deployment, loss, samples[hit], calm_s)
    during = samples[inside]
    if len(during) < _FEWEST_DURING:
        deployment.undecidable(
            f"{len(during)} transactions during the losses are too few to tell a p95",
            "objectives.peak_rate: the rate of the busiest hour",
        )
    bad = int(np.isin(during["outcome"], (*BROKEN, Outcome.SHED)).sum())
    objectives = deployment.descriptor.objectives
    allowed = deployment.limit("unserved_percent").value
    if objectives.availability is not None:
        allowed = (1 - objectives.availability) * 100
    deployment.measure(
        "unserved_percent",
        round(least_percent(bad, len(during)), 3),
        unit="%",
        at_most=round(allowed, 6),
        detail=f"{bad} of {len(during)}; lower bound at 95 %; {first_errors(run)}",
    )
    deployment.count(len(during) - bad, len(during))
    timed = during[np.isin(during["outcome"], TIMED)]
    latencies = np.sort(timed["ended_s"] - timed["intended_s"])
    p95_s = float(latencies[rank(0.95, len(latencies))]) if len(latencies) else None
    shown = None if p95_s is None else round(p95_s, 3)
    told = f"of {len(latencies)} transactions"
    deployment.measure("p95_with_one_less", shown, unit="s", at_most=_p95_s(deployment), detail=told)


def _p95_s(deployment: Deployment) -> float:
    promised = deployment.descriptor.objectives.p95
    return promised.total_seconds() if promised is not None else deployment.limit("p95_s").value


def _tell_loss(deployment: Deployment, loss: _Loss, samples: NDArray[np.void], calm_s: float) -> None:
    """Tell when a loss was first felt and when it was over, on the clock of the load."""
    import numpy as np

    slow = samples["ended_s"] - samples["intended_s"] > calm_s
    felt = samples[slow | np.isin(samples["outcome"], (*BROKEN, Outcome.SHED))]
    if not len(felt):
        deployment.measure(f"recovery_of_{loss.service}", 0.0, unit="s", detail="not felt by any caller")
        return
    first_s, last_s = float(felt["intended_s"].min()), float(felt["ended_s"].max())
    deployment.measure(
        f"recovery_of_{loss.service}",
        round(last_s - loss.from_s, 2),
        unit="s",
        detail=f"{len(felt)} of {len(samples)} felt it, the first {first_s - loss.from_s:.1f} s after the loss",
    )


def _whole(run: LoadRun) -> tuple[float, float]:
    return run.began_s, run.began_s + run.result.plan.duration_s
