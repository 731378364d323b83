"""A load run as the history tells it: all that the reports show, as plain data."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from readiness.descriptor import Descriptor
from readiness.load.merging import StageResult
from readiness.load.plan import FILE
from readiness.load.recordings import json_object
from readiness.load.verdict import Measured
from readiness.loadrun import LoadRun
from readiness.units import format_duration

SECONDS_SHOWN = 7200
"""So many seconds of a run go into the history for the picture; the folder of the run has all."""
_BUSY = 0.9
_BOUNDS = {"at_most": "at most", "at_least": "at least"}


def told(run: LoadRun, gate: str, descriptor: Descriptor) -> dict[str, Any]:
    """The event `load` of a history."""
    result, verdict = run.result, run.verdict
    factor = result.omission_factor()
    return {
        "profile": run.label,
        "gate": gate,
        "folder": f"load/{run.label}",
        "began_at": result.began_at,
        "outcome": str(verdict.outcome),
        "reasons": list(verdict.reasons),
        "model": result.plan.model,
        "arrivals": result.plan.arrivals,
        "variant": result.plan.variant,
        "sha256": result.sha256,
        "written_at": result.written_at,
        "command": [str(word) for word in json_object(result.folder / FILE).get("command", [])],
        "stages": [_stage(stage) for stage in result.stages],
        "total": _stage(result.total),
        "omission_factor": None if factor is None else round(factor, 3),
        "corrected_p99_ms": _ms(result.corrected_s(0.99)),
        "errors": dict(result.errors),
        "limited_by": limited_by(run, descriptor),
        "criteria": [_criterion(measured) for measured in verdict.measured],
        "seconds": [asdict(row) for row in result.seconds[:SECONDS_SHOWN]],
        "generator": _generator(run),
    }


def limited_by(run: LoadRun, descriptor: Descriptor) -> str:
    """What limited the run, in words: the generator, a replica's processor or memory, a refusal, or nothing."""
    if run.invalid:
        return "the generator or the plan: " + (run.verdict.reasons or ("no reason was told",))[0]
    if run.result.began_at is None:
        return "it never began"
    whole = run.began_s, run.began_s + run.result.plan.duration_s
    peaks = run.resources.peaks(descriptor, whole)
    if peaks and peaks[0].share >= _BUSY:
        return f"{peaks[0].what} of {peaks[0].instance}: {peaks[0].share:.0%} of its limit at the peak"
    total = run.result.total
    if total.shed:
        return f"the deployment itself: it refused {total.shed} of {total.started}"
    if total.broken:
        return f"the deployment: {total.broken} of {total.started} broke"
    return "nothing that was seen: everything was served as planned"


def _stage(stage: StageResult) -> dict[str, Any]:
    latency, service = stage.latency, stage.service
    return {
        "name": stage.name,
        "duration_s": stage.duration_s,
        "planned": stage.planned,
        "started": stage.started,
        "planned_rate": round(stage.planned_rate, 3),
        "achieved_rate": round(stage.achieved_rate, 3),
        "ok": stage.ok,
        "shed": stage.shed,
        "broken": stage.broken,
        "p50_ms": _ms(latency.p50_s),
        "p90_ms": _ms(latency.p90_s),
        "p95_ms": _ms(latency.p95_s),
        "p99_ms": _ms(latency.p99_s),
        "p999_ms": _ms(latency.p999_s),
        "max_ms": _ms(latency.max_s),
        "service_p50_ms": _ms(service.p50_s),
        "service_p95_ms": _ms(service.p95_s),
        "service_p99_ms": _ms(service.p99_s),
    }


def _criterion(measured: Measured) -> dict[str, Any]:
    one = measured.criterion
    bound = format_duration(one.value) if one.unit == "s" else f"{one.value:g} {one.unit}"
    return {
        "text": f"{one.metric} {_BOUNDS[one.bound]} {bound}",
        "stage": one.stage,
        "value": measured.value,
        "unit": one.unit,
        "holds": measured.holds,
    }


def _generator(run: LoadRun) -> dict[str, Any]:
    health = run.generator
    return {
        "cpu_peak_percent": None if health.cpu_peak is None else round(health.cpu_peak * 100, 1),
        "lag_p95_ms": health.lag_p95_ms,
        "late_p99_ms": health.late_p99_ms,
        "achieved_percent": health.achieved_percent,
    }


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)
