"""PRF-LOD-002: what grows in the deployment with the work that it does."""

from __future__ import annotations

from readiness.deployment import Deployment
from readiness.gate import at_most, gate
from readiness.gates.load_runs import hold_criteria, tell
from readiness.loadrun import LoadRun
from readiness.needs import load, signal, variant
from readiness.resources import DESCRIPTORS, MEMORY

_MB = 1e6
_FEWEST_READINGS = 8


@gate(
    "PRF-LOD-002",
    risk="high",
    blocking=False,
    mode="drill",
    version=1,
    why="A leak kills in the fourth night, not in the test. Memory and descriptors that grow with work end in a "
    "restart at the worst moment.",
    measures="Sends a steady load for the length of the scenario's endurance profile and reads memory and open "
    "descriptors of every service meanwhile. The slope is Theil-Sen's with Sen's interval (1968), the warm-up left "
    "out; a leak is proven where the lower bound at 95 % is above the budget.",
    red="The lower bound of a service's growth of memory or descriptors is above the budget of the scenario "
    "(`memory`, `descriptors` of the profile's thresholds) or the gate's own, or latency or errors leave the profile's "
    "thresholds.",
    mend="Compare two heap snapshots under load; bound every cache; close what is opened on every way out.",
    needs=[load("endurance"), variant("ok"), signal(MEMORY), signal(DESCRIPTORS)],
    limits={
        "memory_mb_per_h": at_most(2, "MB/h", "design: budget of an endurance run"),
        "descriptors_per_h": at_most(10, "/h", "default: less than a quarter of a thousand a day"),
    },
    typical_s=35.0,
    within_s=180.0,
)
def nothing_leaks_under_steady_load(deployment: Deployment) -> None:
    """Under a steady load memory and open descriptors of no service grow beyond their budget."""
    run = deployment.load("endurance")
    tell(deployment, run)
    hold_criteria(deployment, run)
    unread = {
        meaning: _hold_growth(deployment, run, meaning, limit, metric, scale)
        for meaning, limit, metric, scale in (
            (MEMORY, "memory_mb_per_h", "memory", _MB),
            (DESCRIPTORS, "descriptors_per_h", "descriptors", 1.0),
        )
    }
    for meaning, services in unread.items():
        if services:
            deployment.undecidable(
                f"{', '.join(services)} showed {meaning} fewer than {_FEWEST_READINGS} times during the load",
                f"services.{services[0]}.metrics: <path>, signals.{meaning}.services: [<those that show it>], or a "
                "longer loadtests: endurance",
            )


def _hold_growth(
    deployment: Deployment, run: LoadRun, meaning: str, limit: str, metric: str, scale: float
) -> list[str]:
    """Hold the service that grows most against its budget; gives those that showed too little to be judged."""
    from readiness.load.stats.leak import slope

    default = deployment.limit(limit)
    budget = run.budget(metric, default.value)
    since_s = run.stretch("endurance")[0]
    grown, unread = [], []
    for service in _that_show(deployment, run, meaning):
        times, values = run.resources.series(service, meaning, since_s)
        if len(times) < _FEWEST_READINGS:
            unread.append(service)
            continue
        found = slope(times, [value / scale for value in values])
        told = f"{service}: {found.per_hour:.4g} {default.unit}, 95 % interval {found.low:.4g} to {found.high:.4g}"
        grown.append((found.low, told))
    if not grown:
        return unread
    low, told = max(grown)
    note = f"worst of {len(grown)} services, lower bound at 95 %; {told}"
    if budget != default.value:
        note += f"; the scenario's budget, since its length cannot show the default of {default.value:g} {default.unit}"
        deployment.measure(limit, round(low, 3), unit=default.unit, at_most=budget, detail=note)
    else:
        deployment.measure(limit, round(low, 3), limit=limit, detail=note)
    return unread


def _that_show(deployment: Deployment, run: LoadRun, meaning: str) -> list[str]:
    """Name the services that must show a signal: those that it is declared for, else all that have metrics."""
    declared = deployment.signal(meaning).services
    services = deployment.descriptor.services
    named = [name for name, spec in services.items() if (name in declared if declared else spec.metrics is not None)]
    if not (named := named or sorted(set(run.resources.services.values()))):
        deployment.undecidable(f"no service shows {meaning}", "services.<service>.metrics: <path>")
    return named
