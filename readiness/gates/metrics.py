"""OBS-MET: metrics that tell what was really done."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from readiness.deployment import Deployment
from readiness.descriptor import Variant
from readiness.evidence.metrics import Snapshot, increase
from readiness.gate import at_most, gate
from readiness.needs import evidence, signal, variant
from readiness.waiting import NotInTime, eventually
from readiness.workload import Transaction

DONE, FAILED = "tasks_done_total", "tasks_failed_total"
SECONDS, TIMINGS = "task_seconds_sum", "task_seconds_count"
RETRIED = "tasks_retried_total"
SUBMITTED = "workflows_submitted_total"
_TRANSACTIONS = {"ok": 30, "failing": 6, "retried": 4, "slow": 2}
"""Per path: of the 120 tasks that 30 transactions of four make, one that is lost is within the limit, two are not."""
_REST_S = 0.5
"""So long counters must stand still to be final, in seconds."""
_LATE_S = {"scrape": 5.0, "prometheus": 60.0}
"""How long a count may lag behind the work, in seconds: a server has it after its next scrape only."""
_STARTED = "process_start_time_seconds"


@dataclass(frozen=True, slots=True)
class _Path:
    """What was sent on one path, and how the counters rose meanwhile."""

    name: str
    spec: Variant
    sent: Sequence[Transaction]
    before: Snapshot
    after: Snapshot
    wall_s: float

    def truth(self, meaning: str) -> float:
        """The true increase of a signal."""
        return self.spec.counts.get(meaning, 0.0) * len(self.sent)


@gate(
    "OBS-MET-002",
    risk="critical",
    blocking=True,
    mode="probe",
    version=1,
    why="Alerts, error budgets and scaling stand on these counters. A failed task that is not counted makes the error "
    "rate of an outage look like that of a good day.",
    measures="Sends transactions whose tasks are known: good, failing, retried and slow ones, one path after the "
    "other. On each the counters of done and failed tasks, summed over all instances, must rise by the known number, "
    "and so the success and error rates are right; the time of tasks must rise by at least what the slow path is known "
    "to take and by no more than the tasks can have taken; timings must be as many as tasks of the good path.",
    red="A count that differs by more than the limit from the tasks that really ran, times that are shorter or longer "
    "than can be, or timings that are not one a task.",
    mend="Count and time each task once, at the place that every way out of it passes (finally, middleware); observe "
    "seconds; export every process that does work.",
    needs=[evidence("metrics"), variant("ok"), variant("failing"), *map(signal, (DONE, FAILED, SECONDS, TIMINGS))],
    limits={"deviation_percent": at_most(1, "%", "default of the catalogue")},
    typical_s=12,
    within_s=240,
)
def task_counters_match_the_work(deployment: Deployment) -> None:
    """The counters of tasks and their times rise by exactly the work that was done, failed tasks included."""
    specs = _declared(deployment)
    _all_shown_or_unknown(deployment)
    with deployment.step("see that nothing else is counted"):
        _still_or_unknown(deployment)
    paths = {}
    for name, spec in specs.items():
        with deployment.step(f"send transactions of the path {name}"):
            paths[name] = _walk(deployment, name, spec)
    deployment.keep("counts", {name: _told(deployment, path) for name, path in paths.items()})
    foreign = _foreign(deployment, paths.values())
    for name, path in paths.items():
        _judge_counts(deployment, name, path, foreign)
    if foreign:
        deployment.undecidable(
            f"others used the deployment meanwhile ({foreign}), so the counters hold their tasks too",
            "run when nobody else sends work",
        )
    for name, path in paths.items():
        _judge_times(deployment, name, path)
    if "slow" not in paths or paths["slow"].spec.lasts_at_least is None:
        deployment.undecidable(
            "no path is known to take time, so the times cannot be judged",
            "workload.slow: {…, counts: …, lasts_at_least: 1s}",
        )


def _declared(deployment: Deployment) -> dict[str, Variant]:
    found = {}
    for name in _TRANSACTIONS:
        spec = getattr(deployment.descriptor.workload, name)
        if spec is not None and {DONE, FAILED} & set(spec.counts):
            found[name] = spec
        elif name in ("ok", "failing"):
            deployment.undecidable(
                f"nothing says how many tasks a transaction of the path {name} makes",
                f"workload.{name}.counts: {{{DONE}: <n>, {FAILED}: <n>}}",
            )
    if not any(spec.counts.get(FAILED) for spec in found.values()):
        deployment.undecidable("no path makes a failed task", f"workload.failing.counts: {{{FAILED}: <n>}}")
    return found


def _all_shown_or_unknown(deployment: Deployment) -> None:
    """End the gate as UNKNOWN where a replica that counts is not read: what it counts would be missed."""
    source = deployment.descriptor.evidence.metrics
    if source is None or source.prometheus:
        return
    shown = Counter(deployment.metrics().services.values())
    counting = {name for meaning in (DONE, FAILED, SECONDS, TIMINGS) for name in deployment.signal(meaning).services}
    for name in sorted(counting):
        spec = deployment.descriptor.services.get(name)
        if spec is not None and shown[name] < spec.replicas:
            line = "metrics: /metrics" if spec.metrics is None else "instances: {file_sd: <file>}"
            deployment.undecidable(
                f"the metrics of {shown[name]} of {spec.replicas} replicas of {name} are read",
                f"services.{name}.{line}",
            )


def _walk(deployment: Deployment, name: str, spec: Variant) -> _Path:
    before, began_s = deployment.metrics(), time.monotonic()
    sent = deployment.transact(name, _TRANSACTIONS[name])
    wall_s = time.monotonic() - began_s
    amiss = Counter(f"{t.outcome} ({t.error})" for t in sent if not t.as_meant)
    if amiss:
        deployment.undecidable(
            f"{amiss.total()} of {len(sent)} transactions of {name} ended as {amiss.most_common(1)[0][0]}"
        )
    path = _Path(name, spec, sent, before, before, wall_s)
    resting_since, last = time.monotonic(), before
    source = deployment.descriptor.evidence.metrics
    late_s = _LATE_S["prometheus" if source is not None and source.prometheus else "scrape"]

    def settled() -> bool:
        nonlocal resting_since, last
        now = deployment.metrics()
        if _rises(deployment, last, now):
            resting_since = time.monotonic()
        last = now
        late = time.monotonic() - began_s - wall_s > late_s
        right = all(increase(before, now, deployment.signal(m)) == path.truth(m) for m in (DONE, FAILED))
        return time.monotonic() - resting_since >= _REST_S and (right or late)

    try:
        eventually(settled, within=deployment.deadline.within(late_s + 5), every_s=0.2)
    except NotInTime:
        deployment.note(f"the counters of {name} did not come to rest")
    return _Path(name, spec, sent, before, last, wall_s)


def _rises(deployment: Deployment, before: Snapshot, after: Snapshot) -> bool:
    return any(increase(before, after, deployment.signal(m)) != 0 for m in (DONE, FAILED, TIMINGS))


def _still_or_unknown(deployment: Deployment) -> None:
    first = deployment.metrics()
    for meaning in (DONE, FAILED, SECONDS, TIMINGS):
        if not first.knows(deployment.signal(meaning)):
            deployment.note(f"no instance shows {meaning} yet")
    began_s = time.monotonic()

    def later() -> Snapshot | None:
        now = deployment.metrics()
        return now if time.monotonic() - began_s >= _REST_S else None

    last = eventually(later, within=deployment.deadline, every_s=0.4)
    if last is not None and any(
        first.knows(s) and increase(first, last, s) for s in map(deployment.signal, (DONE, FAILED))
    ):
        deployment.undecidable("tasks are counted while nothing is sent", "run when nobody else sends work")


def _foreign(deployment: Deployment, paths: Iterable[_Path]) -> str:
    """Say what shows that somebody else sent work, where a signal counts what is handed in."""
    if SUBMITTED not in deployment.descriptor.signals:
        return ""
    handed_in = deployment.signal(SUBMITTED)
    for path in paths:
        extra = increase(path.before, path.after, handed_in) - len(path.sent)
        if extra > 0 and path.after.knows(handed_in):
            return f"{extra:g} more than ours were handed in"
    return ""


def _judge_counts(deployment: Deployment, name: str, path: _Path, foreign: str) -> None:
    for meaning in (DONE, FAILED, TIMINGS):
        truth = _expected(path, meaning)
        if truth is None or (meaning == TIMINGS and _tried_again(deployment, path)):
            continue
        rise = increase(path.before, path.after, deployment.signal(meaning))
        if foreign and rise > truth:
            continue
        if rise < truth and (gone := _restarted(path)):
            deployment.undecidable(f"{gone} was started anew meanwhile: what it had counted is lost")
        # where nothing may be counted, the tasks that ran are the measure
        base = truth or sum(path.truth(m) for m in (DONE, FAILED))
        deployment.measure(
            f"{meaning}_on_{name}",
            round(100.0 * abs(rise - truth) / base, 3),
            limit="deviation_percent",
            detail=f"rose by {rise:g}, true is {truth:g}",
        )


def _expected(path: _Path, meaning: str) -> float | None:
    """The true increase; None where it is not known (whether a failed attempt is timed is each system's own choice)."""
    if meaning in (DONE, FAILED) or meaning in path.spec.counts:
        return path.truth(meaning)
    return path.truth(DONE) if path.name in ("ok", "slow") and not path.spec.counts.get(FAILED) else None


def _tried_again(deployment: Deployment, path: _Path) -> bool:
    """Whether tasks were tried again that should not have been (a busy machine): each attempt may have its timing."""
    if RETRIED not in deployment.descriptor.signals:
        return False
    retried = deployment.signal(RETRIED)
    return path.after.knows(retried) and increase(path.before, path.after, retried) > path.truth(RETRIED)


def _judge_times(deployment: Deployment, name: str, path: _Path) -> None:
    seconds = increase(path.before, path.after, deployment.signal(SECONDS))
    slack = 1 + deployment.limit("deviation_percent").value / 100
    timings = increase(path.before, path.after, deployment.signal(TIMINGS))
    longest_s = max((t.latency_s or 0.0 for t in path.sent), default=0.0)
    most_s = max(timings, path.truth(DONE) + path.truth(FAILED)) * longest_s * slack
    deployment.measure(f"task_seconds_on_{name}", round(seconds, 3), unit="s", at_most=round(most_s, 3))
    if path.spec.lasts_at_least is not None:
        least_s = path.spec.lasts_at_least.total_seconds() * len(path.sent) / slack
        deployment.measure(f"least_task_seconds_on_{name}", round(seconds, 3), unit="s", at_least=round(least_s, 3))


def _restarted(path: _Path) -> str:
    """Name an instance whose counters began anew during the path, for then some of them are lost."""
    for name, shown in path.before.exposed.items():
        there = path.after.exposed.get(name)
        started = [[v for (metric, _), v in e.samples.items() if metric == _STARTED] for e in (shown, there) if e]
        if there is None or started[0] != started[1]:
            return name
    return ""


def _told(deployment: Deployment, path: _Path) -> dict[str, object]:
    meanings = [m for m in (DONE, FAILED, SECONDS, TIMINGS, SUBMITTED) if m in deployment.descriptor.signals]
    rises = {m: increase(path.before, path.after, deployment.signal(m)) for m in meanings}
    return {"sent": len(path.sent), "wall_s": round(path.wall_s, 3), "true": dict(path.spec.counts), "rose": rises}
