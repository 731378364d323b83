"""PRF-LOD: what the deployment does under more load, for longer, and with more data than every day."""

from __future__ import annotations

from dataclasses import replace

from readiness.deployment import Deployment
from readiness.gate import at_least, at_most, gate
from readiness.gates.load_runs import (
    error_share,
    first_errors,
    hold_criteria,
    knee,
    least_percent,
    lost,
    recovery_s,
    tell,
)
from readiness.inventory import ComponentCount
from readiness.load.plan import OPEN, Plan
from readiness.loadrun import LoadRun
from readiness.needs import load, objective, procedure, variant, volume
from readiness.operations import PROCEDURE, Operation

_OVERLOADED_SHARE = 0.05
_OVERLOADED_SLOWER = 3.0
_UNCALM = 2.0
_BEYOND_PEAK = 3.0
"""A deployment that is not overloaded at three times its declared peak need not show how it is overloaded."""
_FEWEST_COMPARED = 10


@gate(
    "PRF-LOD-001",
    risk="critical",
    blocking=True,
    mode="drill",
    version=1,
    why="Every system is overloaded some day. One that refuses what it cannot do is back when the day is over; one "
    "that takes everything in wedges, and an operator restarts it at night.",
    measures="Ramps the arrival rate past the knee, holds it there and drops it, by an open-model Locust run whose "
    "arrivals do not wait for answers. Counts what was refused (429, 503 with Retry-After) apart from what broke, "
    "measures the knee (most completions a second over 5 s), looks again at all accepted work that had not ended, and "
    "measures when the median is back at 1.2 x that before with nothing refused.",
    red="Work breaks instead of being refused (by the lower bound of its share at 95 %), accepted work never ends, or "
    "calm does not come back within the limit.",
    mend="Bound every queue and refuse with 429 and Retry-After before accepting; give permits and counters back on "
    "every way out; never drop what was accepted.",
    needs=[load("stress"), variant("ok")],
    limits={
        "recovery_s": at_most(300, "s", "the catalogue: 5 min"),
        "broken_percent": at_most(1, "%", "default: what an overload may break"),
    },
    typical_s=40.0,
    within_s=420.0,
)
def overload_is_refused_and_passes(deployment: Deployment) -> None:
    """Past its knee the deployment refuses what it cannot do, loses nothing it accepted, and recovers by itself."""
    run = deployment.load("stress")
    tell(deployment, run)
    deployment.measure("knee_per_s", round(knee(run), 2), unit="/s", detail="most completions a second over 5 s")
    _past_the_knee(deployment, run)
    hold_criteria(deployment, run)
    bad, of = error_share(run)
    deployment.measure(
        "broken_percent",
        round(least_percent(bad, of), 3),
        limit="broken_percent",
        detail=f"{bad} of {of}; lower bound at 95 %; {first_errors(run)}",
    )
    with deployment.step("wait until calm is back"):
        recovery_s(deployment, run, "recovery_s")
    with deployment.step("look again at accepted work"):
        gone = lost(deployment, run)
    deployment.measure("accepted_and_lost", len(gone), equals=0, detail=", ".join(gone[:3]))
    deployment.count(of - bad, of)  # what is lost had not ended in the run, and is among the bad


def _past_the_knee(deployment: Deployment, run: LoadRun) -> None:
    """UNKNOWN where the deployment was not overloaded, and the load was not far beyond what it is built for."""
    stages = {stage.name: stage for stage in run.result.stages}
    hard, before = stages["overload"], stages["before"].latency.p50_s
    refused = (hard.shed + hard.broken) / max(1, hard.started)
    slower = hard.latency.p50_s is not None and before is not None and hard.latency.p50_s > _OVERLOADED_SLOWER * before
    overloaded = refused > _OVERLOADED_SHARE or slower
    told = f"{refused:.0%} refused or broken at {hard.planned_rate:g}/s"
    deployment.measure("overloaded", overloaded, detail=told)
    peak = deployment.descriptor.objectives.peak_rate
    if not overloaded and (peak is None or hard.planned_rate < _BEYOND_PEAK * peak):
        deployment.undecidable(
            f"{hard.planned_rate:g} arrivals a second did not overload it, so nothing shows how it is overloaded",
            "loadtests of the scenario: {profile: stress, factor: <higher>}, or objectives.peak_rate",
        )


@gate(
    "PRF-LOD-003",
    risk="high",
    blocking=False,
    mode="drill",
    version=1,
    why="Callers come at once: after an outage, at nine o'clock, from a retrying client. What stays broken after such "
    "a minute is an outage made of nothing.",
    measures="Multiplies the arrival rate within an instant (ten times, unless the scenario says otherwise), drops it "
    "again, counts what was refused or broken and measures when the median is back at 1.2 x that before.",
    red="More is refused or broken than the error budget allows (by the lower bound of the share at 95 %), or calm "
    "does not come back within the limit.",
    mend="Give pools a timeout for taking and always give back; let breakers try again after seconds; add jitter to "
    "retries and a budget.",
    needs=[load("spike"), variant("ok")],
    limits={
        "recovery_s": at_most(300, "s", "the catalogue: 5 min"),
        "unserved_percent": at_most(5, "%", "default: error budget of one spike"),
    },
    typical_s=35.0,
    within_s=420.0,
)
def a_spike_leaves_nothing_behind(deployment: Deployment) -> None:
    """A sudden multiple of the load is served or refused within the error budget, and calm returns by itself."""
    run = deployment.load("spike")
    tell(deployment, run)
    hold_criteria(deployment, run)
    bad, of = error_share(run, shed_too=True)
    deployment.measure(
        "unserved_percent",
        round(least_percent(bad, of), 3),
        limit="unserved_percent",
        detail=f"{bad} of {of}; lower bound at 95 %; {first_errors(run)}",
    )
    deployment.count(of - bad, of)
    with deployment.step("wait until calm is back"):
        recovery_s(deployment, run, "recovery_s")


@gate(
    "PRF-LOD-004",
    risk="high",
    blocking=False,
    mode="drill",
    version=1,
    why="A query without an index, a list without a limit: fast on a new system, and a little slower every week until "
    "it is too slow for everybody at once.",
    measures="Fills the deployment to a tenth of its declared volume and then to all of it, by its operators' own "
    "command, and measures the latency of the same transaction at both, from the intended start.",
    red="Ten times the data makes the median slower than the limit allows; the p95 is told beside it.",
    mend="Give every query an index and a limit; page lists; archive ended work.",
    needs=[load("volume"), volume(), procedure("fill"), procedure("unfill"), procedure("inventory")],
    limits={"slower_ratio": at_most(1.6, "x", "default: ten times the data, far below linear")},
    typical_s=35.0,
    within_s=300.0,
)
def ten_times_the_data_is_not_slow(deployment: Deployment) -> None:
    """With ten times the data the same work takes hardly longer."""
    spec = deployment.descriptor.volume
    assert spec is not None
    plan = _of_variant(deployment.load_plan("volume"), spec.variant)
    before = sum(count.count for count in deployment.inventory().values())
    tenth, whole = spec.items // 10, spec.items
    filled = Operation(PROCEDURE, "fill", {"items": tenth})

    def grown() -> str:
        held = sum(count.count for count in deployment.inventory().values())
        return f"{held - before} more items" if held - before >= tenth else ""

    with deployment.change(
        f"fill the deployment to {whole} items", do=filled, undo=[Operation(PROCEDURE, "unfill")], witness=grown
    ):
        few = deployment.load("volume", label="volume-tenth", plan=plan)
        ran = deployment.run("fill", items=str(whole))
        if not ran.ok:
            deployment.undecidable(f"it could not be filled: {ran.told()}", "procedures.fill must end with 0")
        many = deployment.load("volume", label="volume-whole", plan=plan)
        _held(deployment, deployment.inventory(), before + whole)
    for run in (few, many):
        tell(deployment, run)
        hold_criteria(deployment, run)
    fewest = min(len(run.result.latencies_s()) for run in (few, many))
    if fewest < _FEWEST_COMPARED:
        deployment.undecidable(
            f"{fewest} transactions with a latency are too few to compare medians ({_FEWEST_COMPARED} or more)",
            "loadtests of the scenario: {profile: volume, duration: <longer>}",
        )
    _calm_or_unknown(deployment, few)
    for name, q in (("median", 0.5), ("p95", 0.95)):
        fast, slow = few.result.quantile_s(q), many.result.quantile_s(q)
        assert fast is not None and slow is not None
        ratio = round(slow / max(fast, 1e-6), 3)
        told = f"{name} {fast * 1000:.0f} ms at {tenth} items, {slow * 1000:.0f} ms at {whole}"
        if name == "median":
            deployment.measure("slower_ratio", ratio, limit="slower_ratio", detail=told)
        else:
            deployment.measure("slower_ratio_p95", ratio, unit="x", detail=told)


def _calm_or_unknown(deployment: Deployment, few: LoadRun) -> None:
    """UNKNOWN where even a tenth of the data was slow: what else held the deployment up hides what the rest does."""
    steady = next((run for run in deployment.load_runs() if run.label == "steady"), None)
    if steady is None or steady.result.plan.variant != few.result.plan.variant:
        return
    usual, now = steady.result.quantile_s(0.5), few.result.quantile_s(0.5)
    if usual is not None and now is not None and now > _UNCALM * usual:
        deployment.undecidable(
            f"at a tenth of the data the median was {now * 1000:.0f} ms already, where the steady load had "
            f"{usual * 1000:.0f} ms: the machine was not calm enough to compare",
            "a quiet machine",
        )


def _of_variant(plan: Plan, variant_name: str) -> Plan:
    return replace(plan, variant=variant_name)


def _held(deployment: Deployment, now: dict[str, ComponentCount], least: int) -> None:
    held = sum(count.count for count in now.values())
    if held < least:
        deployment.undecidable(f"it holds {held} items, not the {least} that it was filled to", "procedures.fill")


@gate(
    "PRF-LOD-006",
    risk="critical",
    blocking=True,
    mode="drill",
    version=1,
    why="A load test whose generator was the limit, or whose success was defined afterwards, flatters: it is worse "
    "than none, because somebody relies on it.",
    measures="Looks at every load run of this run: criteria and plan were hashed and on the disk before the first "
    "request and are the same afterwards; the generator used less than the limit of a core, was not late, and all "
    "stages ran as planned.",
    red="A run without criteria, criteria or plan that changed, a generator over its limit, a lost worker, a stage "
    "that did not run.",
    mend="Write thresholds into the scenario; give the generator more processes (`processes`) or a machine of its own; "
    "send an open model instead of many closed users.",
    needs=[load("steady"), variant("ok"), objective("peak_rate")],
    limits={
        "generator_cpu_percent": at_most(80, "%", "the catalogue"),
        "achieved_percent": at_least(98, "%", "design: starts of what was planned"),
    },
    typical_s=1.0,
    within_s=120.0,
)
def load_runs_can_be_trusted(deployment: Deployment) -> None:
    """Every load run had its criteria before it began, and its generator was not the limit."""
    if not deployment.load_runs():
        deployment.load("steady", judged=False)
    runs = deployment.load_runs()
    for run in runs:
        _hold_run(deployment, run)
    trusted = sum(not run.invalid for run in runs)
    deployment.count(trusted, len(runs))


def _hold_run(deployment: Deployment, run: LoadRun) -> None:
    result, generator = run.result, run.generator
    deployment.measure(f"{run.label}_criteria", len(result.plan.criteria), at_least=1)
    same = bool(result.sha256) and result.sha256 == result.plan.sha256
    earlier = result.written_at is not None and result.began_at is not None and result.written_at <= result.began_at
    deployment.measure(
        f"{run.label}_written_before",
        same and earlier,
        equals=True,
        detail=f"written {result.written_at}, begun {result.began_at}" if same else "the plan is not what was hashed",
    )
    cpu = None if generator.cpu_peak is None else round(generator.cpu_peak * 100, 1)
    deployment.measure(f"{run.label}_generator_cpu", cpu, unit="%", limit="generator_cpu_percent")
    if result.plan.model == OPEN:
        percent = generator.achieved_percent
        shown = None if percent is None else round(percent, 2)
        # One missing arrival of twenty is 5 %, and still no other rate.
        counts = result.total.planned - result.total.started > 1 or percent is None
        deployment.measure(f"{run.label}_achieved", shown, unit="%", limit="achieved_percent" if counts else None)
    for number, reason in enumerate(run.generator_faults, 1):
        deployment.measure(f"{run.label}_fault_{number}", reason, equals="")
