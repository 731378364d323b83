"""PRF-BAS: what the deployment does on an ordinary day, how much that varies, and whether it has become worse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from readiness.baselines import FORMAT, METRICS, Baseline, Samples, now_text, spread
from readiness.deployment import Deployment
from readiness.descriptor import Descriptor
from readiness.gate import at_least, at_most, gate
from readiness.gates.load_runs import hold_criteria, tell
from readiness.load.profiles import WARM_UP
from readiness.load.samples import BROKEN, SERVED, TIMED
from readiness.loadrun import LoadRun
from readiness.needs import load, objective, signal, variant
from readiness.resources import CPU, TASK_SECONDS, TASKS

if TYPE_CHECKING:
    from readiness.load.stats.compare import Series

PROFILE = "steady"
_NEEDS = [load(PROFILE), variant("ok"), objective("peak_rate"), *map(signal, (CPU, TASK_SECONDS, TASKS))]
_FEWEST_REPEATS = 3
_FEWEST_COMPARED = 20
_TOO_FEW = "fewer than 5 transactions with a latency"
_LONGER = f"loadtests of the scenario: {{profile: {PROFILE}, duration: <longer>}}"


@gate(
    "PRF-BAS-001",
    risk="high",
    blocking=True,
    mode="probe",
    version=1,
    why="Without a baseline nobody can say that something has become slower, only that somebody feels it has.",
    measures="Reads the baseline of the steady load: the team's own file where the descriptor names one, else what an "
    "earlier run recorded; where there is none yet, the baseline that this run would record. Each of the five metrics "
    "(response of agents, completion of workflows, utilisation, throughput, error share) must be there with the number "
    "of observations, median, range and a distribution that adds up to them.",
    red="One of the five metrics is missing, or is a bare average without number, range or distribution.",
    mend="Record it anew from a run under a normal load: `readiness load baseline RUN`.",
    needs=_NEEDS,
    limits={"metrics": at_least(5, "", "the seed: five metrics")},
    typical_s=35.0,
    within_s=150.0,
)
def the_baseline_has_all_five_metrics(deployment: Deployment) -> None:
    """The baseline holds all five metrics with number of observations, range and distribution."""
    run = deployment.load(PROFILE)
    tell(deployment, run)
    hold_criteria(deployment, run)
    known = deployment.baselines.find(PROFILE, deployment.descriptor.current_release)
    if known is None:
        deployment.note("no baseline yet: the one that this run would record is looked at")
        known = observed(deployment.descriptor, deployment.run_id, run)
        _hold_read(deployment, known)
    deployment.keep("baseline", known.model_dump(mode="json", exclude={"samples"}))
    lacking = known.lacks()
    deployment.measure(
        "metrics",
        len(METRICS) - len(lacking),
        limit="metrics",
        detail=f"missing or without number, range and distribution: {', '.join(lacking)}" if lacking else "",
    )
    deployment.count(len(METRICS) - len(lacking), len(METRICS))


@gate(
    "PRF-BAS-002",
    risk="medium",
    blocking=False,
    mode="probe",
    version=1,
    why="A baseline taken while a neighbour was noisy is held against every later release, and hides what they break.",
    measures="Repeats the same normal load three times in a row and compares the repeats: the coefficient of variation "
    "of their median completion times, with a bootstrap interval (Efron and Tibshirani 1993).",
    red="Never: repeats that differ by more than the limit make the baseline unstable, and what is unstable is not "
    "known (UNKNOWN).",
    mend="Find out who else used the machine; measure on one that is quiet; make the load longer.",
    needs=_NEEDS,
    limits={"variation_percent": at_most(15, "%", "the catalogue")},
    typical_s=1.0,
    within_s=150.0,
)
def repeats_of_a_normal_load_agree(deployment: Deployment) -> None:
    """Three repeats of the same normal load agree with each other."""
    run = deployment.load(PROFILE)
    found = variation(run)
    if found is None:
        deployment.undecidable(f"a repeat of the {PROFILE} load has {_TOO_FEW}", _LONGER)
    percent, low, high = found
    limit = deployment.limit("variation_percent")
    told = f"bootstrap interval {low:.1f} to {high:.1f} % at 95 %"
    deployment.keep("repeats", {"medians_s": _medians(run), "variation_percent": percent, "low": low, "high": high})
    if not limit.holds(percent):
        deployment.undecidable(
            f"the baseline is unstable: the medians of {len(_repeats(run))} repeats vary by {percent:.1f} % "
            f"(limit {limit.value:g} %, {told})",
            f"a quiet machine, or {_LONGER}",
        )
    deployment.measure("variation_percent", round(percent, 2), limit="variation_percent", detail=told)


@gate(
    "PRF-BAS-003",
    risk="critical",
    blocking=True,
    mode="probe",
    version=1,
    why="Releases become slower by a few percent each, and in the tail first, where an average never shows it.",
    measures="Compares this run's steady load with the baseline by a moving-block bootstrap (Kuensch 1989), since "
    "samples of one run are correlated: median, p95 and p99 from the intended start, throughput, error share, "
    "utilisation. Worse is only what lies wholly beyond the tolerance at 95 %.",
    red="The whole interval of the ratio of one metric lies beyond the tolerance on the bad side.",
    mend="Bisect the releases between the baseline's and this one under the same load; look at the slowest traces.",
    needs=_NEEDS,
    limits={"worse_metrics": at_most(0), "tolerance_percent": at_most(10, "%", "the catalogue")},
    typical_s=2.0,
    within_s=150.0,
)
def nothing_became_worse_than_the_baseline(deployment: Deployment) -> None:
    """No metric is worse than the baseline beyond the tolerance, the tail of latency included."""
    run = deployment.load(PROFILE)
    known = deployment.baselines.find(PROFILE, deployment.descriptor.current_release)
    if known is None or known.run == deployment.run_id:
        deployment.not_applicable(_first_baseline(deployment, run))
    if known.samples is None:
        deployment.undecidable(
            "the baseline has no samples to compare with", "record it anew: readiness load baseline RUN"
        )
    now = observed(deployment.descriptor, deployment.run_id, run)
    if known.rate != now.rate or known.variant != now.variant:
        deployment.undecidable(
            f"the baseline was taken at {known.rate:g}/s of {known.variant}, this run at "
            f"{now.rate:g}/s of {now.variant}",
            f"loadtests of the scenario: {{profile: {PROFILE}, rate: {known.rate:g}/s}}, or record it anew",
        )
    assert now.samples is not None
    fewest = min(len(known.samples.offset_s), len(now.samples.offset_s))
    if fewest < _FEWEST_COMPARED:
        deployment.undecidable(
            f"{fewest} transactions are too few to be compared (fewest: {_FEWEST_COMPARED})", _LONGER
        )
    from readiness.load.stats.compare import compare

    tolerance = deployment.limit("tolerance_percent").value / 100
    compared = compare(_series(known.samples), _series(now.samples), tolerance=tolerance)
    worse = [one for one in compared if one.worse]
    for one in compared:
        interval = f"{one.low:.3f} to {one.high:.3f} at 95 %"
        deployment.measure(f"{one.metric}_ratio", round(one.ratio, 3), unit="x", detail=interval)
    deployment.measure(
        "worse_metrics",
        len(worse),
        limit="worse_metrics",
        detail="; ".join(f"{one.metric} is {one.ratio:.2f} x the baseline of {known.release}" for one in worse),
    )


def _hold_read(deployment: Deployment, now: Baseline) -> None:
    """What could not be read is not known: it is no fault of a baseline that is not there yet."""
    lines = {
        "agent_response_s": f"signals.{TASK_SECONDS} and signals.{TASKS}: series that services.<service>.metrics shows",
        "utilisation": f"services.<service>.limits: {{cpu: …}}, and signals.{CPU}: a series that its metrics show",
    }
    for metric in now.lacks():
        deployment.undecidable(f"{metric} could not be observed during the load", lines.get(metric, _LONGER))


def observed(descriptor: Descriptor, run_id: str, run: LoadRun) -> Baseline:
    """What a run of the steady load would record as the baseline."""
    result = run.result
    began_s = sum(stage.duration_s for stage in result.plan.stages if stage.name == WARM_UP)
    whole = (run.began_s + began_s, run.began_s + result.plan.duration_s)
    import numpy as np

    samples = run.samples[run.samples["intended_s"] >= began_s]

    timed = np.isin(samples["outcome"], TIMED)
    served = np.isin(samples["outcome"], SERVED)
    latencies = samples["ended_s"] - samples["intended_s"]
    utilisation = run.resources.utilisation(descriptor, whole)
    ended = np.floor(samples["ended_s"][served] - began_s).astype(int)
    seconds = int(result.plan.duration_s - began_s)
    per_second = np.bincount(ended, minlength=seconds)[:seconds]
    metrics: dict[str, Any] = {
        "agent_response_s": spread(run.resources.agent_response_s(whole)),
        "workflow_completion_s": spread(latencies[served].tolist()),
        "utilisation": spread(utilisation),
        "throughput_per_s": spread(per_second.astype(float).tolist()),
        "error_share": spread(
            [row.broken / row.started for row in result.seconds if row.started and row.second >= began_s]
        ),
    }
    return Baseline.model_validate(
        {
            "baseline": FORMAT,
            "profile": PROFILE,
            "variant": result.plan.variant,
            "rate": result.plan.stages[0].rate_from,
            "deployment": descriptor.name,
            "release": descriptor.current_release,
            "recorded_at": now_text(),
            "run": run_id,
            "metrics": metrics,
            "samples": {
                "offset_s": (samples["intended_s"] - began_s).tolist(),
                "latency_s": [value if has else None for value, has in zip(latencies.tolist(), timed, strict=True)],
                "broken": np.isin(samples["outcome"], BROKEN).astype(int).tolist(),
                "utilisation": utilisation,
            },
        }
    )


def variation(run: LoadRun) -> tuple[float, float, float] | None:
    """The coefficient of variation of the repeats' medians in percent, with a bootstrap interval at 95 %.

    None where there are too few repeats, or too few transactions in one.
    """
    import numpy as np

    repeats = [run.result.latencies_s(name) for name in _repeats(run)]
    if len(repeats) < _FEWEST_REPEATS or min(map(len, repeats)) < 5:
        return None
    generator = np.random.default_rng(1)
    drawn = [_cov([float(np.median(generator.choice(repeat, len(repeat)))) for repeat in repeats]) for _ in range(500)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return _cov(_medians(run)), float(low), float(high)


def _medians(run: LoadRun) -> list[float]:
    import numpy as np

    return [float(np.median(run.result.latencies_s(name))) for name in _repeats(run)]


def _repeats(run: LoadRun) -> list[str]:
    return [stage.name for stage in run.result.plan.stages if stage.name != WARM_UP]


def _cov(values: Sequence[float]) -> float:
    import numpy as np

    return float(np.std(values, ddof=1) / np.mean(values) * 100)


def _first_baseline(deployment: Deployment, run: LoadRun) -> str:
    """Record this run as the candidate where it is fit for it; say what was done."""
    varies, now = variation(run), observed(deployment.descriptor, deployment.run_id, run)
    why = ""
    if run.verdict.outcome != "PASS":
        why = f"the run itself is {run.verdict.outcome}"
    elif varies is None:
        why = f"a repeat has {_TOO_FEW}"
    elif varies[0] > deployment.limit("tolerance_percent").value * 1.5:
        why = f"its repeats vary by {varies[0]:.0f} %"
    elif lacking := now.lacks():
        why = f"it lacks {', '.join(lacking)}"
    if why:
        return f"there is no baseline of the profile {PROFILE} yet, and this run was not recorded as one: {why}"
    deployment.baselines.record(now)
    return f"there was no baseline of the profile {PROFILE} yet: this run recorded one; the next is held against it"


def _series(samples: Samples) -> Series:
    import numpy as np

    from readiness.load.stats.compare import Series

    latencies = np.array([np.nan if value is None else value for value in samples.latency_s])
    broken = np.array(samples.broken, dtype=bool)
    served = np.isfinite(latencies) & ~broken
    seconds = np.floor(np.array(samples.offset_s)).astype(int)
    per_second = np.bincount(seconds, weights=served).astype(np.float64)
    return Series(latencies, broken, per_second, np.array(samples.utilisation) if samples.utilisation else None)
